"""Products of bfloat16 factors on a CPU: what they are, where they are, and why they are not."""

import json
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.commands import QUICK, run
from tests.conftest import load_or_skip
from tests.problems import make_dataset
from xpmlp.backends.registry import load, select_backend
from xpmlp.compiler.plan import Plan
from xpmlp.errors import BackendUnavailableError
from xpmlp.runs.fitting import fit
from xpmlp.training.config import Config

torch = pytest.importorskip("torch")

from xpmlp.backends.torch import precision, rounding  # noqa: E402

LARGE = (128, 512, 256)
SMALL = (32, 64, 64)
NARROW = (4096, 512, 10)


@pytest.fixture
def setting():
    """PyTorch's switch, as it was found."""
    found = getattr(torch.backends.mkldnn, "matmul", None)
    if not hasattr(found, "fp32_precision"):
        pytest.skip("this PyTorch has no switch")
    before = found.fp32_precision
    yield found
    assert found.fp32_precision == before


@pytest.fixture
def backend(setting):
    """PyTorch with products of bfloat16 factors."""
    try:
        return load("torch", "cpu", "float32", "bf16")
    except BackendUnavailableError as error:
        pytest.skip(str(error))


def to_bfloat16(x):
    """Round float32 to the nearest of 8 significant bits, ties to even, by its bits alone."""
    bits = x.view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)


def factors(sides, seed=0):
    m, k, n = sides
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape).astype(np.float32) for shape in ((m, k), (k, n)))


