"""NumPy on the CPU: the reference that the others are compared with, its steps from a plan."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import array_api_compat.numpy
import numpy as np

from xpmlp.backends.base import Backend, EpochPlan
from xpmlp.backends.plan import NotRecordable, Plan
from xpmlp.leaves import leaves, map_tree
from xpmlp.types import Array, Batch, Hyper, Namespace

KEPT_PLANS = 8


class PlannedStep:
    """A function as it is written, and as plans, one for each form of its arguments."""

    def __init__(self, make: Callable[[Namespace], Callable[..., Any]], plans: "Plans") -> None:
        self.make, self.plans = make, plans
        self.function = make(array_api_compat.numpy)

    def __call__(self, *arguments: Any) -> Any:
        """Run the function as it is written."""
        return self.function(*arguments)

    def plan(self, state: Any, data: Batch, index: np.ndarray | None, hyper: Hyper) -> Plan:
        """Return the plan for rows at an index, or for all rows in place.

        Raises NotRecordable where the function can't be planned.
        """
        rows = tuple(map(id, data)) if index is None else index.shape
        forms = tuple((leaf.shape, leaf.dtype) for leaf in leaves((state, data, hyper)))
        return self.plans.get((self, rows, forms), lambda: self._record(state, data, index, hyper))

    def _record(self, state: Any, data: Batch, index: np.ndarray | None, hyper: Hyper) -> Plan:
        batch = data
        if index is not None:
            batch = map_tree(lambda rows: np.take(rows, index, axis=0), data)
        return Plan(np, array_api_compat.numpy, self.make, state, batch, hyper)


class Plans:
    """The plans that were used last, of all steps together, as each holds a step's memory."""

    def __init__(self) -> None:
        self.kept: OrderedDict[Any, Plan | NotRecordable] = OrderedDict()

    def get(self, key: Any, record: Callable[[], Plan]) -> Plan:
        """Return the plan of a key, recorded where it is new. Raises NotRecordable."""
        if key not in self.kept:
            if len(self.kept) >= KEPT_PLANS:
                self.kept.popitem(last=False)
            try:
                self.kept[key] = record()
            except NotRecordable as reason:
                self.kept[key] = reason
        self.kept.move_to_end(key)
        plan = self.kept[key]
        if isinstance(plan, NotRecordable):
            raise plan
        return plan


class NumpyBackend(Backend):
    """Runs the mathematics as it is written, or its recording, which gives the same bits."""

    name = "numpy"
    xp = array_api_compat.numpy
    library = f"numpy {np.__version__}"

    def __init__(self, device: str, dtype: str) -> None:
        super().__init__(device, dtype)
        self.plans = Plans()

    def compile(self, make: Callable[[Namespace], Callable[..., Any]]) -> PlannedStep:
        """Return the function that `make` makes; in epochs it is replayed from a plan."""
        return PlannedStep(make, self.plans)

    def describe(self) -> dict[str, str]:
        """Return what a report should say, and the BLAS library of the products."""
        return {**super().describe(), "blas": blas_in_use()}

    def run_epoch(
        self, step: Any, state: Any, data: Batch, plan: EpochPlan, hyper: Hyper
    ) -> tuple[Any, np.ndarray]:
        """Replay the step over all batches, each gathered into the same memory."""
        rates = self.asarray(plan.learning_rates)
        batches: Sequence[np.ndarray | None] = [None] * len(rates)
        if plan.order is not None:
            starts = range(plan.batch_size, plan.order.shape[-1], plan.batch_size)
            batches = np.split(self.asarray(plan.order), starts, axis=-1)
        try:
            state, metrics = _replay(step, state, data, batches, rates, hyper)
        except NotRecordable:
            return super().run_epoch(step, state, data, plan, hyper)
        return state, self.to_numpy(metrics)


def _replay(
    step: PlannedStep,
    state: Any,
    data: Batch,
    batches: Sequence[np.ndarray | None],
    rates: Array,
    hyper: Hyper,
) -> tuple[Any, Array]:
    """Take a step for each batch of row indices (None: all rows), at its own rate."""
    current: Plan | None = None
    metrics: list[Array] = []
    hyper = hyper._replace(learning_rate=rates[0, ...])
    for i, index in enumerate(batches):
        planned = step.plan(state, data, index, hyper)
        if planned is not current:
            _copy(planned.hyper, hyper)
            _copy(planned.state, state if current is None else current.state)
            current = planned
        if index is not None:
            for rows, batch in zip(leaves(data), leaves(planned.batch), strict=True):
                np.take(rows, index, axis=0, out=batch, mode="clip")
        np.copyto(planned.hyper.learning_rate, rates[i, ...])
        planned.run()
        metrics.append(planned.metrics.copy())
    assert current is not None
    return map_tree(np.copy, current.state), np.stack(metrics)


def _copy(target: Any, source: Any) -> None:
    for old, new in zip(leaves(target), leaves(source), strict=True):
        np.copyto(old, new)


def blas_in_use() -> str:
    """Return name, version, kernels and threads of NumPy's BLAS library, "" where unknown.

    OpenBLAS chooses kernels by the processor, unless OPENBLAS_CORETYPE was set before NumPy was
    imported: "SkylakeX" are those for AVX-512, "Haswell" those for AVX2.
    """
    from threadpoolctl import threadpool_info

    for library in threadpool_info():
        if library["user_api"] == "blas" and "numpy" in library["filepath"]:
            kernels, threads = library.get("architecture"), library["num_threads"]
            return ", ".join(
                [
                    f"{library['internal_api']} {library['version']}",
                    *([f"{kernels} kernels"] if kernels else []),
                    f"{threads} thread{'s' * (threads > 1)}",
                ]
            )
    return ""
