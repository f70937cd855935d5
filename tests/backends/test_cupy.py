"""The CuPy backend without a GPU: its own lines run over a stand-in that is NumPy inside."""

import importlib
import sys
import types

import array_api_compat
import array_api_compat.numpy
import numpy as np
import pytest

from tests.conftest import load_or_skip
from tests.problems import make_dataset
from xpmlp.errors import RunError
from xpmlp.nn.initializers import initialize
from xpmlp.training.config import Config
from xpmlp.training.fitting import fit
from xpmlp.training.gradient_check import check_gradients
from xpmlp.types import Batch


class FakeDevice:
    """Counts how deep `with` blocks are nested, so that work off the device is noticed."""

    depth = 0

    def __init__(self, number: int) -> None:
        self.id = number

    def __enter__(self) -> None:
        FakeDevice.depth += 1

    def __exit__(self, *_: object) -> None:
        FakeDevice.depth -= 1

    def synchronize(self) -> None:
        pass


class FakeOutOfMemoryError(Exception):
    pass


@pytest.fixture
def cupy_backend(monkeypatch):
    def on_device(function):
        def checked(*arguments, **options):
            assert FakeDevice.depth > 0, f"{function} off the device"
            return function(*arguments, **options)

        return checked

    fake = types.ModuleType("cupy")
    fake.__version__ = "14.2.0"
    fake.asarray = on_device(np.asarray)
    fake.asnumpy = on_device(np.asarray)
    fake.get_default_memory_pool = lambda: types.SimpleNamespace(total_bytes=lambda: 42)
    fake.cuda = types.SimpleNamespace(
        Device=FakeDevice,
        memory=types.SimpleNamespace(OutOfMemoryError=FakeOutOfMemoryError),
        runtime=types.SimpleNamespace(
            getDeviceProperties=lambda number: {"name": f"Fake GPU {number}".encode()}
        ),
    )
    namespace = types.ModuleType("array_api_compat.cupy")
    for name, value in vars(array_api_compat.numpy).items():
        computes = callable(value) and not isinstance(value, type) and not name.startswith("_")
        setattr(namespace, name, on_device(value) if computes else value)
    monkeypatch.setitem(sys.modules, "cupy", fake)
    monkeypatch.setitem(sys.modules, "array_api_compat.cupy", namespace)
    monkeypatch.setattr(array_api_compat, "cupy", namespace, raising=False)
    monkeypatch.delitem(sys.modules, "xpmlp.backends.cupy_backend", raising=False)
    module = importlib.import_module("xpmlp.backends.cupy_backend")
    yield module.CupyBackend("cuda:1", "float64")
    sys.modules.pop("xpmlp.backends.cupy_backend", None)


def test_a_whole_run_stays_on_the_device(cupy_backend):
    config = Config(hidden=(6,), epochs=3, batch_size=16, dtype="float64")
    ours = fit(config, make_dataset(), cupy_backend)
    numpys = fit(config, make_dataset(), load_or_skip("numpy"))
    for mine, theirs in zip(ours.model.params, numpys.model.params, strict=True):
        np.testing.assert_allclose(mine.W, theirs.W, rtol=1e-12)
        np.testing.assert_allclose(mine.b, theirs.b, rtol=1e-12, atol=1e-16)
    assert FakeDevice.depth == 0


def test_gradients_are_checked_on_the_device(cupy_backend):
    data = make_dataset()
    params = initialize(np, np.random.default_rng(0), (4, 5, 3), bias_std=0.5)
    checks = check_gradients(
        cupy_backend,
        params,
        Batch(data.train.x, data.train.y),
        activations=("tanh",),
        loss="softmax_cross_entropy",
    )
    assert [check.verdict for check in checks] == ["CORRECT"] * 4


def test_it_describes_the_gpu(cupy_backend):
    assert cupy_backend.describe() == {
        "backend": "cupy",
        "library": "cupy 14.2.0",
        "device": "cuda:1",
        "device_name": "Fake GPU 1",
        "dtype": "float64",
    }
    assert cupy_backend.memory() == 42
    cupy_backend.synchronize(())


def test_out_of_memory_is_explained(cupy_backend):
    with (
        pytest.raises(RunError, match="out of memory on cuda:1 with cupy; try a smaller"),
        cupy_backend.running(),
    ):
        raise FakeOutOfMemoryError("8 GiB")
    with pytest.raises(ValueError, match="other"), cupy_backend.running():
        raise ValueError("other")
