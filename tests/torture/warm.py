"""Commands as processes forked from a warm parent, in milliseconds instead of seconds."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from tests.torture.plan import Plan, Seen, new_report

ROOT = Path(__file__).parents[2]
SECONDS_AT_MOST, SECONDS_BETWEEN_LOOKS = 60.0, 0.004


@dataclass
class Ended:
    """What came of a command. code: negative for a signal. seen: None where nothing counted."""

    code: int
    out: str
    err: str
    seen: Seen | None
    seconds: float
    hung: bool = False


@dataclass
class Child:
    """A command in progress."""

    parent: "Warm"
    pid: int
    out: Path
    err: Path
    report: Path | None
    begun: float = field(default_factory=time.monotonic)

    def send(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def seen(self) -> Seen | None:
        return Seen.read(self.report) if self.report else None

    def has_ended(self) -> bool:
        state = self._state()
        return state in ("", "Z")

    def has_open(self, path: Path) -> bool:
        """Tell whether its stdout is this file."""
        try:
            return Path(f"/proc/{self.pid}/fd/1").readlink() == path
        except OSError:
            return False

    def _state(self) -> str:
        try:
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2][0]
        except OSError:
            return ""

    def until_stopped(self, seconds: float = SECONDS_AT_MOST) -> bool:
        """Wait until it is stopped at its event; tell whether it is, or else has ended."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            state = self._state()
            if state == "T":
                return True
            if state in ("", "Z"):
                return False
            time.sleep(0.002)
        return False

    def wait(self, seconds: float = SECONDS_AT_MOST) -> Ended:
        """Wait for its end; after so many seconds it is killed, which is told as hung."""
        hung = False
        while (code := self.parent.ask({"ended": self.pid})["code"]) is None:
            if not hung and time.monotonic() - self.begun > seconds:
                hung = True
                self.send(signal.SIGKILL)
            time.sleep(SECONDS_BETWEEN_LOOKS)
        out, err = (path.read_text(errors="replace") for path in (self.out, self.err))
        ended = Ended(code, out, err, self.seen(), time.monotonic() - self.begun, hung)
        for path in filter(None, (self.out, self.err, self.report)):
            path.unlink()
        return ended


class Warm:
    """A warm parent. library: the preloaded one, or None. cache: where compiled steps are kept."""

    def __init__(self, library: Path | None, cache: Path, notes: Path) -> None:
        self.notes = notes
        notes.mkdir(parents=True, exist_ok=True)
        self._numbers, self._lock = count(1), threading.Lock()
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "XDG_CACHE_HOME": str(cache),
            "JAX_PLATFORMS": "cpu",
            "CUDA_VISIBLE_DEVICES": "",
            "PYTHONWARNINGS": "",
        }
        if library:
            environment |= {"LD_PRELOAD": str(library), "XPMLP_TORTURE_LIBRARY": str(library)}
        with (notes / "server.txt").open("w") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.torture.server"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=err,
                text=True,
                bufsize=1,
                env=environment,
                cwd=notes,
            )

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request, and return the answer."""
        assert self._process.stdin
        assert self._process.stdout
        with self._lock:
            self._process.stdin.write(json.dumps(request) + "\n")
            answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the warm parent ended: see {self.notes / 'server.txt'}")
        found: dict[str, Any] = json.loads(answer)
        return found

    def import_all(self, argv: list[str], *, here: bool) -> None:
        """Import all that a training needs. here: it may run in the parent, or else in a child."""
        self.ask({"import": argv, "here": here})

    def start(
        self,
        module: str,
        argv: list[str],
        cwd: Path,
        *,
        plan: dict[str, Any] | None = None,
        checkpoint_seconds: float = 0.0,
        largest_file: int = 0,
        processors: tuple[int, ...] = (),
        environment: dict[str, str] | None = None,
        stdout: str | None = None,
        takes_apart: bool = False,
    ) -> Child:
        """Start a command. plan: the fields of a `Plan` but its report."""
        number = next(self._numbers)
        out, err, report = (self.notes / f"{number}.{end}" for end in ("out", "err", "page"))
        out.write_text(""), err.write_text("")
        full = Plan(report=str(new_report(report)), **plan) if plan else None
        request = {
            "module": module,
            "argv": argv,
            "cwd": str(cwd),
            "stdout": stdout or str(out),
            "stderr": str(err),
            "plan": asdict(full) if full else None,
            "checkpoint_seconds": checkpoint_seconds,
            "largest_file": largest_file,
            "processors": processors,
            "environment": environment or {},
            "takes_apart": takes_apart,
        }
        pid = self.ask(request)["pid"]
        return Child(self, pid, out, err, report if plan else None)

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
