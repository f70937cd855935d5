"""Recorded functions of rows as programs of the processor: all rows in one call."""

from collections.abc import Callable
from typing import Any

import numpy as np

from xpmlp.backends.numpy.native import RULES, Native, record
from xpmlp.backends.numpy.native_jobs import Lanes, Nets, address, each
from xpmlp.compiler.grouping import group
from xpmlp.compiler.plan import check_results
from xpmlp.compiler.recording import Node
from xpmlp.compiler.rewriting import rewrite
from xpmlp.leaves import leaves
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
        inputs = dict(zip(leaves(given), leaves((params, batch)), strict=True))
        self.inputs = params, batch
        self.native = Native(operations, results, inputs, parts, metrics=self.metrics)
        self.first = self.native.pointers(self.native.places)
        self.lanes = Lanes(lambda: self._lane(inputs))
        self.rows = int(batch.x.shape[-2])

    def _lane(self, inputs: dict[Node, Array]) -> tuple[np.ndarray, dict[Node, Array]]:
        """Return memory for what a block computes."""
        places = self.native.memory(inputs)
        return self.native.pointers(places), places

    def run(self, params: Params, rows: Batch, threads: int) -> tuple[Array | None, np.ndarray]:
        """Return the outputs of one net, None of several, and the metrics (K, S, m) of each block.

        params: (K, ...). rows: S blocks of as many rows as it was recorded with.
        """
        count, blocks = len(params[0].W), rows.x.shape[0] // self.rows
        metrics = np.empty((count, blocks, *self.metrics.form[0]), self.metrics.form[1])
        nets, outputs, moved = Nets(self.first, count), None, []
        for template, array in zip(leaves(self.inputs[0]), leaves(params), strict=True):
            nets.put(template, array, each(array))
        moving = list(zip(leaves(self.inputs[1]), leaves(rows), strict=True))
        if count == 1:
            made = self.native.places[self.outputs]
            outputs = np.empty((blocks * self.rows, *made.shape[1:]), made.dtype)
            moving.append((made, outputs))
        for template, array in moving:
            columns = nets.put(template, array, address(array))
            moved += [(column, template.nbytes) for column in columns]
        steps = np.asarray(moved, np.int64).reshape(-1, 2)
        jobs = self.native.jobs(nets, metrics)
        jobs["moving"], jobs["moved"] = len(steps), address(steps)
        self.native.run(jobs, nets, self.lanes, threads, blocks)
        return outputs, metrics
