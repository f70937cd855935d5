"""A backend whose steps are shared by several ranks: the same text, one all-reduce in each step.

Between a step's gradients and its update its parts become one (`mean.across`). What the backend
records and replays is recorded and replayed with that call inside.
"""

import time
import zlib
from collections.abc import Callable, Sequence
from copy import copy
from operator import itemgetter
from typing import Any

import numpy as np

from xpmlp.backends.base import Backend, EpochPlan, Step, blocks
from xpmlp.compiler.plan import Call
from xpmlp.compiler.recording import ACROSS, Operation
from xpmlp.distributed.costs import Costs
from xpmlp.distributed.mean import Exchange, across, buffer_shape
from xpmlp.distributed.ranks import Ranks, table_of
from xpmlp.distributed.shares import stretches
from xpmlp.errors import InputError, RunError
from xpmlp.leaves import leaves, map_tree
from xpmlp.types import Array, Batch, Hyper, Namespace, Params, Part


def over_ranks(backend: Backend, ranks: Ranks) -> Backend:
    """Return a backend whose steps and evaluations the ranks share; of one rank as it is.

    Every rank makes the same calls. Raises InputError for a GPU.
    """
    if ranks.size == 1:
        return backend
    if backend.device != "cpu":
        raise InputError(
            f"device is {backend.device}, and several processes share a net's steps on CPUs alone; "
            "choose --device cpu, or leave mpiexec away"
        )
    kind = type(f"Shared{type(backend).__name__}", (SharedSteps, type(backend)), {})
    made: Any = copy(backend)
    made.__class__ = kind
    made.share_with(ranks)
    shared: Backend = made
    return shared


class SharedSteps(Backend):
    """What of a backend is different where ranks share its steps; mixed into its class."""

    across = staticmethod(across)
    ranks: Ranks
    costs: Costs
    kernels: Any

    def share_with(self, ranks: Ranks) -> None:
        """Begin to share steps with others."""
        self.ranks, self.costs, self.exchange = ranks, Costs(), Exchange(ranks)
        self.xp = SharedNamespace(self.xp, self._mean_across)
        if hasattr(self, "kernels"):
            self.kernels = SharedKernels(self.kernels, self.exchange, self.to_numpy)

    def why_not_compiled(self) -> str:
        """Return why steps are replayed: a compiled epoch never comes back between its steps."""
        return f"{self.ranks.size} processes share each step"

    def run_epoch(
        self, step: Step, state: Any, data: Batch, plan: EpochPlan, hyper: Hyper
    ) -> tuple[Any, np.ndarray]:
        """Run this rank's share of every batch; state and metrics are those of all."""
        begun, metrics = time.perf_counter(), []
        rows = int(data.x.shape[-2])
        for own, shift, counts in stretches(plan, rows, self.ranks.rank, self.ranks.size):
            part = self.put(Part(np.asarray(shift), np.asarray(counts)))
            some = hyper._replace(part=part)
            state, made = super().run_epoch(step, state, data, own, some)
            metrics.append(made)
        self.synchronize(state)
        self._compare(state, time.perf_counter() - begun)
        return state, np.concatenate(metrics)

    def _compare(self, state: Any, seconds: float) -> None:
        """Tell the others how long the steps took. Raises RunError where weights went apart."""
        check = 0
        for leaf in leaves(state):
            host: Any = np.ascontiguousarray(self.to_numpy(leaf))
            check = zlib.crc32(host, check)
        table = table_of(self.ranks, np.array([check, seconds, *self.exchange.taken()]))
        self.costs.add(table[:, 1], table[:, 2:], self.exchange.bytes)
        if apart := [rank for rank in range(self.ranks.size) if table[rank, 0] != table[0, 0]]:
            raise RunError(
                f"rank {', '.join(map(str, apart))} came to other weights than rank 0 by the same "
                "sums; is a machine faulty, or its MPI another?"
            )

    def shared(self) -> dict[str, Any] | None:
        """Return what a step has cost so far."""
        return self.costs.figures(self.ranks.size)

    def run_metrics(
        self, function: Callable[..., Any], params: Params, rows: Batch, most: int
    ) -> list[Array]:
        """Return the metrics of all blocks of rows, of which each rank evaluates some."""
        pieces = list(blocks(int(rows.x.shape[0]), most))
        count, table = len(pieces), None
        own = range(self.ranks.rank, count, self.ranks.size)
        for i in own or range(count)[:1]:  # who has none learns the shape from the first
            block = map_tree(itemgetter((pieces[i], ...)), rows)
            (metrics,) = super().run_metrics(function, params, block, most)
            found = self.to_numpy(metrics).astype(np.float64)
            table = np.zeros((count, *found.shape)) if table is None else table
            table[i] = found if own else 0.0
        if table is None:
            return []
        self.ranks.all_sum(table)
        return [self.asarray(one) for one in table]

    def _record(self, *arguments: Any) -> Any:
        """Record as the backend does, without a word to the others, who may not record now."""
        with self.exchange.recording():
            return super()._record(*arguments)  # type: ignore[misc]

    def _mean_across(self, parts: Sequence[Array], weight: Array) -> Array:
        """Return the buffer of `mean.across` for a step that runs as it is written."""

        shape = buffer_shape(parts)

        def mean(*hosts: np.ndarray) -> np.ndarray:
            out = np.empty(shape, self.dtype)
            *parts, own = map(np.asarray, hosts)
            self.exchange.call(out, parts, own)()
            return out

        return self.on_host(mean, shape, *parts, weight)


class SharedNamespace:
    """The namespace of a library, with the mean over ranks."""

    def __init__(self, xp: Namespace, mean: Callable[..., Array]) -> None:
        self._xp = xp
        setattr(self, ACROSS, mean)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._xp, name)


class SharedKernels:
    """The calls of a library that replays plans, with the mean over ranks."""

    def __init__(self, kernels: Any, exchange: Exchange, to_numpy: Callable[..., Any]) -> None:
        self._kernels, self._exchange, self._to_numpy = kernels, exchange, to_numpy

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kernels, name)

    def calls(self, operation: Operation, arguments: list[Any], outs: list[Array]) -> list[Call]:
        """Return the calls that write an operation's results into `outs`."""
        if operation.name != ACROSS:
            made: list[Call] = self._kernels.calls(operation, arguments, outs)
            return made
        parts, weight = arguments
        hosts = [self._to_numpy(part) for part in parts]
        return [self._exchange.call(self._to_numpy(outs[0]), hosts, self._to_numpy(weight))]
