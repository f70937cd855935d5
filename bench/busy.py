"""Processes that do nothing but keep processors busy, beside what is measured.

`python -m bench.busy THREADS` spins until its standard input is closed, which happens also where
the process that holds the other end is killed.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Thread

from bench.processes import ROOT
from bench.worker import use_processors
from xpmlp.errors import RunError

SPINNING = b"spinning"


@contextmanager
def busy_processes(number: int, threads: int) -> Iterator[None]:
    """Let so many processes spin inside the block, on the processors of rows of so many threads.

    All of them spin when the block begins, and are gone after it. Raises RunError where one can't
    be started.
    """
    with ExitStack() as started:
        processes = [started.enter_context(_started(threads)) for _ in range(number)]
        for process in processes:
            assert process.stdout is not None
            if process.stdout.read(len(SPINNING)) != SPINNING:
                raise RunError(f"--busy: a process did not start; it ended with {process.wait()}")
        yield


@contextmanager
def _started(threads: int) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process that spins, and end it after the block."""
    command = [sys.executable, "-m", "bench.busy", str(threads)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


def main(threads: int) -> None:
    """Spin until nobody holds the other end of standard input; Ctrl-C is for the measurement."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    use_processors(threads)
    Thread(target=_end_with_the_parent, daemon=True).start()
    os.write(sys.stdout.fileno(), SPINNING)
    while True:
        pass


def _end_with_the_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
