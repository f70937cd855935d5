"""How a command finds out that it is one of several ranks, and how they begin and end together.

`mpiexec -n 4 python -m mpi4py -m xpmlp.train …`: what `python -m mpi4py` starts is a rank. Rank 0
alone prints; what another one had to say is heard only where it alone fails.
"""

import io
import os
import sys
from collections.abc import Callable
from typing import Any

from xpmlp.console import warn
from xpmlp.distributed.alone import Alone
from xpmlp.errors import EXIT_BAD_INPUT, EXIT_INTERRUPTED, EXIT_RUN_FAILED
from xpmlp.processors import usable_processors

STARTER = "mpi4py.run"
SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE")  # set by launchers for the processes of a job
RANKS = ("PMI_RANK", "OMPI_COMM_WORLD_RANK")
TIMEOUT, PATIENCE = "XPMLP_RANK_TIMEOUT", 60.0
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class LastLine(io.TextIOBase):
    """A stream of which the last line alone is kept."""

    line = ""

    def write(self, text: str, /) -> int:
        """Take a text."""
        self.line = ([self.line] + [line for line in text.splitlines() if line.strip()])[-1]
        return len(text)


def in_ranks(program: str, run: Callable[[Any], int]) -> int:
    """Return what `run` does with the ranks, or with a process alone; ranks end together."""
    if STARTER not in sys.modules:
        return _alone(program, run)
    share_processors()
    from xpmlp.distributed.mpi import MpiRanks

    ranks = MpiRanks(patience())
    last = LastLine()
    if ranks.rank:
        sys.stdout, sys.stderr = LastLine(), last
    code = EXIT_RUN_FAILED
    try:
        code = run(ranks)
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
        raise
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else EXIT_RUN_FAILED
        raise
    finally:
        ranks.end(code, last.line)
    return code


def _alone(program: str, run: Callable[[Any], int]) -> int:
    """Run in one process, unless it was started as one of several that know nothing of it."""
    started = next((os.environ[name] for name in SIZES if name in os.environ), "1")
    if started == "1":
        return run(Alone())
    if "0" in map(os.environ.get, RANKS):
        warn(
            f"{program}: {started} processes were started, and each would do all of it; start them "
            f"as mpiexec -n {started} python -m mpi4py -m {program.replace(' ', '.')} …"
        )
    return EXIT_BAD_INPUT


def patience() -> float:
    """Return how many seconds ranks wait for each other in training."""
    text = os.environ.get(TIMEOUT, "")
    try:
        seconds = float(text or PATIENCE)
    except ValueError:
        seconds = 0.0
    if seconds > 0:
        return seconds
    warn(f"warning: {TIMEOUT} is {text!r}, no number of seconds; it is taken as {PATIENCE:.0f}")
    return PATIENCE


def share_processors() -> None:
    """Let each rank of a machine compute on as many threads as it has processors for.

    Before NumPy is loaded, as its BLAS reads the number once; what the user has set counts.
    """
    from mpi4py import MPI

    here = MPI.COMM_WORLD.Split_type(MPI.COMM_TYPE_SHARED)
    threads = max(1, usable_processors() // here.Get_size())
    here.Free()
    for name in THREADS:
        os.environ.setdefault(name, str(threads))
