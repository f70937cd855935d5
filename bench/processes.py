"""The parent's end of a worker: its environment, its start, its answers and its end."""

import os
import pickle
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from xpmlp.errors import RunError

ROOT = Path(__file__).resolve().parent.parent
TABLE = "bench.contenders"
KERNELS = "OPENBLAS_CORETYPE"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
FULL, TF32 = "full", "tf32"
NO_TF32 = "NVIDIA_TF32_OVERRIDE"
SAME_FOR_ALL = {NO_TF32: "0", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


class RowUnavailable(RunError):
    """A row that can't run on this machine; the text says why."""


class RowFailed(RunError):
    """A row that ran and failed."""


def precision_of(name: str) -> str:
    """Return the precision of a row's products, which a name tells: `full` or `tf32`."""
    return TF32 if name.endswith(f" {TF32}") else FULL


class Setup(NamedTuple):
    """What is the same for all rows: threads, OpenBLAS's kernels, and who is at work beside them.

    kernels: a name for OPENBLAS_CORETYPE; None leaves the variable as it was found. busy: the
    number of other processes that spin on the same processors. table: the module with the
    contenders, "" for those of TABLE.
    """

    threads: int
    kernels: str | None = None
    busy: int = 0
    table: str = ""

    @property
    def label(self) -> str:
        """The choice of kernels in words."""
        return self.kernels or "as found"

    def environment(self, precision: str = FULL) -> dict[str, str]:
        """Return the environment of a worker; only a row of TF32 lets cuBLAS use it."""
        threads = dict.fromkeys(THREAD_VARIABLES, str(self.threads))
        kernels = {KERNELS: self.kernels} if self.kernels else {}
        variables = {**os.environ, **threads, **SAME_FOR_ALL, **kernels}
        if precision == TF32:
            del variables[NO_TF32]
        return variables


class Worker:
    """A process with one contender."""

    def __init__(self, setup: Setup, precision: str = FULL) -> None:
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.worker", setup.table or TABLE, str(setup.threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env=setup.environment(precision),
            cwd=ROOT,
        )

    def ask(self, command: str, *arguments: Any) -> Any:
        """Send a command and return its value.

        Raises RowUnavailable or RowFailed with the reason, also where the process is gone.
        """
        self.send(command, *arguments)
        return self.answer()

    def send(self, command: str, *arguments: Any) -> None:
        """Send a command, whose answer is fetched later. Raises RowFailed."""
        commands = self.process.stdin
        assert commands is not None
        try:
            pickle.dump((command, *arguments), commands, protocol=5)  # 5 copies no array
            commands.flush()
        except BrokenPipeError as error:
            raise RowFailed(self._last_words()) from error

    def answer(self) -> Any:
        """Return the value of the command that was sent. Raises RowUnavailable or RowFailed."""
        replies = self.process.stdout
        assert replies is not None
        try:
            outcome, value = pickle.load(replies)
        except (EOFError, pickle.UnpicklingError) as error:
            raise RowFailed(self._last_words()) from error
        if outcome == "unavailable":
            raise RowUnavailable(value)
        if outcome == "failed":
            raise RowFailed(value)
        return value

    def _last_words(self) -> str:
        code = self.process.wait()
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "no message")
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return f"the process {how}: {last}"

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self.process.kill()
        with suppress(BrokenPipeError), self.process:
            pass
        self.errors.close()
