"""Programs of the processor, for the tests: small nets cut as large ones, and what each must be."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from xpmlp.backends.base import Backend, Compilation
from xpmlp.backends.numpy import compiled
from xpmlp.backends.numpy.backend import NumpyBackend
from xpmlp.backends.numpy.native import NativeSteps, why_not
from xpmlp.compiler import building, phases
from xpmlp.leaves import leaves
from xpmlp.training.step import make_step

LARGE = {"SMALL_STEP": 0, "SMALL_TASK": 64, "WIDE": 2**15}  # by which small nets are large
SMALL = {"SMALL_STEP": 2**60, "SMALL_TASK": 2**12, "WIDE": 2**15}
MANY_PROCESSORS = 8


def native_or_skip(dtype: str = "float64") -> NumpyBackend:
    """Return NumPy's backend where it can compile, else skip the test."""
    if why_not():
        pytest.skip(why_not())
    return NumpyBackend("cpu", dtype)


@contextmanager
def cut(sizes: dict[str, int]) -> Iterator[None]:
    """Have steps cut into phases by these sizes, and as many processors as any test has threads."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in sizes.items():
            patch.setattr(phases, name, value)
        patch.setattr(compiled, "usable_processors", lambda: MANY_PROCESSORS)
        yield


@contextmanager
def compiled_quickly() -> Iterator[None]:
    """Have texts compiled as they stand: in a third of the time, to slower loops."""
    kept = [flag for flag in building.FLAGS if not flag.startswith(("-O", "-ftree"))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(building, "FLAGS", ("-O0", *kept))
        yield


def compiled_step(backend: Backend, objective, threads: int = 2, parts: int = 2):
    """Return the step of an objective, to be compiled."""
    return backend.compile(lambda xp: make_step(xp, objective), Compilation(threads, parts))


def programs(step) -> list[NativeSteps]:
    """Return the programs of a step, which must have run as nothing else."""
    kept = list(step.programs.kept.values())
    assert kept
    assert all(isinstance(one, NativeSteps) for one in kept), kept
    assert not step.plans.kept
    assert step.how.startswith("compiled for the processor, ")
    return kept


def turned(step) -> None:
    """Have the tiles of each phase taken in the opposite order, in memory that holds NaN, or 77.

    What reads a tile of another chain, or before it was written, then shows.
    """
    for program in programs(step):
        first = 0
        for end in program.native.ends:
            program.native.pieces[first:end] = program.native.pieces[first:end][::-1].copy()
            first = end
        given = {*leaves(program.given), *program.rows}
        program.lanes.of(MANY_PROCESSORS)
        held = {leaf.ctypes.data for leaf in leaves(program.inputs)}
        for places in program.lanes.kept:
            for node, array in places.items():
                own = node.base is None and node not in given and array.ctypes.data not in held
                if own:
                    array.fill(np.nan if array.dtype.kind == "f" else 77)


def assert_same_bits(ours, expected) -> None:
    """Compare two trees of arrays bit by bit."""
    for mine, theirs in zip(leaves(ours), leaves(expected), strict=True):
        assert (mine.dtype, mine.shape) == (theirs.dtype, theirs.shape)
        np.testing.assert_array_equal(mine, theirs)
