"""What a compiled program is run on: the memory of many nets, and that of the threads.

What a net keeps (its state, its numbers) lies in arrays over a leading axis of nets. What a step
computes on its way lies in lanes, one a thread: hundreds of nets need no more of these than a few.
"""

import ctypes
import time
from collections.abc import Callable

import numpy as np

SECONDS = 0.25  # of work in one call, so that a program stays open to signals
FASTER = 8  # times as many steps in the next call, until it takes so long

# Some steps of one net, as `head.h` has it: addresses and numbers.
FIELDS = """a n c sgemm dgemm pieces ends phases order batch_size rates rate_bytes metrics
    metrics_bytes step last moving moved"""
JOB = np.dtype([(name, np.int64) for name in FIELDS.split()])


def address(array: np.ndarray) -> int:
    """Return where an array lies."""
    return int(array.ctypes.data)


def each(array: np.ndarray) -> np.ndarray:
    """Return where each part of an array (K, ...) lies, (K,)."""
    return address(array) + np.arange(len(array), dtype=np.int64) * array.strides[0]


class Lanes:
    """The addresses that a program takes, of each of so many threads, one below the other.

    make: returns those of a memory of its own, and the arrays, which must live as long.
    """

    def __init__(self, make: Callable[[], tuple[np.ndarray, object]]) -> None:
        self.make = make
        self.kept: list[object] = []
        self.table = np.empty((0, 0), np.int64)

    def of(self, threads: int) -> np.ndarray:
        """Return the addresses (T, n) of at least so many threads."""
        while len(self.table) < threads:
            pointers, arrays = self.make()
            self.kept.append(arrays)
            self.table = np.vstack([*self.table, pointers])
        return self.table


class Nets:
    """The addresses (K, n) that lie apart in each of K nets; 0: they are those of a lane.

    pointers: those of the memory that the program was made with.
    """

    def __init__(self, pointers: np.ndarray, count: int) -> None:
        self.pointers = pointers
        self.table = np.zeros((count, len(pointers)), np.int64)
        self.alive: list[object] = []

    def put(self, template: np.ndarray, array: np.ndarray, bases: np.ndarray | int) -> np.ndarray:
        """Let an array take the place of one of the program's memory, and of all views of that.

        bases: where it lies for each net, (K,), or for all. Returns the columns that it takes.
        """
        begin = address(template)
        columns = np.flatnonzero(
            (self.pointers >= begin) & (self.pointers < begin + max(1, template.nbytes))
        )
        offsets = self.pointers[columns] - begin
        self.table[:, columns] = np.reshape(bases, (-1, 1)) + offsets
        self.alive.append(array)
        return columns


class Pace:
    """How many steps fit into SECONDS, by what the last call took."""

    def __init__(self) -> None:
        self.each = 1

    def run(self, call: Callable[[], object], jobs: np.ndarray, steps: int) -> None:
        """Take so many steps of each job, in calls that each take about SECONDS."""
        done = 0
        while done < steps:
            began, last = time.perf_counter(), min(steps, done + self.each)
            jobs["last"] = last
            call()
            seconds = time.perf_counter() - began
            fitting = int((last - done) * SECONDS / max(seconds, 1e-9))
            self.each, done = max(1, min(fitting, FASTER * self.each)), last


def run_jobs(library: ctypes.CDLL, jobs: np.ndarray, lanes: np.ndarray, threads: int) -> None:
    """Take the steps of jobs: on a thread each, or where there are too few all threads on each."""
    if len(jobs) >= threads:
        few = ctypes.c_int(threads)
        size, nodes = ctypes.c_longlong(len(jobs)), ctypes.c_longlong(lanes.shape[1])
        place, of_lanes = ctypes.c_void_p(address(jobs)), ctypes.c_void_p(address(lanes))
        library.run_each(place, size, few, of_lanes, nodes)
        return
    for k in range(len(jobs)):
        library.run(ctypes.c_void_p(address(jobs[k : k + 1])), ctypes.c_int(threads))
