"""One contender in a process of its own, which does what it is told over its standard streams.

`python -m bench.worker TABLE THREADS`, where TABLE is the module with the contenders. A command
is a pickled tuple, a name and its arguments; the answer is one of a word and a value: "done"
with the result, "unavailable" or "failed" with the reason.
"""

import os
import pickle
import signal
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.cases import Case, Problem
    from bench.contenders.base import Contender

PAUSE, IDLE_SHARE, LONGEST_PAUSE = 0.01, 0.05, 2.0


class Session:
    """The commands. A contender is prepared once, and then trains epoch after epoch."""

    contender: "Contender"
    problem: "Problem"

    def __init__(self, table: str) -> None:
        self.table = table
        self.loading = 0.0

    def load(self, name: str, device: str) -> None:
        """Import what the contender needs, while other workers do the same."""
        start = time.perf_counter()
        import_module(self.table).CONTENDERS[name].load(device)
        self.loading = time.perf_counter() - start

    def prepare(self, name: str, device: str, case: "Case", problem: "Problem") -> float:
        """Make the contender; return the seconds, imports included."""
        self.problem = problem
        start = time.perf_counter()
        contenders = import_module(self.table).CONTENDERS
        self.contender = contenders[name](case, problem, device)
        return self.loading + time.perf_counter() - start

    def epoch(self, number: int) -> float:
        """Train one epoch; return its seconds, once all threads have gone to sleep."""
        order = self.problem.order(number)
        start = time.perf_counter()
        self.contender.epoch(order)
        seconds = time.perf_counter() - start
        wait_until_idle()
        return seconds

    def weights(self) -> list[Any]:
        """Return W and b of each layer."""
        return self.contender.weights()

    def memory(self) -> int:
        """Return the peak of the memory so far, in bytes."""
        return self.contender.peak_memory()

    def describe(self) -> dict[str, Any]:
        """Return what the contender says of itself, and the libraries' pools of threads."""
        return {**self.contender.describe(), "thread_pools": thread_pools()}


def wait_until_idle() -> None:
    """Wait until threads that spin after their work are asleep, so that they disturb nobody."""
    end = time.monotonic() + LONGEST_PAUSE
    busy = True
    while busy and time.monotonic() < end:
        start = time.process_time()
        time.sleep(PAUSE)
        busy = time.process_time() - start > IDLE_SHARE * PAUSE


def thread_pools() -> list[dict[str, Any]]:
    """Return library, version, kernel and number of threads of each loaded BLAS and OpenMP."""
    from threadpoolctl import threadpool_info

    return [
        {
            "library": pool["internal_api"],
            "file": Path(pool["filepath"]).name,
            "version": pool["version"],
            "kernel": pool.get("architecture"),
            "threads": pool["num_threads"],
        }
        for pool in threadpool_info()
    ]


def serve(session: Session, commands: IO[bytes], replies: IO[bytes]) -> None:
    """Answer commands until there are no more."""
    while True:
        try:
            name, *arguments = pickle.load(commands)
        except EOFError:
            return
        pickle.dump(_reply(session, name, arguments), replies, protocol=5)
        replies.flush()


def _reply(session: Session, name: str, arguments: list[Any]) -> tuple[str, Any]:
    from bench.contenders.base import Unavailable

    try:
        return "done", getattr(session, name)(*arguments)
    except Unavailable as error:
        return "unavailable", " ".join(str(error).split())
    except Exception as error:
        return "failed", " ".join(f"{type(error).__name__}: {error}".split())


def main(table: str, threads: int) -> None:
    """Serve on the standard streams; what libraries print goes to stderr."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    use_processors(threads)
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(Session(table), sys.stdin.buffer, replies)


def use_processors(threads: int) -> None:
    """Bind the process to as many processors as it may have threads, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
