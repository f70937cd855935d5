"""The stand-in for CUDA, as the tests of the backends have it."""

from tests.backends.conftest import cuda, cupy_backend, make_backend

__all__ = ["cuda", "cupy_backend", "make_backend"]
