"""Running programs side by side with a limit: what they print is kept, however they end."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from bench.processes import ROOT
from xpmlp.interrupt import StopRequest

GRACE = 20.0
KERNELS = {"CUPY_CACHE_DIR": str(ROOT / ".kernels")}  # kept from one check to the next
PAUSE = 0.05


class Ended(NamedTuple):
    """How a program ended: its exit code, whether it was stopped, seconds, what it printed.

    One that was asked to stop and ended well all the same was not stopped.
    """

    code: int
    stopped: bool
    seconds: float
    text: str


class _Running:
    """A program in a session of its own, printing into a file."""

    def __init__(self, words: Sequence[str], variables: Mapping[str, str], path: Path) -> None:
        self.words, self.path, self.start = words, path, time.monotonic()
        self.asked, self.killed = 0, False
        with path.open("wb") as file:
            self.process = subprocess.Popen(
                words,
                cwd=ROOT,
                env={**KERNELS, **os.environ, **variables},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.seconds = 0.0

    def alive(self) -> bool:
        """Tell whether it runs, and note when it no longer does."""
        if self.process.poll() is None:
            return True
        self.seconds = self.seconds or time.monotonic() - self.start
        return False

    def ask(self, times: int) -> None:
        """Ask it to stop, so many times in all."""
        while self.asked < times:
            self.asked += 1
            self._signal(signal.SIGINT)

    def kill(self) -> None:
        """End it with all that it started."""
        self.killed = self.killed or self.alive()
        self._signal(signal.SIGKILL)
        self.process.wait()
        self.alive()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def ended(self) -> Ended:
        """Return how it ended."""
        text = self.path.read_text(encoding="utf-8", errors="replace")
        code = self.process.wait()
        stopped = code != 0 and (self.asked > 0 or self.killed)
        return Ended(code, stopped, self.seconds, text)


class Runner:
    """Runs programs and appends what they print to one log.

    stop: whether a person wants to stop; a program is then asked as at its limit.
    """

    def __init__(self, log: Path, stop: StopRequest) -> None:
        self.log, self.stop = log, stop

    def run(
        self,
        programs: Sequence[Sequence[str]],
        limit: float,
        variables: Mapping[str, str] | None = None,
    ) -> list[Ended]:
        """Run programs at the same time for at most `limit` seconds; return how each ended.

        Shortly before the limit they are asked to stop as by Ctrl-C, then again, then killed.
        """
        files = [self.log.with_name(f"{self.log.name}.{i}") for i in range(len(programs))]
        running = [
            _Running(words, variables or {}, file)
            for words, file in zip(programs, files, strict=True)
        ]
        try:
            self._wait(running, limit)
        finally:
            for one in running:
                one.kill()
            ended = [self._keep(one) for one in running]
        return ended

    def _wait(self, running: Sequence[_Running], limit: float) -> None:
        grace = min(GRACE, limit / 4)
        last = time.monotonic() + limit
        while sum(one.alive() for one in running) and time.monotonic() < last:
            if self.stop.requested:
                last = min(last, time.monotonic() + grace)
            left = last - time.monotonic()
            if left < grace:
                for one in running:
                    if one.alive():
                        one.ask(1 if left > grace / 2 else 2)
            time.sleep(PAUSE)

    def _keep(self, one: _Running) -> Ended:
        """Move what a program printed to the end of the log."""
        ended = one.ended()
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"\n$ {' '.join(one.words)}\n{ended.text}")
            log.write(f"[exit code {ended.code} after {ended.seconds:.1f} s]\n")
        one.path.unlink()
        return ended
