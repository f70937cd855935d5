"""CuPy on CUDA."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import array_api_compat.cupy
import cupy
import numpy as np

from xpmlp.backends.base import Backend
from xpmlp.types import Array


class CupyBackend(Backend):
    """CuPy's arrays on one GPU.

    Matrix products keep CuPy's default precision, which is full float32 (TF32 off, unless the
    environment variable CUPY_TF32 says otherwise).
    """

    name = "cupy"
    xp = array_api_compat.cupy
    library = f"cupy {cupy.__version__}"

    def __init__(self, device: str, dtype: str) -> None:
        super().__init__(device, dtype)
        self.cupy_device = cupy.cuda.Device(int(device.partition(":")[2] or 0))

    def asarray(self, array: Any) -> Array:
        """Put a host array on the GPU."""
        with self.cupy_device:
            return cupy.asarray(self._host(array))

    def to_numpy(self, array: Array) -> np.ndarray:
        """Fetch an array; this waits for the GPU."""
        with self.cupy_device:
            host: np.ndarray = cupy.asnumpy(array)
            return host

    @contextmanager
    def running(self) -> Iterator[None]:
        """Make this backend's GPU the current one, and explain its out-of-memory error."""
        with self.cupy_device, super().running():
            yield

    def synchronize(self, tree: Any) -> None:  # noqa: ARG002
        """Wait for all streams of the GPU."""
        self.cupy_device.synchronize()

    def device_name(self) -> str:
        """Return the name of the GPU."""
        properties = cupy.cuda.runtime.getDeviceProperties(self.cupy_device.id)
        return str(properties["name"].decode())

    def memory(self) -> int:
        """Return what CuPy's pool holds of the GPU's memory, in bytes; it never shrinks here."""
        with self.cupy_device:
            return int(cupy.get_default_memory_pool().total_bytes())

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Tell whether CUDA, or the host, ran out of memory."""
        return isinstance(error, MemoryError | cupy.cuda.memory.OutOfMemoryError)
