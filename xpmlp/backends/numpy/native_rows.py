"""Recorded functions of rows as programs of the processor: all rows in one call."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from xpmlp.backends.numpy.native import RULES, Native, Pace, record
from xpmlp.compiler.grouping import group
from xpmlp.compiler.plan import check_results
from xpmlp.compiler.recording import Node
from xpmlp.compiler.rewriting import rewrite
from xpmlp.leaves import leaves, map_tree
from xpmlp.types import Array, Batch, Namespace, Params


class NativeRows:
    """A function (params, batch) -> (outputs, metrics) as a program for blocks of so many rows.

    params, batch: what it is recorded with.
    """

    def __init__(
        self,
        xp: Namespace,
        make: Callable[[Namespace], Callable[..., Any]],
        params: Params,
        batch: Batch,
        parts: int,
    ) -> None:
        tape, given, (self.outputs, self.metrics) = record(xp, make, (params, batch))
        results = (self.outputs, self.metrics)
        check_results(tape.operations, (), (), *results)
        operations = group(rewrite(tape.operations, results, RULES), results)
        self.params, self.batch = leaves(given[0]), leaves(given[1])
        inputs = self._inputs(params, batch)
        self.native = Native(operations, results, inputs, parts, metrics=self.metrics)
        self.kept = [self.native.places]
        self.rows, self.pace = int(batch.x.shape[-2]), Pace()

    def run(
        self, nets: Sequence[Params], rows: Batch, threads: int
    ) -> tuple[list[Array], np.ndarray]:
        """Return the outputs of each net, and the metrics of each and of each block, (K, S, m).

        rows: S blocks of as many rows as it was recorded with. The outputs of several nets are
        those of the last block alone.
        """
        blocks = rows.x.shape[0] // self.rows
        metrics = np.empty((len(nets), blocks, *self.metrics.form[0]), self.metrics.form[1])
        jobs, outputs, alive = [], [], []
        first = map_tree(lambda array: array[: self.rows], rows)
        alone = len(nets) == 1
        for params, places, table in zip(nets, self._memory(len(nets)), metrics, strict=True):
            out = places[self.outputs]
            if alone:
                out = np.empty((blocks * self.rows, *out.shape[1:]), out.dtype)
            given = self._inputs(params, first) | {self.outputs: out[: self.rows]}
            placed = self.native.with_views(places | given)
            pointers, moved = self.native.pointers(placed), self._moved(placed, alone)
            job = self.native.job(pointers)
            job.metrics, job.metrics_bytes = table.ctypes.data, table[0].nbytes
            job.moving, job.moved = len(moved), moved.ctypes.data
            jobs.append(job)
            outputs.append(out)
            alive.append((pointers, moved))
        self.pace.run(self.native, jobs, blocks, threads)
        return outputs, metrics

    def _inputs(self, params: Params, batch: Batch) -> dict[Node, Array]:
        nodes = [*self.params, *self.batch]
        return dict(zip(nodes, leaves((params, batch)), strict=True))

    def _memory(self, count: int) -> list[dict[Node, Array]]:
        """Return memory for so many nets at once."""
        while len(self.kept) < count:
            first = self.kept[0]
            inputs = {node: first[node] for node in (*self.params, *self.batch)}
            self.kept.append(self.native.memory(inputs))
        return self.kept[:count]

    def _moved(self, places: dict[Node, Array], outputs_too: bool) -> np.ndarray:
        """Return which arrays lie further on in the next block, and by how many bytes, (n, 2)."""
        moving = {*self.batch, self.outputs} if outputs_too else {*self.batch}
        pairs = [
            (k, places[node.owner].nbytes)
            for k, node in enumerate(self.native.nodes)
            if node.owner in moving
        ]
        return np.asarray(pairs, np.int64).reshape(-1, 2)
