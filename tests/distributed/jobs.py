"""Jobs of several processes that MPI starts, for tests and for `tests.distributed.kills`."""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

BESIDE = Path(sys.executable).parent / "mpiexec"
MPIEXEC = str(BESIDE) if BESIDE.exists() else shutil.which("mpiexec")
WHY_NOT = "" if MPIEXEC and find_spec("mpi4py") else "mpi4py and mpich are not installed"
TRAIN = ("-m", "xpmlp.train")


def started(ranks, *arguments, starter=("-m", "mpi4py"), **environment):
    """Start python with these arguments in so many ranks."""
    command = [
        MPIEXEC,
        "-disable-auto-cleanup",
        "-n",
        str(ranks),
        sys.executable,
        *starter,
        *map(str, arguments),
    ]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
    )


def ended(ranks, *arguments, **options):
    """Return exit code, stdout and stderr of such a job."""
    process = started(ranks, *arguments, **options)
    out, errors = process.communicate(timeout=120)
    return process.returncode, out, errors


def processes_in(header):
    """Return the process ids of all ranks, in their order, from the line that tells them."""
    found = re.search(r"^ranks .* the processes of \S+ ([\d ]+)$", header, re.MULTILINE)
    return list(map(int, found[1].split())) if found else []
