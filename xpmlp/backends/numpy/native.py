"""Recorded functions as programs of the processor: many steps in one call, on all cores.

The program comes from `xpmlp.compiler`, the products from the BLAS library that NumPy has loaded,
each call of which uses one thread: the threads are those of the program.
"""

import ctypes
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from xpmlp.backends.numpy.blas import Blas, NoBlas, numpy_blas
from xpmlp.backends.numpy.kernels import NumpyKernels
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
SECONDS = 0.25  # of work in one call, so that a program stays open to signals
FASTER = 8  # times as many steps in the next call, until it takes so long
KERNELS = NumpyKernels()
PROBE = "int xpmlp_probe(void) { return 1; }\n"


class Job(ctypes.Structure):
    """Some steps, as `head.h` has it."""

    _fields_ = (
        ("a", ctypes.c_void_p),
        ("n", ctypes.c_void_p),
        ("c", ctypes.c_void_p),
        ("sgemm", ctypes.c_void_p),
        ("dgemm", ctypes.c_void_p),
        ("pieces", ctypes.c_void_p),
        ("ends", ctypes.c_void_p),
        ("phases", ctypes.c_longlong),
        ("order", ctypes.c_void_p),
        ("batch_size", ctypes.c_longlong),
        ("rates", ctypes.c_void_p),
        ("rate_bytes", ctypes.c_longlong),
        ("metrics", ctypes.c_void_p),
        ("metrics_bytes", ctypes.c_longlong),
        ("step", ctypes.c_longlong),
        ("last", ctypes.c_longlong),
        ("moving", ctypes.c_longlong),
        ("moved", ctypes.c_void_p),
    )


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
        return np.asarray([array.ctypes.data for array in arrays], np.uintp)

    def job(self, pointers: np.ndarray) -> Job:
        """Return a job on these addresses, without steps."""
        return Job(
            a=pointers.ctypes.data,
            n=self.sizes.ctypes.data,
            c=self.numbers.ctypes.data,
            sgemm=self.blas.sgemm,
            dgemm=self.blas.dgemm,
            pieces=self.pieces.ctypes.data,
            ends=self.ends.ctypes.data,
            phases=len(self.ends),
        )

    def run(self, job: Job, threads: int) -> None:
        """Take the steps of a job."""
        with self.blas.one_thread():
            self.library.run(ctypes.byref(job), ctypes.c_int(threads))

    def run_each(self, jobs: Sequence[Job], threads: int) -> None:
        """Take the steps of jobs that have nothing to do with each other, a thread for each."""
        if len(jobs) < threads:
            for job in jobs:
                self.run(job, threads)
            return
        addresses = (ctypes.c_void_p * len(jobs))(*map(ctypes.addressof, jobs))
        with self.blas.one_thread():
            self.library.run_each(addresses, ctypes.c_longlong(len(jobs)), ctypes.c_int(threads))


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


class Pace:
    """How many steps fit into SECONDS, by what the last call took."""

    def __init__(self) -> None:
        self.each = 1

    def run(self, native: Native, jobs: Sequence[Job], steps: int, threads: int) -> None:
        """Take so many steps of each job, in calls that each take about SECONDS."""
        done = 0
        while done < steps:
            began, last = time.perf_counter(), min(steps, done + self.each)
            for job in jobs:
                job.last = last
            native.run_each(jobs, threads)
            seconds = time.perf_counter() - began
            fitting = int((last - done) * SECONDS / max(seconds, 1e-9))
            self.each, done = max(1, min(fitting, FASTER * self.each)), last


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
        self.instances = [Instance(self, state, batch, hyper)]
        self.pace = Pace()

    def nets(self, count: int) -> "list[Instance]":
        """Return memory for so many nets."""
        first = self.instances[0]
        while len(self.instances) < count:
            batch = map_tree(np.empty_like, first.batch) if self.rows else first.batch
            state, hyper = map_tree(np.copy, (first.state, first.hyper))
            self.instances.append(Instance(self, state, batch, hyper))
        return self.instances[:count]

    def run(self, jobs: Sequence[Job], steps: int, threads: int) -> None:
        """Take so many steps of each job."""
        self.pace.run(self.native, jobs, steps, threads)


class Instance:
    """The memory in which one net takes its steps: they read and overwrite its state."""

    def __init__(self, steps: NativeSteps, state: Any, batch: Batch, hyper: Hyper) -> None:
        self.steps, self.state, self.batch, self.hyper = steps, state, batch, hyper
        inputs = dict(zip(leaves(steps.given), leaves((state, batch, hyper)), strict=True))
        self.places = steps.native.memory(inputs)
        nodes = steps.native.nodes
        self.gathered = [nodes.index(node) for node in steps.rows if node in nodes]
        self.pointers = steps.native.pointers(self.places)

    def job(
        self, data: Batch, order: np.ndarray | None, rates: np.ndarray, metrics: np.ndarray
    ) -> Job:
        """Return a job of as many steps as there are rates; all arrays must live as long.

        order: int64 row indices, one step after the other. rates: (S,). metrics: (S, M), written.
        """
        steps = self.steps
        for place, rows in zip(self.gathered, leaves(data), strict=bool(self.gathered)):
            self.pointers[place] = rows.ctypes.data
        job = steps.native.job(self.pointers)
        job.order = None if order is None else order.ctypes.data
        job.batch_size = steps.batch_size
        job.rates, job.rate_bytes = rates.ctypes.data, rates.itemsize
        job.metrics, job.metrics_bytes = metrics.ctypes.data, metrics[0].nbytes
        return job