def summed(a, b):
    """Return the product in float64, and how far one summed in float32 may be from it."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    return a @ b, a.shape[1] * np.finfo(np.float32).eps * (np.abs(a) @ np.abs(b))


def planned(backend, function, a, b):
    """Return what a replayed plan computes, and its new state."""
    state = (backend.asarray(a), backend.asarray(b))

    def make(xp):
        return lambda state, batch, hyper: function(xp, *state)

    plan = Plan(backend.kernels, backend.xp, make, state, state[0], state[0])
    with backend.running():
        plan.run()
    return plan


WAYS = {
    "plain": lambda xp, a, b: xp.matmul(a, b),
    "both transposed": lambda xp, a, b: (
        xp.matrix_transpose(xp.matmul(xp.matrix_transpose(b), xp.matrix_transpose(a))) * 1.0
    ),
    "and a row": lambda xp, a, b: xp.matmul(a, b) + b[:1, :] * 0.0,
}


@pytest.mark.parametrize("way", WAYS)
def test_factors_are_rounded_and_sums_are_not(backend, way):
    """In a plan and as it is written; full products are far outside of the tolerance."""
    a, b = factors(LARGE)
    exact, tolerance = summed(to_bfloat16(a), to_bfloat16(b))
    in_full, _ = summed(a, b)
    assert (np.abs(in_full - exact) > tolerance).mean() > 0.5
    with backend.running():
        written = backend.to_numpy(WAYS[way](backend.xp, *map(backend.asarray, (a, b))))
    plan = planned(backend, lambda xp, *ab: (ab, WAYS[way](xp, *ab)), a, b)
    for got in (written, backend.to_numpy(plan.metrics)):
        assert got.dtype == np.float32
        assert (np.abs(got - exact) <= tolerance).all()


def test_an_update_is_summed_in_full(backend):
    """W - ab with a large W, which rounded would be off by far more."""
    x, dz = factors(LARGE)
    W = np.full((LARGE[0], LARGE[2]), 1000.0 + 2.0**-10, np.float32)
    given = backend.asarray(W.copy()), backend.asarray(x), backend.asarray(dz)

    def make(xp):
        def step(state, batch, hyper):
            return (state[0] - xp.matmul(*state[1:]), *state[1:]), xp.zeros(1) + xp.sum(state[1])

        return step

    plan = Plan(backend.kernels, backend.xp, make, given, given[0], given[0])
    assert "accumulate" in [operation.name for operation in plan.memory.operations]
    with backend.running():
        plan.run()
    product, tolerance = summed(to_bfloat16(x), to_bfloat16(dz))
    off = np.abs(backend.to_numpy(plan.state[0]) - (W - product))
    assert (off <= tolerance + 2 * np.spacing(W)).all()


@pytest.mark.parametrize("sides", [SMALL, NARROW], ids=str)
def test_other_products_are_those_of_full_precision_to_the_bit(backend, sides):
    a, b = factors(sides)
    plain = load("torch", "cpu", "float32")
    for way in WAYS.values():
        ours, theirs = (
            planned(one, lambda xp, *ab, way=way: (ab, way(xp, *ab)), a, b).metrics
            for one in (backend, plain)
        )
        assert torch.equal(ours, theirs)
        assert torch.equal(*(way(one.xp, *map(one.asarray, (a, b))) for one in (backend, plain)))


def test_products_of_members_are_full(backend):
    a, b = factors(LARGE)
    a, b = (backend.asarray(np.stack([one, one])) for one in (a, b))
    assert torch.equal(backend.xp.matmul(a, b), torch.matmul(a, b))


@pytest.mark.parametrize(
    ("sides", "expected"),
    [
        ((256, 784, 1024), True),
        ((128, 784, 300), True),
        ((32, 784, 300), False),
        ((100, 784, 64), False),
        ((32, 512, 512), True),
        ((31, 10_000, 10_000), False),
        ((60_000, 784, 10), False),
    ],
)
def test_the_size_decides(sides, expected):
    assert rounding.pays(*sides) is expected
    assert rounding.pays(*sides[::-1]) is expected


@pytest.mark.parametrize("before", ["none", "ieee", "bf16", "tf32"])
def test_the_switch_is_put_back(setting, monkeypatch, before):
    stand_in = type("Setting", (), {"fp32_precision": before})()
    monkeypatch.setattr(precision, "_on_cpu", lambda: stand_in)
    with precision.full_on_cpu():
        assert stand_in.fp32_precision in ("none", "ieee")
        inside = stand_in.fp32_precision
        with precision.bfloat16(), precision.bfloat16():
            assert stand_in.fp32_precision == "bf16"
        with pytest.raises(ValueError, match="other"), precision.bfloat16():
            raise ValueError("other")
        assert stand_in.fp32_precision == inside
    assert stand_in.fp32_precision == before


def test_threads_do_not_leave_it_on(monkeypatch):
    """Each puts back what it found, so none may find what another has set."""
    stand_in = type("Setting", (), {"fp32_precision": "none"})()
    monkeypatch.setattr(precision, "_on_cpu", lambda: stand_in)
    first, second = threading.Event(), threading.Event()

    def other():
        first.wait()
        second.set()
        with precision.bfloat16():
            pass

    thread = threading.Thread(target=other)
    thread.start()
    with precision.bfloat16():
        first.set()
        second.wait()
    thread.join()
    assert stand_in.fp32_precision == "none"


@pytest.mark.parametrize("switch", ["bf16", "none"])
def test_full_products_are_full_whatever_the_process_has_switched_on(setting, switch):
    backend, before = load_or_skip("torch", "float32"), setting.fp32_precision
    a, b = factors(LARGE)
    exact, tolerance = summed(a, b)
    setting.fp32_precision = switch
    try:
        with backend.running():
            got = backend.to_numpy(backend.xp.matmul(backend.asarray(a), backend.asarray(b)))
        assert setting.fp32_precision == switch
    finally:
        setting.fp32_precision = before
    assert (np.abs(got - exact) <= tolerance).all()


def refusal():
    with pytest.raises(BackendUnavailableError) as raised:
        select_backend("torch", "cpu", matmul_precision="bf16")
    text = str(raised.value)
    assert text.startswith("matmul_precision bf16 can't be had: ")
    assert text.endswith("; choose --matmul-precision full")
    return text


def test_why_there_are_none(monkeypatch):
    monkeypatch.setattr(precision, "rounds", lambda: False)
    monkeypatch.setattr(precision, "_on_cpu", lambda: object())
    monkeypatch.setattr(precision, "instructions", lambda: {"avx512_bf16"})
    assert "rounds on processors with AMX-BF16, not on this one" in refusal()
    monkeypatch.setattr(precision, "instructions", lambda: {"avx2", "avx512_f"})
    assert "this processor has neither AMX-BF16 nor AVX512-BF16" in refusal()
    monkeypatch.setattr(precision, "_on_cpu", lambda: None)
    assert "has no switch for it, 2.9 and newer have" in refusal()
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False, raising=False)
    assert "is built without oneDNN" in refusal()


def test_instructions_where_pytorch_does_not_tell_them(monkeypatch, tmp_path):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    file = tmp_path / "cpuinfo"
    monkeypatch.setattr(precision, "CPUINFO", file)
    assert precision.instructions() == set()
    file.write_text("model name\t: One\nflags\t\t: fpu avx512_bf16 amx_bf16\n\nflags\t: other\n")
    assert precision.instructions() == {"fpu", "avx512_bf16", "amx_bf16"}
    file.write_text("Features\t: asimd bf16\n")
    assert precision.instructions() & precision.INSTRUCTIONS == {"bf16"}
    file.write_text("")
    assert precision.instructions() == set()


def test_auto_is_pytorch_on_the_cpu(backend):
    selection = select_backend(matmul_precision="bf16")
    chosen = selection.backend
    assert (chosen.name, chosen.device, chosen.matmul_precision) == ("torch", "cpu", "bf16")
    assert (selection.device_requested, selection.fallback_reason) == ("auto", None)
    assert selection.matmul_precision_requested == "bf16"


@pytest.mark.parametrize(
    ("hidden", "layers", "products"),
    [((512, 300), "1 of 3 layers", "3 of 8"), ((32,), "0 of 2 layers", "0 of 5")],
)
def test_a_run_says_where_it_rounds(backend, hidden, layers, products):
    data = make_dataset(390, dtype="float32")
    config = Config(hidden=hidden, epochs=1, batch_size=64, matmul_precision="bf16")
    run = fit(config, data, backend=backend)
    assert run.trainer.problem.step.how == f"replayed from a plan, bf16 for {products} products"
    assert backend.rounded_products(run.model.sizes, run.trainer.batch_size) == layers
    assert backend.describe()["matmul_precision"] == "bf16"


@pytest.mark.usefixtures("away_without_gpu")
def test_the_command_says_it_and_goes_on(capsys, backend, monkeypatch):
    options = ["--matmul-precision", "bf16", "--hidden", "300", "300", "--batch-size", "4"]
    monkeypatch.setattr(rounding, "LEAST_MULTIPLICATIONS", 2)
    monkeypatch.setattr(rounding, "NARROWEST", 4)
    code, out, err = run(capsys, *QUICK, *options, "--out", "one")
    assert code == 0, err
    assert out.splitlines()[3].endswith(", float32, bf16 matrix products in 1 of 3 layers")
    summary = json.loads(Path("one/summary.json").read_text())
    assert (summary["matmul_precision"], summary["matmul_precision_requested"]) == ("bf16",) * 2
    assert (summary["backend"], summary["rounded_products"]) == ("torch", "1 of 3 layers")
    assert Config.load("one/config.toml").matmul_precision == "bf16"
    assert run(capsys, "--resume", "one", "--epochs", "4", "--no-plots")[0] == 0
    monkeypatch.setattr(precision, "rounds", lambda: False)
    code, out, err = run(capsys, "--resume", "one", "--epochs", "5", "--no-plots")
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].endswith("; choose --matmul-precision full")
    again = ["--resume", "one", "--epochs", "5", "--no-plots", "--matmul-precision", "full"]
    assert run(capsys, *again)[0] == 0
