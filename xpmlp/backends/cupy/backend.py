"""CuPy on CUDA."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from typing import Any

import array_api_compat.cupy
import cupy
import numpy as np
from cupy._core import _routines_linalg as linalg

from xpmlp.backends.captured import CapturedBackend
from xpmlp.backends.cupy.kernels import CupyKernels
from xpmlp.compiler.plan import Call
from xpmlp.errors import BackendUnavailableError, SurroundingsError
from xpmlp.types import Array

COMPUTE_TYPES = {"full": "COMPUTE_TYPE_FP32", "tf32": "COMPUTE_TYPE_TF32"}


class CupyBackend(CapturedBackend):
    """CuPy's arrays on one GPU, with all work on one stream of its own.

    Nothing orders that stream and others, CuPy's default one included: what comes from them, or
    goes to them, is waited for.

    Matrix products have the precision that was asked for, whatever CUPY_TF32 says: in graphs by
    cuBLAS calls of xpmlp's own, elsewhere by CuPy's setting, which is set back afterwards.
    """

    name = "cupy"
    xp = array_api_compat.cupy
    library = f"cupy {cupy.__version__}"

    def __init__(self, device: str, dtype: str, matmul_precision: str = "full") -> None:
        super().__init__(device, dtype, matmul_precision)
        self.cupy_device = cupy.cuda.Device(int(device.partition(":")[2] or 0))
        with self.cupy_device:
            self.stream = cupy.cuda.Stream(non_blocking=True)

    @cached_property
    def kernels(self) -> CupyKernels:  # type: ignore[override]
        """Kernels and cuBLAS, loaded when the first step is planned."""
        return CupyKernels(self.stream.ptr, self.matmul_precision)

    def asarray(self, array: Any) -> Array:
        """Put a host array, or one of CuPy's, on the GPU.

        What makes one of CuPy's may still be at work, on any stream: this waits for it. Where
        another stream is current, as outside of `running`, this also waits for its own work.
        """
        given = isinstance(array, cupy.ndarray)
        if given:
            self.cupy_device.synchronize()
        source = array if given else self._host(array)
        dtype = self.dtype if given and array.dtype.kind == "f" else None
        is_current = self._is_current()
        with self.cupy_device, self.stream:
            placed = cupy.asarray(source, dtype, order="C")
        if not is_current:
            self.stream.synchronize()
        return placed

    def to_numpy(self, array: Array) -> np.ndarray:
        """Fetch an array; this waits for the stream, and for all others where one is current."""
        if not self._is_current():
            self.cupy_device.synchronize()
        with self.cupy_device, self.stream:
            host: np.ndarray = cupy.asnumpy(array)
            return host

    def _is_current(self) -> bool:
        return bool(cupy.cuda.get_current_stream(self.cupy_device.id) == self.stream)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Make GPU and stream the current ones, and explain CUDA's out-of-memory error."""
        products = precision_of_products(self.matmul_precision)
        with self.cupy_device, self.stream, products, super().running():
            yield

    def capture(self, calls: Sequence[Call]) -> Call:
        """Return the launch of a CUDA graph of all these calls."""
        self.kernels.compile()
        self.stream.begin_capture()
        try:
            for call in calls:
                call()
        except BaseException:
            with suppress(Exception):
                self.stream.end_capture()
            raise
        graph = self.stream.end_capture()
        graph.upload(self.stream)
        return partial(graph.launch, self.stream)

    def probe(self) -> None:
        """Run a function of CuPy's, then a kernel and a product of xpmlp's from a graph.

        CuPy compiles the first two, which takes NVIDIA's compiler and headers, and a folder that
        keeps what was compiled. Raises SurroundingsError where that can't be written.
        """
        try:
            found = self._captured_product()
        except OSError as error:
            if error.errno is None:  # a library that can't be loaded
                raise
            raise SurroundingsError(
                f"its folder of compiled kernels can't be written ({error.strerror}: "
                f"{error.filename}); set CUPY_CACHE_DIR to one that can, or CUPY_CACHE_IN_MEMORY=1"
            ) from None
        if found.tolist() != [[3.0, 3.0], [1.0, 1.0]]:
            raise BackendUnavailableError("a small CUDA graph came out wrong on the GPU")

    def _captured_product(self) -> np.ndarray:
        """Return the rows of [[1, 1], [3, 3]], the last one first."""
        with self.running():
            kernels = self.kernels
            ones = self.asarray(np.ones((2, 2)))
            left = self.asarray([[1.0, 0.0], [1.0, 1.0]]) + self.asarray([[0.0, 0.0], [1.0, 0.0]])
            taken, product = (kernels.empty((2, 2), self.dtype) for _ in range(2))
            order = self.asarray(np.array([1, 0]))
            calls = [
                partial(kernels.gather, left, order, taken),
                partial(kernels.cublas.product, taken, ones, product),
            ]
            for call in calls:
                call()
            self.capture(calls)()
            return self.to_numpy(product)

    def synchronize(self, tree: Any) -> None:  # noqa: ARG002
        """Wait for the backend's stream."""
        self.stream.synchronize()

    def device_name(self) -> str:
        """Return the name of the GPU."""
        properties = cupy.cuda.runtime.getDeviceProperties(self.cupy_device.id)
        return str(properties["name"].decode())

    def memory(self) -> int:
        """Return what CuPy's pool holds of the GPU's memory, in bytes; it never shrinks here."""
        with self.cupy_device:
            return int(cupy.get_default_memory_pool().total_bytes())

    def free_memory(self) -> int:
        """Return what the GPU has free, and what CuPy's pool holds without using it, in bytes."""
        with self.cupy_device:
            free, _ = cupy.cuda.runtime.memGetInfo()
            return int(free) + int(cupy.get_default_memory_pool().free_bytes())

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Tell whether CUDA, or the host, ran out of memory."""
        return isinstance(error, MemoryError | cupy.cuda.memory.OutOfMemoryError)


@contextmanager
def precision_of_products(precision: str) -> Iterator[None]:
    """Set the precision of CuPy's own float32 products, then set it back."""
    before = linalg.get_compute_type(np.dtype(np.float32))
    linalg.set_compute_type(np.float32, getattr(linalg, COMPUTE_TYPES[precision]))
    try:
        yield
    finally:
        linalg.set_compute_type(np.float32, before)
