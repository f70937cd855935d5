"""Where the tests of this folder run: on the first GPU, by every library that knows CUDA."""

from typing import Any, NamedTuple

from bench.machine import gpus
from tests.conftest import CUDA_BACKENDS, DRIVER
from xpmlp.backends.base import Backend
from xpmlp.backends.registry import load, select_backend

NAMES = CUDA_BACKENDS
DEVICE = "cuda:0"
PROBLEM = "" if DRIVER.gpus else DRIVER.problem
LARGEST = 2**40


class Place(NamedTuple):
    """A library on a device."""

    name: str
    device: str

    def backend(self, dtype: str = "float64", **options: Any) -> Backend:
        """Return the backend as a run gets it; a library that fails on the GPU is no skip."""
        return select_backend(self.name, self.device, dtype, fallback=False, **options).backend


def numpy_backend(dtype: str = "float64") -> Backend:
    """Return the reference, on the CPU."""
    return load("numpy", "cpu", dtype)


def total_memory() -> int:
    """Return the device's memory in bytes, or what no GPU has where `nvidia-smi` is missing."""
    sizes = [int(gpu["memory.total"].split()[0]) * 2**20 for gpu in gpus()]
    return max(sizes, default=LARGEST)
