"""Fixtures of all tests: every installed backend, one comparison, and where the data is.

Where the driver shows a GPU, the backends that know CUDA take part a second time, on it.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from xpmlp.backends.base import Backend
from xpmlp.backends.cuda_driver import query_driver
from xpmlp.backends.registry import BACKENDS, load
from xpmlp.errors import BackendUnavailableError

CPU_BACKENDS = tuple(name for name, entry in BACKENDS.items() if "cpu" in entry.devices)
CUDA_BACKENDS = tuple(name for name, entry in BACKENDS.items() if "cuda" in entry.devices)
DRIVER = query_driver()
if DRIVER.gpus:
    # Else JAX takes most of the GPU's memory for itself, and the other libraries have little.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def load_or_skip(name: str, dtype: str = "float64", device: str = "cpu") -> Backend:
    if name not in ("numpy", "array-api-strict"):
        pytest.importorskip(name, reason=f"{name} is not installed")
    try:
        return load(name, device, dtype)
    except BackendUnavailableError as error:
        pytest.skip(str(error))


def like(backend: Backend, dtype: str) -> Backend:
    """Return the same library on the same device in a dtype."""
    return load_or_skip(backend.name, dtype, backend.device)


def places(gpus: int) -> list:
    """Return the (name, device) of every backend as parameters; those on a GPU are marked."""
    on_cpu = [pytest.param((name, "cpu"), id=name) for name in CPU_BACKENDS]
    if not gpus:
        return on_cpu
    return on_cpu + [
        pytest.param((name, "cuda:0"), id=f"{name}-cuda", marks=pytest.mark.cuda)
        for name in CUDA_BACKENDS
    ]


@pytest.fixture(params=places(DRIVER.gpus))
def backend(request) -> Backend:
    """Every installed backend on the CPU, and on a GPU where there is one, in float64."""
    name, device = request.param
    return load_or_skip(name, device=device)


@pytest.fixture
def xp(backend):
    """The namespace of every installed backend."""
    return backend.xp


@pytest.fixture
def assert_matches():
    """Compare a device array with NumPy's: dtype, shape, device, values to the dtype's rounding.

    scale: how many roundings the value may have gathered; the tolerance is scale · eps.
    """

    def check(backend: Backend, actual, expected: np.ndarray, scale: float = 64.0) -> None:
        expected = np.asarray(expected)
        reference = backend.asarray(np.zeros(1, dtype=expected.dtype))
        assert actual.dtype == reference.dtype
        assert tuple(actual.shape) == expected.shape
        assert getattr(actual, "device", None) == getattr(reference, "device", None)
        eps = np.finfo(expected.dtype).eps
        np.testing.assert_allclose(backend.to_numpy(actual), expected, rtol=scale * eps)

    return check


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with real MNIST and the course files, or a skip."""
    folder = os.environ.get("XPMLP_DATA_DIR")
    if not folder or not (Path(folder) / "mnist").is_dir():
        pytest.skip("XPMLP_DATA_DIR does not name a folder with mnist/")
    return Path(folder).resolve()
