"""The protocol of a backend, with the plain loop that most of them use as it is.

A backend knows one array library on one device and one floating-point dtype. It moves arrays
in and out, compiles steps, and runs epochs; the mathematics never sees it, only its `xp`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np

from xpmlp.described import Described, Lines
from xpmlp.errors import RunError
from xpmlp.leaves import map_tree
from xpmlp.processors import free_memory
from xpmlp.types import Array, Batch, Hyper, Namespace, Params

CPU_ENSEMBLE_MULTIPLICATIONS = 100_000
Step = Callable[[Any, Batch, Hyper], tuple[Any, Array]]


class EpochPlan(NamedTuple):
    """What the host decides about one epoch of N rows in S steps.

    order: row indices (N,), or (K, N) where each member has its own order; None takes all
        rows at once, in place and in their own order.
    batch_size: rows of a step; the last step takes what is left.
    learning_rates: (S,), or (S, K) with one rate per member.
    """

    order: np.ndarray | None
    batch_size: int
    learning_rates: np.ndarray


class Compilation(NamedTuple):
    """How a function is to be compiled for a CPU.

    threads: that compute at once. parts: into how many tiles work is cut, which alone fixes the
    bits of the results; as many threads can share it.
    """

    threads: int = 2
    parts: int = 2


class Backend(Described):
    """One array library on one device, used by one thread at a time.

    xp: its Array API namespace. device: "cpu" or "cuda:N". dtype: "float32" or "float64".
    matmul_precision: of matrix products, "full" or, on a GPU alone, "tf32"; or one of
    cpu_precisions, those that the library has on a CPU. across: how a step's parts become one,
    where several processes share its rows (see `training.step.make_step`).
    """

    name: str
    xp: Namespace
    library: str
    cpu_precisions: tuple[str, ...] = ("full",)
    across: Any = None

    def __init__(self, device: str, dtype: str, matmul_precision: str = "full") -> None:
        self.device = device
        self.dtype = dtype
        known = self.cpu_precisions if device == "cpu" else ("full", "tf32")
        self.matmul_precision = matmul_precision if matmul_precision in known else "full"

    def asarray(self, array: Any) -> Array:
        """Put an array on the device: floats in the backend's dtype, integers as they are.

        array: of the host, or of the backend's own library; one of these that lies on the device
        already is not moved, one on another device is, by the library's own means. The result
        lies row by row, where the library has a choice, and carries no gradient. It shares memory
        with what came in where device, dtype and layout allow; nothing here ever writes into it.
        """
        return self.xp.asarray(self._host(array))

    def _host(self, array: Any) -> np.ndarray:
        host = np.asarray(array, order="C")
        return host.astype(self.dtype, copy=False) if host.dtype.kind == "f" else host

    def to_numpy(self, array: Array) -> np.ndarray:
        """Fetch a device array into a NumPy array of the same dtype."""
        return np.asarray(array)

    def put(self, tree: Any) -> Any:
        """Put every array of nested tuples on the device; None stays None."""
        return map_tree(self.asarray, tree)

    def fetch(self, tree: Any) -> Any:
        """Fetch every array of nested tuples; None stays None."""
        return map_tree(self.to_numpy, tree)

    def compile(
        self,
        make: Callable[[Namespace], Callable[..., Any]],
        wish: Compilation | None = None,  # noqa: ARG002
    ) -> Callable[..., Any]:
        """Return the pure function over device arrays that `make(xp)` makes, in its fastest form.

        It is made from a namespace, not handed over, so that a backend may trace it with one of
        its own. wish: that it be compiled for the CPU, by a backend that can do that.
        """
        return make(self.xp)

    def why_not_compiled(self) -> str:
        """Return why functions can't be compiled for the CPU here, "" where they can be."""
        return f"backend {self.name} has its own ways; numpy is what can be compiled"

    def run_epoch(
        self, step: Step, state: Any, data: Batch, plan: EpochPlan, hyper: Hyper
    ) -> tuple[Any, np.ndarray]:
        """Run one epoch of a compiled step; return the state and the metrics, (S, M, ...).

        data and hyper are on the device; the learning rates of the plan replace hyper's. One
        upload of the order and of the rates, one download of the metrics. Nothing is written
        into the state that came in: it stays valid, for an epoch that is cut short, for the
        best weights that early stopping keeps, and for arrays that the caller handed in.
        """
        rates = self.asarray(plan.learning_rates)
        order = None if plan.order is None else self.asarray(plan.order)
        metrics = []
        for i in range(rates.shape[0]):
            batch = data
            if order is not None:
                start = i * plan.batch_size
                stop = min(start + plan.batch_size, order.shape[-1])
                batch = gather(self.xp, data, order[..., start:stop])
            state, values = step(state, batch, hyper._replace(learning_rate=rates[i, ...]))
            metrics.append(values)
        return state, self.to_numpy(self.xp.stack(metrics))

    def run_rows(
        self, function: Callable[..., Any], params: Params, rows: Batch, most: int
    ) -> list[tuple[Array, Array]]:
        """Return what a compiled function of parameters and rows gives, (outputs, metrics).

        It gets at most so many rows at once; what it gave stays on the device.
        """
        pieces = blocks(rows.x.shape[0], most)
        return [function(params, map_tree(itemgetter((piece, ...)), rows)) for piece in pieces]

    def on_host(
        self,
        function: Callable[..., np.ndarray],
        shape: tuple[int, ...],  # noqa: ARG002
        *arrays: Array,
    ) -> Array:
        """Return on the device what a function of NumPy arrays gives: floats of this shape."""
        return self.asarray(function(*map(self.to_numpy, arrays)))

    def run_metrics(
        self, function: Callable[..., Any], params: Params, rows: Batch, most: int
    ) -> list[Array]:
        """Return the metrics of what `run_rows` returns."""
        return [metrics for _, metrics in self.run_rows(function, params, rows, most)]

    def probe(self) -> None:
        """Use in small whatever of the library training needs and a product does not show.

        Raises what the library does where that fails, BackendUnavailableError where it errs.
        """

    def prefers_ensembles(self, multiplications: int, shrinking: bool = False) -> bool:  # noqa: ARG002
        """Tell whether nets train faster as one ensemble than one after the other.

        multiplications: of one net's forward pass over a batch. shrinking: whether members may
        leave the ensemble one by one, as where early stopping ends them. A GPU is never filled
        by a small net; on a CPU an ensemble pays while a step is mostly overhead of its calls.
        """
        return self.device != "cpu" or multiplications < CPU_ENSEMBLE_MULTIPLICATIONS

    def synchronize(self, tree: Any) -> None:
        """Wait until the device has computed the arrays of nested tuples."""

    def describe(self) -> dict[str, str]:
        """Return what a report should say of library and device."""
        return {
            "backend": self.name,
            "library": self.library,
            "device": self.device,
            "device_name": self.device_name(),
            "dtype": self.dtype,
            "matmul_precision": self.matmul_precision,
        }

    def shared(self) -> dict[str, Any] | None:
        """Return what a step costs where several processes share it, None where none do."""
        return None

    def rounded_products(self, widths: Sequence[int], rows: int) -> str:  # noqa: ARG002
        """Return where matrix products have rounded factors, as `1 of 2 layers`.

        widths: of the net, inputs first. rows: of a batch. "" where their size does not decide.
        """
        return ""

    def described(self) -> tuple[str, Lines]:
        """Return what `describe` does, for its text and its table."""
        about = self.describe()
        title = f"backend {about.pop('backend')}"
        return title, [(name.replace("_", " "), text) for name, text in about.items()]

    def device_name(self) -> str:
        """Return the name of the processor or of the GPU."""
        return cpu_name()

    def memory(self) -> int:
        """Return the peak of the memory in use, in bytes: the device's, on a CPU the process's."""
        return process_peak_memory()

    def free_memory(self) -> int:
        """Return how many bytes can still be taken: on the device, or of the host (0: unknown)."""
        return free_memory()

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Tell whether an error of the library means that the memory did not suffice."""
        return isinstance(error, MemoryError)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Make the device current, and explain the library's out-of-memory error.

        All work on the device goes inside. NumPy's floating-point warnings are off there: a
        loss that is not finite ends the run with a better message.

        Raises RunError where the memory does not suffice.
        """
        try:
            with np.errstate(all="ignore"):
                yield
        except Exception as error:
            if not self.is_out_of_memory(error):
                raise
            raise RunError(
                f"out of memory on {self.device} with {self.name}; try a smaller batch_size or "
                "net, fewer seeds at once, dtype float32, or another device"
            ) from error


def blocks(n: int, most: int) -> Iterator[slice]:
    """Yield the slices of N rows that have at most so many each."""
    for start in range(0, n, most):
        yield slice(start, min(start + most, n))


def gather(xp: Namespace, data: Batch, index: Array) -> Batch:
    """Take the rows at index (B,), or (K, B) for members with batches of their own."""

    def take(array: Array) -> Array:
        flat = xp.take(array, xp.reshape(index, (-1,)), axis=0)
        return xp.reshape(flat, (*index.shape, *array.shape[1:])) if index.ndim > 1 else flat

    return Batch(*(None if array is None else take(array) for array in data))


def cpu_name() -> str:
    """Return the processor's name as the system tells it."""
    import platform
    from pathlib import Path

    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def process_peak_memory() -> int:
    """Return the largest resident size of this process so far, in bytes (0 where unknown).

    Linux tells it by /proc; `getrusage` there includes what the process was before its program.
    """
    import re
    import sys
    from pathlib import Path

    try:
        peak_kib = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:
        peak_kib = None
    if peak_kib:
        return int(peak_kib[1]) * 1024
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
