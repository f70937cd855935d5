"""Running a script in a process of its own, and what it left."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from bench.examples.stage import FAILED, OUTCOME
from bench.processes import ROOT
from xpmlp.data.places import VARIABLE, places
from xpmlp.interrupt import StopRequest

STAGE = "bench.examples.stage"
PAUSE = 0.05


class Ran(NamedTuple):
    """What came of a script.

    status: "" where it ran to its end, else `failed` or `unavailable`, with the reason. printed:
    on stdout. warnings: lines on stderr that name one. pictures: the PNG files of its figures.
    """

    status: str
    reason: str
    seconds: float
    printed: str
    warnings: int
    pictures: list[Path]


def run_script(
    text: str, path: Path, folder: Path, limit: float, stop: StopRequest, how: str = ""
) -> Ran:
    """Run the text of a script as if it were the file `path`; its pictures go into the folder.

    how: `nudged` for rows that differ in their last bit.

    It works in an empty folder that is deleted. Raises KeyboardInterrupt where a stop is asked
    for; the script is ended then, and at the limit, with all that it started.
    """
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        source, printed, errors = room / "source", room / "printed", room / "errors"
        source.write_text(text, encoding="utf-8")
        (room / "work").mkdir()
        with printed.open("wb") as out, errors.open("wb") as err:
            process = subprocess.Popen(
                [sys.executable, "-m", STAGE, source, path.resolve(), folder.resolve(), how],
                cwd=room / "work",
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
            within = _wait(process, limit, stop)
        said = errors.read_text(encoding="utf-8", errors="replace").splitlines()
        outcome = _outcome(folder, f"stopped after {limit:g} s" if not within else _last(said))
        return Ran(
            **outcome,
            printed=printed.read_text(encoding="utf-8", errors="replace"),
            warnings=sum("Warning: " in line for line in said),
            pictures=sorted(folder.glob("*.png"), key=lambda path: int(path.stem)),
        )


def environment() -> dict[str, str]:
    """Return the variables of a script: no windows, and the same order of sets in each run."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    variables = {
        **os.environ,
        "MPLBACKEND": "Agg",
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }
    if named := places(None).data_dir:
        variables[VARIABLE] = str(named.resolve())
    return variables


def _wait(process: "subprocess.Popen[bytes]", limit: float, stop: StopRequest) -> bool:
    """Wait for the end, and tell whether it came within the limit; nothing is left running."""
    end = time.monotonic() + limit
    try:
        while process.poll() is None and time.monotonic() < end:
            if stop.requested:
                raise KeyboardInterrupt
            time.sleep(PAUSE)
        return process.poll() is not None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _outcome(folder: Path, otherwise: str) -> dict[str, Any]:
    """Return what the script's process said of its end, or that it could say nothing."""
    try:
        outcome: dict[str, Any] = json.loads((folder / OUTCOME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {"status": FAILED, "reason": otherwise, "seconds": 0.0}
    (folder / OUTCOME).unlink()
    return outcome


def _last(lines: list[str]) -> str:
    said = [line.strip() for line in lines if line.strip()]
    return f"the process died: {said[-1] if said else 'no message'}"
