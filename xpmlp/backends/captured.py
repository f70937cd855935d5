"""Backends that capture the steps of an epoch as graphs of a GPU.

A graph holds the launches of many steps, so that the host gives one order for all of them. An
epoch's rows are gathered once, in the order of the epoch; each step then has its own piece of
that memory, its own learning rate, and its own place for its metrics.
"""

import gc
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from math import gcd
from typing import Any, NamedTuple

import numpy as np

from xpmlp.backends.base import Backend, EpochPlan
from xpmlp.backends.planned import PlannedBackend, PlannedStep
from xpmlp.compiler.plan import Call, Plan
from xpmlp.compiler.recording import NotRecordable
from xpmlp.leaves import leaves, map_tree
from xpmlp.types import Array, Batch, Hyper

STEPS_OF_A_GRAPH = 512
BYTES_OF_A_GRAPH = 2**29  # of rows
ALIGNMENT = 256  # bytes; nothing is chosen by more


class CapturedBackend(PlannedBackend):
    """Runs an epoch's steps from graphs, or as they are written where that can't be.

    Both give the same numbers within rounding.
    """

    captures = True

    def capture(self, calls: Sequence[Call]) -> Call:
        """Return the launch of a graph of all these calls, in their order, which have run once."""
        raise NotImplementedError

    def run_epoch(
        self, step: Any, state: Any, data: Batch, plan: EpochPlan, hyper: Hyper
    ) -> tuple[Any, np.ndarray]:
        """Gather the rows of the epoch and launch the graphs of its steps."""
        if not self.captures:
            return super().run_epoch(step, state, data, plan, hyper)
        try:
            epoch = self._epoch(step, state, data, plan, hyper)
        except NotRecordable:
            return Backend.run_epoch(self, step, state, data, plan, hyper)
        return epoch.run(state, data, plan, hyper)

    def _epoch(
        self, step: PlannedStep, state: Any, data: Batch, plan: EpochPlan, hyper: Hyper
    ) -> "CapturedEpoch":
        """Return the graphs of such epochs, captured where they are new. Raises NotRecordable."""
        rows = tuple(map(id, data)) if plan.order is None else (plan.order.shape, plan.batch_size)
        forms = tuple((tuple(a.shape), a.dtype) for a in leaves((state, data, hyper)))
        key = (rows, plan.learning_rates.shape, forms)
        made: CapturedEpoch = step.plans.get(
            key, lambda: self._captured(step, state, data, plan, hyper)
        )
        return made

    def _captured(
        self, step: PlannedStep, state: Any, data: Batch, plan: EpochPlan, hyper: Hyper
    ) -> "CapturedEpoch":
        try:
            return CapturedEpoch(self, step, state, data, plan, hyper)
        except NotRecordable:
            raise
        except Exception as error:  # drivers, compilers and libraries refuse in many ways
            if self.is_out_of_memory(error):
                raise
            reason = first_reason(error)
            warnings.warn(
                f"{self.name} on {self.device} could not capture the steps ({reason}); "
                "they run one by one, which is slower",
                RuntimeWarning,
                stacklevel=2,
            )
            raise NotRecordable(reason) from error


class Part(NamedTuple):
    """Steps that are launched together: the first one, and the rows of each."""

    first: int
    sizes: tuple[int, ...]


