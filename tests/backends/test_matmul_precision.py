"""Products in full float32; asked for and where it can be, in TF32 or of bfloat16 factors."""

import subprocess
import sys
import types

import numpy as np
import pytest

from tests.conftest import CPU_BACKENDS, load_or_skip
from tests.problems import make_dataset
from xpmlp.backends import registry
from xpmlp.backends.base import EpochPlan
from xpmlp.backends.cuda_driver import Driver
from xpmlp.backends.registry import select_backend
from xpmlp.errors import InputError
from xpmlp.runs.fitting import fit
from xpmlp.training.config import Config
from xpmlp.types import Batch, Hyper


@pytest.mark.parametrize("select", [select_backend, lambda **names: Config(**names)])
@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"matmul_precision": "tf23"}, "unknown matmul_precision 'tf23'.*'tf32'.*full, tf32, bf16"),
        (
            {"dtype": "float64"},
            "tf32 is of float32 products, and dtype is float64; choose --matmul",
        ),
        ({"device": "cpu"}, "tf32 needs a GPU, and device is cpu; choose --matmul-precision full"),
        ({"backend": "numpy"}, "tf32 needs a GPU, and backend numpy knows only the CPU; choose"),
        ({"backend": "array-api-strict"}, "backend array-api-strict knows only the CPU"),
        (
            {"matmul_precision": "bf16", "dtype": "float64"},
            "bf16 is of float32 products, and dtype is float64; choose --matmul-precision full or",
        ),
        (
            {"matmul_precision": "bf16", "device": "cuda:1"},
            "bf16 is of products on a CPU, and device is cuda:1; choose .* tf32, full or --device",
        ),
        *(
            (
                {"matmul_precision": "bf16", "backend": name},
                f"bf16 is of torch on a CPU, and backend is {name}; choose --backend torch or "
                f"--matmul-precision {instead}",
            )
            for name, instead in {
                "numpy": "full",
                "jax": "full",
                "array-api-strict": "full",
                "cupy": "tf32",
            }.items()
        ),
    ],
)
def test_what_can_not_be(select, names, message):
    with pytest.raises(InputError, match=message):
        select(**{"matmul_precision": "tf32", **names})


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_a_fallback_to_the_cpu_has_full_products_and_keeps_the_wish(monkeypatch, device):
    monkeypatch.setattr(registry, "query_driver", lambda: Driver(0, (0, 0), "no driver"))
    selection = select_backend("auto", device, matmul_precision="tf32")
    assert selection.backend.describe()["matmul_precision"] == "full"
    assert selection.matmul_precision_requested == "tf32"


def test_a_gpu_gets_the_precision_of_the_config(monkeypatch):
    """The backend's class stands in for one on a GPU; nothing is computed."""
    made = []

    def probed(name, device, dtype, matmul_precision):
        backend = load_or_skip("numpy", dtype)
        made.append((name, device, matmul_precision))
        return backend

    monkeypatch.setattr(registry, "query_driver", lambda: Driver(2, (13, 0), ""))
    monkeypatch.setattr(registry, "_probed", probed)
    monkeypatch.setattr(registry, "_refuse_unsuited", lambda name, driver: None)
    config = Config(hidden=(3,), epochs=1, device="cuda:1", matmul_precision="tf32")
    fit(config, make_dataset(dtype="float32"))
    assert made == [("cupy", "cuda:1", "tf32")]


@pytest.mark.parametrize("name", CPU_BACKENDS)
def test_products_on_a_cpu_are_always_full(name):
    load_or_skip(name)
    backend = registry.load(name, "cpu", "float32", "tf32")
    assert backend.describe()["matmul_precision"] == "full"


class Setting:
    """PyTorch's settings of products on CUDA: of 2.9 and newer, or as they were before."""

    def __init__(self, **values):
        self.__dict__.update(values)


@pytest.fixture
def torch_on_gpu(monkeypatch):
    """Return a function that makes PyTorch's backend of a GPU, of which nothing is used."""
    load_or_skip("torch")
    import torch

    def make(setting, matmul_precision):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.backends.cuda, "matmul", setting)
        return registry.load("torch", "cuda:0", "float32", matmul_precision)

    return make


