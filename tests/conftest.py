"""Fixtures of all tests: every installed backend, one comparison, and where the data is."""

import os
from pathlib import Path

import numpy as np
import pytest

from xpmlp.backends.base import Backend
from xpmlp.backends.registry import BACKENDS, load
from xpmlp.errors import BackendUnavailableError

CPU_BACKENDS = tuple(name for name, entry in BACKENDS.items() if "cpu" in entry.devices)


def load_or_skip(name: str, dtype: str = "float64", device: str = "cpu") -> Backend:
    if name not in ("numpy", "array-api-strict"):
        pytest.importorskip(name, reason=f"{name} is not installed")
    try:
        return load(name, device, dtype)
    except BackendUnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(params=CPU_BACKENDS)
def backend(request) -> Backend:
    """Every installed backend on the CPU, in float64."""
    return load_or_skip(request.param)


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
