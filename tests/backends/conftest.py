"""CUDA without a GPU, for the tests that need it."""

import importlib

import pytest

from tests.fake_cuda import install


@pytest.fixture
def cuda(monkeypatch):
    """The stand-in for CUDA, which counts and steers what is done on it."""
    cuda = install(monkeypatch)
    yield cuda
    cuda.finish()


@pytest.fixture
def make_backend(cuda):
    """The class of the CuPy backend, with a device."""
    module = importlib.import_module("xpmlp.backends.cupy.backend")
    return lambda dtype="float64", **more: module.CupyBackend("cuda:1", dtype, **more)


@pytest.fixture
def cupy_backend(make_backend):
    """A CuPy backend in float64."""
    return make_backend()
