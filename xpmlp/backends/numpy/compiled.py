"""Functions of NumPy's backend that are compiled for the processor, where that can be."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from xpmlp.backends.base import Backend, Compilation, EpochPlan
from xpmlp.backends.numpy.native import NativeSteps
from xpmlp.backends.numpy.native_rows import NativeRows
from xpmlp.backends.planned import PlannedStep, Plans
from xpmlp.leaves import leaves, map_tree
from xpmlp.processors import usable_processors
from xpmlp.types import Batch, Hyper, Namespace, Params


class Stretch(NamedTuple):
    """Steps of an epoch with as many rows each: the first, one behind the last, and their rows.

    order: their row indices, one step after the other in the last axis; None: all rows in place.
    """

    first: int
    last: int
    batch_size: int
    order: np.ndarray | None


class CompiledStep(PlannedStep):
    """A function as a program of the processor; where it can't be one, replayed from a plan."""

    def __init__(
        self, make: Callable[[Namespace], Callable[..., Any]], xp: Namespace, wish: Compilation
    ) -> None:
        super().__init__(make, xp)
        self.xp, self.wish = xp, wish
        self.threads = min(wish.threads, usable_processors())
        self.programs = Plans()
        self.compiled = self.why_not = ""

    @property
    def how(self) -> str:
        """How the last epoch ran, in a few words."""
        return self.compiled or f"{super().how}; not compiled: {self.why_not}"

    def run_rows(self, params: Params, rows: Batch, most: int) -> list[tuple[Any, np.ndarray]]:
        """Return outputs and metrics of each block of at most so many rows. Raises NotRecordable.

        params: of one net; or over a leading axis of K, which give the metrics (m, K), and no
        outputs.
        """
        params, rows = map_tree(_row_by_row, (params, rows))
        count, several = rows.x.shape[0], params[0].W.ndim == 3
        if not several:
            params = map_tree(lambda leaf: leaf[None], params)
        first, made = map_tree(lambda leaf: leaf[0], params), []
        for begin, end in ((0, count - count % most), (count - count % most, count)):
            if begin == end:
                continue
            some = map_tree(lambda array: array[begin:end], rows)  # noqa: B023
            size = min(most, end - begin)
            program = self._rows(first, map_tree(lambda array: array[:size], some))  # noqa: B023
            outputs, metrics = program.run(params, some, self.threads)
            for block in range((end - begin) // size):
                table = metrics[:, block]
                if outputs is None:
                    made.append((None, np.moveaxis(table, 0, -1)))
                else:
                    made.append((outputs[block * size : (block + 1) * size], table[0]))
        return made

    def _rows(self, params: Params, batch: Batch) -> NativeRows:
        forms = tuple((a.shape, a.dtype) for a in leaves((params, batch)))
        program: NativeRows = self.programs.get(
            forms, lambda: NativeRows(self.xp, self.make, params, batch, self.wish.parts)
        )
        return program

    def run_epoch(
        self, backend: Backend, state: Any, data: Batch, plan: EpochPlan, hyper: Hyper
    ) -> tuple[Any, np.ndarray]:
        """Return the state after an epoch and the metrics of all steps. Raises NotRecordable."""
        data = map_tree(_row_by_row, data)
        rates = np.ascontiguousarray(backend.asarray(plan.learning_rates).T)
        nets = len(rates) if rates.ndim == 2 else None
        held = map_tree(lambda leaf: _held(leaf, nets), (state, hyper))
        rates = rates.reshape(nets or 1, -1)
        first = map_tree(lambda leaf: leaf[0, ...], held)
        metrics = []
        for stretch in stretches(plan, nets or 1, data.x.shape[0]):
            steps = self._steps(first[0], data, first[1], stretch)
            some = np.ascontiguousarray(rates[:, stretch.first : stretch.last])
            kept = np.empty((*some.shape, *steps.metrics.form[0]), steps.metrics.form[1])
            steps.run(held, data, stretch.order, some, kept, self.threads)
            metrics.append(kept)
        joined = np.concatenate(metrics, axis=1)
        self.compiled = f"compiled for the processor, {_count(self.threads)}"
        if nets is None:
            return map_tree(lambda leaf: leaf[0, ...], held[0]), joined[0]
        made = map_tree(lambda leaf, old: leaf if old.ndim else leaf[0, ...], held[0], state)
        return made, np.moveaxis(joined, 0, -1)

    def _steps(self, state: Any, data: Batch, hyper: Hyper, stretch: Stretch) -> NativeSteps:
        """Return the program for batches of so many rows."""
        in_place = stretch.order is None
        forms = tuple((a.shape, a.dtype) for a in leaves((state, data, hyper)))
        key = (stretch.batch_size, forms, tuple(map(id, data)) if in_place else None)

        def made() -> NativeSteps:
            rows = stretch.batch_size
            batch = data
            if not in_place:
                batch = map_tree(lambda a: np.zeros((rows, *a.shape[1:]), a.dtype), data)
            copies = map_tree(np.copy, (state, hyper))
            source = None if in_place else data
            parts = self.wish.parts
            return NativeSteps(self.xp, self.make, copies[0], batch, copies[1], source, parts)

        steps: NativeSteps = self.programs.get(key, made)
        return steps


def stretches(plan: EpochPlan, nets: int, rows: int) -> Iterator[Stretch]:
    """Yield the full batches of an epoch, then the rest."""
    steps, size = len(plan.learning_rates), plan.batch_size
    if plan.order is None:
        yield Stretch(0, steps, rows, None)
        return
    order = np.asarray(plan.order, np.int64)
    order = np.broadcast_to(order, (nets, order.shape[-1]))
    full = order.shape[-1] // size
    if full:
        yield Stretch(0, full, size, np.ascontiguousarray(order[:, : full * size]))
    if full < steps:
        rest = np.ascontiguousarray(order[:, full * size :])
        yield Stretch(full, steps, rest.shape[1], rest)


def _row_by_row(array: np.ndarray) -> np.ndarray:
    """Return an array as programs read it, copied where it does not lie so."""
    return np.asarray(array, order="C")


def _held(leaf: np.ndarray, nets: int | None) -> np.ndarray:
    """Return memory (K, ...) for a leaf of each net; one of no axes is the same for all."""
    if nets is None:
        return np.array(leaf, order="C")[None]
    return np.array(leaf, order="C") if leaf.ndim else np.repeat(leaf, nets)


def _count(threads: int) -> str:
    return f"{threads} thread{'s' * (threads > 1)}"