@pytest.mark.parametrize("precision", ["full", "tf32"])
@pytest.mark.parametrize("before", ["none", "ieee", "tf32"])
def test_pytorch_sets_the_precision_while_it_runs(torch_on_gpu, precision, before):
    setting = Setting(fp32_precision=before, allow_tf32="never touched")
    backend = torch_on_gpu(setting, precision)
    assert setting.fp32_precision == before
    with backend.running():
        assert setting.fp32_precision == {"full": "ieee", "tf32": "tf32"}[precision]
    assert vars(setting) == {"fp32_precision": before, "allow_tf32": "never touched"}


@pytest.mark.parametrize("precision", ["full", "tf32"])
@pytest.mark.parametrize("before", [False, True])
def test_an_older_pytorch_is_set_by_the_older_name(torch_on_gpu, precision, before):
    setting = Setting(allow_tf32=before)
    with torch_on_gpu(setting, precision).running():
        assert setting.allow_tf32 == (precision == "tf32")
    assert vars(setting) == {"allow_tf32": before}


def test_pytorch_sets_the_precision_back_after_an_error(torch_on_gpu):
    setting = Setting(fp32_precision="none")
    with pytest.raises(ValueError, match="other"), torch_on_gpu(setting, "tf32").running():
        raise ValueError("other")
    assert setting.fp32_precision == "none"


def test_pytorch_on_a_cpu_leaves_the_setting_of_cuda_alone(monkeypatch):
    backend = load_or_skip("torch", "float32")
    import torch

    monkeypatch.setattr(torch.backends.cuda, "matmul", types.SimpleNamespace())
    with backend.running():
        pass


SWITCHED_ON = [
    "torch.backends.cuda.matmul.allow_tf32 = True",
    "torch.set_float32_matmul_precision('high')",
    "torch.backends.cuda.matmul.fp32_precision = 'tf32'",
]


@pytest.mark.parametrize("switch", SWITCHED_ON)
def test_what_the_process_had_switched_on_is_off_and_on_again(switch):
    """In PyTorch itself, in a process of its own: its settings can't all be undone."""
    load_or_skip("torch")
    import torch

    if not hasattr(torch.backends.cuda.matmul, "fp32_precision"):
        pytest.skip("this PyTorch has the older setting alone")
    code = f"""
import torch
from xpmlp.backends.torch.precision import precision_on_cuda
setting = torch.backends.cuda.matmul
{switch}
print(setting.fp32_precision)
for precision in ("full", "tf32"):
    with precision_on_cuda(precision):
        print(setting.fp32_precision)
print(setting.fp32_precision, setting.allow_tf32 if "fp32" not in {switch!r} else "")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[:4] == ["tf32", "ieee", "tf32", "tf32"]
    assert done.stdout.split()[4:] in (["True"], [])


@pytest.mark.parametrize(("precision", "name"), [("full", "HIGHEST"), ("tf32", "HIGH")])
def test_jax_traces_its_products_with_the_precision(precision, name):
    """In the loop over full batches and in the step of the rest; on a CPU it changes nothing."""
    backend = load_or_skip("jax", "float32")
    import jax

    programs = []

    def make(xp):
        def step(state, batch, hyper):
            programs.append(str(jax.make_jaxpr(xp.matmul)(batch.x, state)))
            return state, xp.zeros(1)

        return step

    backend.matmul_precision = precision
    data = Batch(backend.asarray(np.ones((5, 2), np.float32)), None)
    plan = EpochPlan(np.arange(5), 2, np.ones(3, np.float32))
    hyper = Hyper(*(None for _ in Hyper._fields))
    backend.run_epoch(backend.compile(make), backend.asarray(np.eye(2)), data, plan, hyper)
    assert len(programs) == 2
    assert all(f"Precision.{name}," in program for program in programs), programs


def test_jax_unrolls_its_loop_to_the_same_numbers(monkeypatch):
    backend = load_or_skip("jax", "float64")
    config = Config(hidden=(6,), epochs=2, batch_size=8, dtype="float64")
    once = fit(config, make_dataset(), backend=backend).model.params
    monkeypatch.setattr(type(backend), "unroll", 4)
    assert backend.compile(lambda xp: xp.matmul).unroll == 4
    fourfold = fit(config, make_dataset(), backend=backend).model.params
    for one, four in zip(once, fourfold, strict=True):
        np.testing.assert_allclose(one.W, four.W, rtol=1e-12, atol=1e-15)
