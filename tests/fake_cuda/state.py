"""What the fake machine has done in this test, and what it does now."""

import ctypes
from typing import Any

from tests.fake_cuda.library import FakeCudaError, check, problems, runtime

ORDERS = {"forward": 0, "backward": 1}


class LoggedProduct(ctypes.Structure):
    _fields_ = (
        ("function", ctypes.c_char_p),
        ("stream", ctypes.c_void_p),
        ("workspace", ctypes.c_void_p),
        ("workspace_bytes", ctypes.c_size_t),
        *(
            (name, ctypes.c_int)
            for name in (
                *("math_mode", "pointer_mode", "transa", "transb", "m", "n", "k", "lda", "ldb"),
                *("ldc", "batch", "compute_type", "captured"),
            )
        ),
        ("stride_a", ctypes.c_longlong),
        ("stride_b", ctypes.c_longlong),
        ("stride_c", ctypes.c_longlong),
    )


class FakeCuda:
    """One test's view of the machine.

    uploads, downloads: shapes. kernel_launches: names of kernels launched outside of graphs.
    loads: who loaded cuBLAS, in order. graphs: for each capture the names of its nodes.
    no_compiler: the error of whoever has something compiled, CuPy's own kernels included.
    order: of threads and blocks, "forward", "backward" or the seed of a random one.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.uploads: list[tuple[int, ...]] = []
        self.downloads: list[tuple[int, ...]] = []
        self.kernel_launches: list[str] = []
        self.graphs: list[list[str]] = []
        self.copies = self.synchronizations = self.graph_launches = 0
        self.captures = self.compilations = self.depth = 0
        self.streams: list[Any] = []
        self.loads: list[str] = []
        self.no_compiler: Exception | None = None
        self.chosen_order: str | int = "forward"
        self.out_of_memory: type[Exception] = MemoryError

    @property
    def order(self) -> str | int:
        return self.chosen_order

    @order.setter
    def order(self, order: str | int) -> None:
        self.chosen_order = order
        runtime().fake_set_order(ORDERS.get(order, 2), 0 if order in ORDERS else order)

    @property
    def gemms(self) -> list[dict[str, Any]]:
        """The products that cuBLAS was asked for, in order, captured ones too."""
        library = runtime()
        logged = (
            LoggedProduct.from_address(library.fake_product(i))
            for i in range(library.fake_product_count())
        )
        return [self._product(product) for product in logged]

    def _product(self, product: LoggedProduct) -> dict[str, Any]:
        entry = {name: getattr(product, name) for name, *_ in product._fields_}
        pointers = {name: entry[name] or 0 for name in ("stream", "workspace")}
        return {**entry, **pointers, "function": entry["function"].decode()}

    @property
    def errors(self) -> list[str]:
        """What was wrong, in words, also where cuBLAS only returned a status."""
        return problems()

    @property
    def live_bytes(self) -> int:
        return int(runtime().fake_live_bytes())

    @property
    def stream(self) -> int:
        """The current stream's handle."""
        return self.streams[-1].ptr if self.streams else 0

    def copy(self, target: int, source: int, size: int) -> None:
        check(runtime().fake_copy(self.stream, target, source, size))
        self.copies += not runtime().fake_is_capturing(self.stream)

    def compile(self) -> None:
        """Compile something. Raises what stands in the way."""
        if self.no_compiler:
            raise self.no_compiler

    def finish(self) -> None:
        """Have done what waits on any stream. Raises FakeCudaError where something was wrong."""
        check(runtime().fake_wait_for_all())

    def enter(self, levels: int) -> None:
        self.depth += levels
        runtime().fake_enter_device(levels)


MACHINE = FakeCuda()


def compute(what: str) -> None:
    """Refuse work off the device, or work that a capture would not record."""
    if MACHINE.depth < 1:
        raise FakeCudaError(f"{what}: off the device")
    if runtime().fake_captures_running():
        runtime().fake_invalidate_captures()
        raise FakeCudaError(f"{what}: not permitted while a stream captures")