class CapturedEpoch:
    """The graphs of an epoch, and the memory that they use.

    Made like an epoch is run: state, data, plan and hyper are its first ones.
    """

    def __init__(
        self,
        backend: CapturedBackend,
        step: PlannedStep,
        state: Any,
        data: Batch,
        plan: EpochPlan,
        hyper: Hyper,
    ) -> None:
        self.backend, self.kernels = backend, backend.kernels
        self.in_place = plan.order is None
        self.members = 1 if plan.order is None or plan.order.ndim == 1 else len(plan.order)
        self.state, self.hyper = map_tree(self.kernels.copy, (state, hyper))
        self.parts = parts(plan, data)
        steps = max(len(part.sizes) for part in self.parts)
        self.rates = self._empty((steps, *plan.learning_rates.shape[1:]), leaves(state)[0].dtype)
        self.window = data if self.in_place else self._window(data)
        self.plans = {
            size: self._plan(step, plan, size) for part in self.parts for size in part.sizes
        }
        made = next(iter(self.plans.values())).metrics
        self.metrics = self._empty((steps, *made.shape), made.dtype)
        bound = {part.sizes: list(self._calls(plan, part.sizes)) for part in self.parts}
        for calls in self._first_of_each_form(bound):
            for call in calls:
                call()
        with without_garbage_collection():
            self.graphs = {
                sizes: backend.capture([call for calls in steps for call in calls])
                for sizes, steps in bound.items()
            }

    @property
    def how(self) -> str:
        """How an epoch runs, in a few words."""
        graphs, launches = len(self.graphs), len(self.parts)
        return f"{_count(graphs, 'CUDA graph')} in {_count(launches, 'launch')} an epoch"

    def run(self, state: Any, data: Batch, plan: EpochPlan, hyper: Hyper) -> tuple[Any, np.ndarray]:
        """Return the state after the epoch, in memory of its own, and the metrics of all steps."""
        copyto = self.kernels.copyto
        for target, source in zip(
            leaves((self.state, self.hyper)), leaves((state, hyper)), strict=True
        ):
            copyto(target, source)
        rates = self.backend.asarray(plan.learning_rates)
        order = None if plan.order is None else self.backend.asarray(self._in_steps(plan))
        shape = (len(plan.learning_rates), *self.metrics.shape[1:])
        metrics, begin = self._empty(shape, self.metrics.dtype), 0
        for first, sizes in self.parts:
            end, rows = first + len(sizes), self.members * sum(sizes)
            if order is not None:
                for source, target in zip(leaves(data), leaves(self.window), strict=True):
                    self.kernels.gather(source, order[begin : begin + rows], target[:rows, ...])
            copyto(self.rates[: len(sizes), ...], rates[first:end, ...])
            self.graphs[sizes]()
            copyto(metrics[first:end, ...], self.metrics[: len(sizes), ...])
            begin += rows
        return map_tree(self.kernels.copy, self.state), self.backend.to_numpy(metrics)

    def _empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        return self.kernels.empty(shape, dtype)

    def _window(self, data: Batch) -> Batch:
        """Return memory for the rows of the longest part."""
        rows = self.members * max(sum(part.sizes) for part in self.parts)
        window: Batch = map_tree(
            lambda array: self._empty((rows, *array.shape[1:]), array.dtype), data
        )
        return window

    def _in_steps(self, plan: EpochPlan) -> np.ndarray:
        """Return the epoch's row indices, one step after the other, in each member by member."""
        order = np.asarray(plan.order, np.int64)
        if order.ndim == 1:
            return order
        ends = list(accumulate(size for part in self.parts for size in part.sizes))
        pieces = zip([0, *ends], ends, strict=False)
        return np.concatenate([order[:, start:end].ravel() for start, end in pieces])

    def _plan(self, step: PlannedStep, plan: EpochPlan, size: int) -> Plan:
        """Return the plan of a step with so many rows; all work on the same state."""
        hyper = self.hyper._replace(learning_rate=self.rates[0, ...])
        batch = self._batch(plan, 0, size)
        return Plan(self.kernels, self.backend.xp, step.make, self.state, batch, hyper)

    def _batch(self, plan: EpochPlan, row: int, size: int) -> Batch:
        """Return the rows of a step as it takes them, from one on in the window."""
        if plan.order is None:
            return self.window
        lead = (size,) if plan.order.ndim == 1 else (self.members, size)

        def rows(array: Array) -> Array:
            taken = array[row * self.members : (row + size) * self.members, ...]
            return self.backend.xp.reshape(taken, (*lead, *array.shape[1:]))

        batch: Batch = map_tree(rows, self.window)
        return batch

    def _calls(self, plan: EpochPlan, sizes: tuple[int, ...]) -> Iterator[list[Call]]:
        """Yield the calls of each step of a part."""
        row = 0
        for i, size in enumerate(sizes):
            batch = self._batch(plan, row, size)
            yield self.plans[size].bound(batch, self.rates[i, ...], self.metrics[i, ...])
            row += size

    def _first_of_each_form(
        self, bound: dict[tuple[int, ...], list[list[Call]]]
    ) -> list[list[Call]]:
        """Return the calls of the first step of each size and alignment of its rows.

        Libraries choose among kernels by both, and load one when it is first called, which a
        capture may not survive.
        """
        first: dict[Any, list[Call]] = {}
        for sizes, steps in bound.items():
            for size, row, calls in zip(sizes, accumulate(sizes, initial=0), steps, strict=False):
                first.setdefault((size, self._alignment(row)), calls)
        return list(first.values())

    def _alignment(self, row: int) -> tuple[int, ...]:
        """Return what the bytes up to a row of the window can be divided by, up to ALIGNMENT."""
        return tuple(
            gcd(row * self.members * (array.nbytes // array.shape[0]), ALIGNMENT)
            for array in leaves(self.window)
        )


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Keep Python from destroying graphs and handles while another is captured, which fails."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def first_reason(error: BaseException) -> str:
    """Return what began a chain of errors: one within a capture brings others on its way out."""
    while error.__context__ is not None:
        error = error.__context__
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 'es' if noun.endswith('ch') else 's'}"


def parts(plan: EpochPlan, data: Batch) -> list[Part]:
    """Return an epoch's steps in parts of which each becomes a graph; equal ones share it."""
    steps = len(plan.learning_rates)
    if plan.order is None:
        return [Part(i, (data.x.shape[-2],)) for i in range(steps)]
    rows = plan.order.shape[-1]
    sizes = [min(plan.batch_size, rows - i * plan.batch_size) for i in range(steps)]
    of_a_row = sum(array.nbytes // array.shape[0] for array in leaves(data))
    of_a_step = of_a_row * plan.batch_size * (plan.order.size // rows)
    most = max(1, min(STEPS_OF_A_GRAPH, BYTES_OF_A_GRAPH // of_a_step))
    return [Part(i, tuple(sizes[i : i + most])) for i in range(0, steps, most)]
