"""Backends that replay plans: the loop over an epoch in memory that stays the same."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from xpmlp.backends.base import Backend, Compilation, EpochPlan
from xpmlp.compiler.plan import Kernels, Plan
from xpmlp.compiler.recording import NotRecordable
from xpmlp.leaves import leaves, map_tree
from xpmlp.types import Array, Batch, Hyper, Namespace

KEPT_PLANS = 8


class PlannedStep:
    """A function as it is written, what its plans are made from, and its plans."""

    def __init__(self, make: Callable[[Namespace], Callable[..., Any]], xp: Namespace) -> None:
        self.make = make
        self.function = make(xp)
        self.plans = Plans()

    @property
    def how(self) -> str:
        """How the last epoch ran, in a few words."""
        last = next(reversed(self.plans.kept.values()), "no epoch yet")
        return f"step by step, as written ({last})" if isinstance(last, str) else str(last.how)

    def __call__(self, *arguments: Any) -> Any:
        """Run the function as it is written."""
        return self.function(*arguments)


class Plans:
    """The plans of a step that were used last, as each holds memory of its own.

    In place of a plan stands the reason why there is none.
    """

    def __init__(self) -> None:
        self.kept: OrderedDict[Any, Any] = OrderedDict()

    def get(self, key: Any, record: Callable[[], Any]) -> Any:
        """Return the plan of a key, recorded where it is new. Raises NotRecordable."""
        if key not in self.kept:
            if len(self.kept) >= KEPT_PLANS:
                self.kept.popitem(last=False)
            try:
                self.kept[key] = record()
            except NotRecordable as reason:
                self.kept[key] = str(reason)
        self.kept.move_to_end(key)
        plan = self.kept[key]
        if isinstance(plan, str):
            raise NotRecordable(plan)
        return plan


class PlannedBackend(Backend):
    """Runs the mathematics from its recording, or as it is written where it can't be recorded.

    Both give the same numbers within rounding.
    """

    kernels: Kernels

    def compile(
        self,
        make: Callable[[Namespace], Callable[..., Any]],
        wish: Compilation | None = None,  # noqa: ARG002
    ) -> PlannedStep:
        """Return the function that `make` makes; in epochs it is replayed from a plan."""
        return PlannedStep(make, self.xp)

    def run_epoch(
        self, step: Any, state: Any, data: Batch, plan: EpochPlan, hyper: Hyper
    ) -> tuple[Any, np.ndarray]:
        """Replay the step over all batches, each gathered into the same memory."""
        try:
            state, metrics = self._replay(step, state, data, plan, hyper)
        except NotRecordable:
            return super().run_epoch(step, state, data, plan, hyper)
        return map_tree(self.kernels.copy, state), self.to_numpy(metrics)

    def _replay(
        self, step: PlannedStep, state: Any, data: Batch, plan: EpochPlan, hyper: Hyper
    ) -> tuple[Any, Array]:
        """Return the state where the last plan left it, and the metrics of all steps."""
        copyto, gather = self.kernels.copyto, self.kernels.gather
        rates = self.asarray(plan.learning_rates)
        hyper = hyper._replace(learning_rate=rates[0, ...])
        metrics: list[Array] = []
        taken = 0
        for batches in self._batches(plan):
            planned = self._plan(step, state, data, batches[0], hyper)
            self._load((planned.state, planned.hyper), (state, hyper))
            pairs = list(zip(leaves(data), leaves(planned.batch), strict=True))
            rate, run, made = planned.hyper.learning_rate, planned.run, planned.metrics
            kept = self.kernels.empty((len(batches), *made.shape), made.dtype)
            for i, index in enumerate(batches):
                if index is not None:
                    for rows, batch in pairs:
                        gather(rows, index, batch)
                copyto(rate, rates[taken + i, ...])
                run()
                copyto(kept[i, ...], made)
            state, taken = planned.state, taken + len(batches)
            metrics.append(kept)
        return state, self.xp.concat(metrics)

    def _batches(self, plan: EpochPlan) -> Iterator[list[Any]]:
        """Yield the row indices of the full batches, then those of the rest; None: all rows."""
        if plan.order is None:
            yield [None] * len(plan.learning_rates)
            return
        order, size = self.asarray(plan.order), plan.batch_size
        rows = plan.order.shape[-1]
        full = rows - rows % size
        if full:
            yield [order[..., start : start + size] for start in range(0, full, size)]
        if full < rows:
            yield [order[..., full:]]

    def _plan(
        self, step: PlannedStep, state: Any, data: Batch, index: Array | None, hyper: Hyper
    ) -> Plan:
        """Return the plan for rows at an index, or for all rows in place."""
        rows = tuple(map(id, data)) if index is None else tuple(index.shape)
        forms = tuple((tuple(a.shape), a.dtype) for a in leaves((state, data, hyper)))
        planned: Plan = step.plans.get(
            (rows, forms), lambda: self._record(step, state, data, index, hyper)
        )
        return planned

    def _record(
        self, step: PlannedStep, state: Any, data: Batch, index: Array | None, hyper: Hyper
    ) -> Plan:
        def gathered(rows: Array) -> Array:
            assert index is not None
            batch = self.kernels.empty((*index.shape, *rows.shape[1:]), rows.dtype)
            self.kernels.gather(rows, index, batch)
            return batch

        batch = data if index is None else map_tree(gathered, data)
        state, hyper = map_tree(self.kernels.copy, (state, hyper))
        return Plan(self.kernels, self.xp, step.make, state, batch, hyper)

    def _load(self, targets: Any, sources: Any) -> None:
        for target, source in zip(leaves(targets), leaves(sources), strict=True):
            self.kernels.copyto(target, source)
