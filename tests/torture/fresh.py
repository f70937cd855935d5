"""Commands in fresh processes, in surroundings of all kinds; and what they take of memory."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECONDS_BETWEEN_SAMPLES = 0.05


def command(argv: list[str], **variables: str) -> tuple[list[str], dict[str, str]]:
    """Return the words and the environment of `xpmlp train` with these arguments."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, **variables}
    return [sys.executable, "-m", "xpmlp.train", *argv], environment


def train(argv: list[str], prefix: tuple[str, ...] = (), **variables: str):
    """Train to the end; return the finished process with its output."""
    words, environment = command(argv, **variables)
    return subprocess.run([*prefix, *words], env=environment, capture_output=True, text=True)


def memory_of(process: subprocess.Popen) -> int:
    """Return the resident bytes of a process, 0 where that can't be known."""
    try:
        pages = Path(f"/proc/{process.pid}/statm").read_text().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def spinning(number: int) -> Iterator[None]:
    """Keep so many processes busy with nothing."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for process in busy:
            process.send_signal(signal.SIGKILL)
            process.wait()


@contextmanager
def share_of_a_processor(percent: int) -> Iterator[tuple[tuple[str, ...], str]]:
    """Make a group of processes with a quota; yield a prefix of commands, and why there is none."""
    name, period = f"xpmlp-torture-{os.getpid()}", 10_000
    old, new = Path("/sys/fs/cgroup/cpu") / name, Path("/sys/fs/cgroup") / name
    group = old if old.parent.is_dir() else new
    quota = period * percent // 100
    try:
        group.mkdir()
        if group == old:
            (group / "cpu.cfs_period_us").write_text(str(period))
            (group / "cpu.cfs_quota_us").write_text(str(quota))
        else:
            (group / "cpu.max").write_text(f"{quota} {period}")
    except OSError as error:
        if group.is_dir():
            group.rmdir()
        yield (), f"no group of processes with a quota can be made here ({error.strerror})"
        return
    enter = f'echo $$ > {group}/cgroup.procs && exec "$@"'
    try:
        yield ("sh", "-c", enter, "sh"), ""
    finally:
        for _ in range(100):
            try:
                group.rmdir()
                break
            except OSError:
                time.sleep(0.05)
