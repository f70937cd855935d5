"""A small process on each machine that says which rank has died, as its launcher may not.

`python -m xpmlp.distributed.witness RANK:PROCESS …`: it waits until one of these processes is no
more, names it on stderr, and ends. Launchers end a job within a moment of a death, those that live
before they can speak; MPICH's names another process than the one that died. Ended by SIGTERM,
which ranks send it when they end by themselves, it says nothing.
"""

import os
import select
import socket
import subprocess
import sys
from collections.abc import Mapping


def watch(processes: Mapping[int, int]) -> int | None:
    """Start a witness of these processes, by rank; return its id, None where Linux is missing."""
    if not hasattr(os, "pidfd_open"):
        return None
    named = [f"{rank}:{process}" for rank, process in processes.items()]
    command = [sys.executable, "-m", __name__, *named]
    nowhere = subprocess.DEVNULL
    return subprocess.Popen(command, stdin=nowhere, stdout=nowhere, start_new_session=True).pid


def main() -> None:
    """Wait for the first death, and tell it."""
    poll, names = select.poll(), {}
    for word in sys.argv[1:]:
        rank, process = map(int, word.split(":"))
        descriptor = os.pidfd_open(process)
        poll.register(descriptor, select.POLLIN)
        names[descriptor] = f"rank {rank} (process {process} on {socket.gethostname()})"
    gone = [names[descriptor] for descriptor, _ in poll.poll()]
    sys.stderr.write(
        f"xpmlp: {' and '.join(gone)} died; the job ends. What was saved is whole: --resume goes "
        "on, with any number of processes\n"
    )


if __name__ == "__main__":
    main()
