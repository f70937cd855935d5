"""Recorded functions as programs of the processor: many steps in one call, on all cores.

The program comes from `xpmlp.compiler`, the products from the BLAS library that NumPy has loaded,
each call of which uses one thread: the threads are those of the program.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from xpmlp.backends.numpy.blas import Blas, NoBlas, numpy_blas
from xpmlp.backends.numpy.kernels import NumpyKernels
from xpmlp.backends.numpy.native_jobs import JOB, Lanes, Nets, Pace, address, each, run_jobs
from xpmlp.compiler.building import NoCompiler, load
from xpmlp.compiler.cpu_source import Program, Source
from xpmlp.compiler.cpu_tasks import PARTIAL
from xpmlp.compiler.grouping import group
from xpmlp.compiler.phases import Schedule
from xpmlp.compiler.plan import check_results
from xpmlp.compiler.recording import (
    VIEWS,
    Node,
    NotRecordable,
    Operation,
    Recorded,
    RecordingNamespace,
    Tape,
)
from xpmlp.compiler.rewriting import (
    accumulate_scaled,
    descend,
    descend_decayed,
    rewrite,
)
from xpmlp.leaves import leaves, map_tree
from xpmlp.types import Array, Batch, Hyper, Namespace

RULES = (descend_decayed, descend, accumulate_scaled)
KERNELS = NumpyKernels()
PROBE = "int xpmlp_probe(void) { return 1; }\n"


def record(
    xp: Namespace, make: Callable[[Namespace], Callable[..., Any]], given: tuple[Any, ...]
) -> tuple[Tape, Any, Any]:
    """Return the tape, the nodes that went in, and those that came out. Raises NotRecordable."""
    tape = Tape(xp)
    inputs = tuple(map_tree(lambda leaf: Recorded(leaf, tape), tree) for tree in given)
    try:
        outputs = make(RecordingNamespace(tape))(*inputs)
        if not all(isinstance(leaf, Recorded) for leaf in leaves(outputs)):
            raise NotRecordable("a result is no recorded array")
    except (TypeError, AttributeError, ValueError, IndexError) as error:
        raise NotRecordable(str(error)) from error
    return tape, map_tree(_node, inputs), map_tree(_node, outputs)


def _node(leaf: Recorded) -> Node:
    return leaf.node


class Native:
    """A recorded function, compiled; each memory that `memory` returns can be run on.

    parts: into how many tiles work is cut, which fixes the bits of the results. inputs: the arrays
    of all that it reads. Raises NotRecordable where it can't be compiled here.
    """

    def __init__(
        self,
        operations: list[Operation],
        results: Sequence[Node],
        inputs: dict[Node, Array],
        parts: int,
        gathered: Sequence[tuple[Node, Node]] = (),
        homes: Sequence[tuple[Node, Node]] = (),
        rate: Node | None = None,
        metrics: Node | None = None,
    ) -> None:
        self.operations, self.blas = operations, _blas()
        self.schedule = Schedule(operations, results, gathered, homes, parts)
        self.partial = [
            task.operation.result for task in self.schedule.tasks if task.operation.name == PARTIAL
        ]
        self.scratch: list[Node] = []
        self.places = self.memory(inputs)
        source = Source(self.schedule, self.places)
        program: Program = source.program(self.blas.index_bits, rate, metrics)
        self.nodes, self.scratch = list(program.tables.nodes), list(program.tables.scratch)
        self.places |= {node: np.zeros(*node.form) for node in self.scratch}
        try:
            self.library = load(program.text)
        except NoCompiler as reason:
            raise NotRecordable(str(reason)) from reason
        tiles = [tile for phase in program.tiles for tile in phase]
        self.pieces = np.asarray(tiles, np.int64).reshape(-1, 4)
        self.ends = np.cumsum([len(phase) for phase in program.tiles], dtype=np.int64)
        self.sizes = np.asarray(program.tables.sizes, np.int64)
        self.numbers = np.asarray(program.tables.numbers, np.float64)
        self.pace = Pace()

    def memory(self, inputs: dict[Node, Array]) -> dict[Node, Array]:
        """Return where all nodes lie: inputs where they are, results in memory of their own."""
        places = dict(inputs)
        for operation in self.operations:
            for node in operation.results if operation.name not in VIEWS else ():
                home = self.schedule.homes.get(node)
                places[node] = np.empty(*node.form) if home is None else places[home]
        apart = self.partial + self.scratch
        return self.with_views(places | {node: np.zeros(*node.form) for node in apart})

    def with_views(self, places: dict[Node, Array]) -> dict[Node, Array]:
        """Return places with the views of what lies there."""
        places = dict(places)
        for operation in self.operations:
            if operation.name in VIEWS:
                arguments = [
                    places.get(leaf, leaf.constant) if isinstance(leaf, Node) else leaf
                    for leaf in operation.arguments
                ]
                places[operation.result] = KERNELS.view(operation, arguments)
        return places

    def pointers(self, places: dict[Node, Array]) -> np.ndarray:
        """Return the addresses that the program takes, of one memory; constants are shared."""
        arrays = [places[node] if node in places else self.places[node] for node in self.nodes]
        return np.asarray([address(array) for array in arrays], np.int64)

    def jobs(self, nets: Nets, metrics: np.ndarray) -> np.ndarray:
        """Return a job for each of K nets, without steps; metrics: (K, S, M), written."""
        jobs = np.zeros(len(nets.table), JOB)
        jobs["a"] = each(nets.table)
        jobs["n"], jobs["c"] = address(self.sizes), address(self.numbers)
        jobs["sgemm"], jobs["dgemm"] = self.blas.sgemm, self.blas.dgemm
        jobs["pieces"], jobs["ends"] = address(self.pieces), address(self.ends)
        jobs["phases"] = len(self.ends)
        jobs["metrics"], jobs["metrics_bytes"] = each(metrics), metrics.strides[1]
        return jobs

    def run(self, jobs: np.ndarray, nets: Nets, lanes: Lanes, threads: int, steps: int) -> None:
        """Take so many steps of each job."""
        tables = lanes.of(threads)
        if len(jobs) < threads:
            np.copyto(nets.table, tables[0], where=nets.table == 0)
        with self.blas.one_thread():
            self.pace.run(lambda: run_jobs(self.library, jobs, tables, threads), jobs, steps)


@cache
def why_not() -> str:
    """Return why nothing can be compiled here, "" where it can: a small text was."""
    try:
        numpy_blas()
        load(PROBE)
    except (NoBlas, NoCompiler) as reason:
        return str(reason)
    return ""


def _blas() -> Blas:
    try:
        return numpy_blas()
    except NoBlas as reason:
        raise NotRecordable(str(reason)) from reason


class NativeSteps:
    """A step as a program for batches of one number of rows.

    state, batch, hyper: what it is recorded with. data: the rows that batches are gathered from,
    None where the batch is all rows in place.
    """

    def __init__(
        self,
        xp: Namespace,
        make: Callable[[Namespace], Callable[..., Any]],
        state: Any,
        batch: Batch,
        hyper: Hyper,
        data: Batch | None,
        parts: int,
    ) -> None:
        tape, self.given, (new_state, self.metrics) = record(xp, make, (state, batch, hyper))
        old, new = leaves(self.given[0]), leaves(new_state)
        check_results(tape.operations, old, new, self.metrics)
        results = (*new, self.metrics)
        operations = group(rewrite(tape.operations, results, RULES), results)
        batch_nodes = leaves(self.given[1])
        self.rows = [] if data is None else [Node(node.form) for node in batch_nodes]
        inputs = dict(zip(leaves(self.given), leaves((state, batch, hyper)), strict=True))
        inputs |= dict(zip(self.rows, leaves(data) if data else (), strict=True))
        self.native = Native(
            operations,
            results,
            inputs,
            parts,
            gathered=list(zip(self.rows, batch_nodes, strict=bool(self.rows))),
            homes=list(zip(new, old, strict=True)),
            rate=self.given[2].learning_rate,
            metrics=self.metrics,
        )
        self.batch_size = int(batch.x.shape[-2])
        self.inputs = state, batch, hyper
        nodes = self.native.nodes
        self.gathered = [nodes.index(node) for node in self.rows if node in nodes]
        self.first = self.native.pointers(self.native.places)
        self.lanes = Lanes(self._lane)

    def _lane(self) -> tuple[np.ndarray, dict[Node, Array]]:
        """Return memory for what a step computes."""
        state, batch, hyper = self.inputs
        if self.rows:
            batch = map_tree(np.empty_like, batch)
        inputs = dict(zip(leaves(self.given), leaves((state, batch, hyper)), strict=True))
        places = self.native.memory(inputs)
        return self.native.pointers(places), places

    def run(
        self,
        held: tuple[Any, Hyper],
        data: Batch,
        order: np.ndarray | None,
        rates: np.ndarray,
        metrics: np.ndarray,
        threads: int,
    ) -> None:
        """Take the steps of K nets, which read and overwrite their states and numbers.

        held: both, over a leading axis (K, ...). order: int64 row indices (K, n), one step after
        the other. rates: (K, S). metrics: (K, S, M), written.
        """
        nets = Nets(self.first, len(rates))
        state, _, hyper = self.inputs
        for template, array in zip(leaves((state, hyper)), leaves(held), strict=True):
            nets.put(template, array, each(array))
        for column, rows in zip(self.gathered, leaves(data), strict=bool(self.gathered)):
            nets.table[:, column] = address(rows)
        jobs = self.native.jobs(nets, metrics)
        jobs["batch_size"] = self.batch_size
        jobs["rates"], jobs["rate_bytes"] = each(rates), rates.itemsize
        if order is not None:
            jobs["order"] = each(order)
        self.native.run(jobs, nets, self.lanes, threads, rates.shape[1])
