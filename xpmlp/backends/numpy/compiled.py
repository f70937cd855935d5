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

        params: of one net, or over a leading axis of K, which then give the metrics (m, K), and
        the outputs of the last block alone.
        """
        params, rows = map_tree(_row_by_row, (params, rows))
        count = rows.x.shape[0]
        several = params[0].W.ndim == 3
        nets = [_of_net(params, k) for k in range(len(params[0].W))] if several else [params]
        made = []
        for begin, end in ((0, count - count % most), (count - count % most, count)):
            if begin == end:
                continue
            some = map_tree(lambda array: array[begin:end], rows)  # noqa: B023
            size = min(most, end - begin)
            program = self._rows(nets[0], map_tree(lambda array: array[:size], some))  # noqa: B023
            outputs, metrics = program.run(nets, some, self.threads)
            for block in range((end - begin) // size):
                table = metrics[:, block]
                out = outputs[0][block * size : (block + 1) * size] if not several else outputs[-1]
                made.append((out, np.moveaxis(table, 0, -1) if several else table[0]))
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
        state, data, hyper = map_tree(_row_by_row, (state, data, hyper))
        rates = np.ascontiguousarray(backend.asarray(plan.learning_rates).T)
        nets = len(rates) if rates.ndim == 2 else None
        states = [_of_net(state, k) for k in range(nets)] if nets else [state]
        hypers = [_of_net(hyper, k) for k in range(nets)] if nets else [hyper]
        rates = rates.reshape(len(states), -1)
        metrics = []
        for stretch in stretches(plan, len(states), data.x.shape[0]):
            steps = self._steps(states[0], data, hypers[0], stretch)
            count = stretch.last - stretch.first
            kept = np.empty((len(states), count, *steps.metrics.form[0]), steps.metrics.form[1])
            some = np.ascontiguousarray(rates[:, stretch.first : stretch.last])
            jobs = []
            instances = steps.nets(len(states))
            for k, net in enumerate(instances):
                _load((net.state, net.hyper), (states[k], hypers[k]))
                order = None if stretch.order is None else stretch.order[k]
                jobs.append(net.job(data, order, some[k], kept[k]))
            steps.run(jobs, count, self.threads)
            states = [net.state for net in instances]
            metrics.append(kept)
        joined = np.concatenate(metrics, axis=1)
        self.compiled = f"compiled for the processor, {_count(self.threads)}"
        if nets is None:
            return map_tree(np.copy, states[0]), joined[0]
        return map_tree(_join, state, *states), np.moveaxis(joined, 0, -1)

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


def _of_net(tree: Any, k: int) -> Any:
    """Return what net k has of arrays (K, ...); those of no axes are the same for all."""
    return map_tree(lambda leaf: leaf[k, ...] if leaf.ndim else leaf, tree)


def _join(before: np.ndarray, *leaves: np.ndarray) -> np.ndarray:
    return np.stack(leaves) if before.ndim else leaves[0].copy()


def _load(targets: Any, sources: Any) -> None:
    for target, source in zip(leaves(targets), leaves(sources), strict=True):
        np.copyto(target, source)


def _count(threads: int) -> str:
    return f"{threads} thread{'s' * (threads > 1)}"
