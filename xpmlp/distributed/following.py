"""What the ranks do that rank 0 does not: train along, and neither write nor print."""

from contextlib import closing

import numpy as np

from xpmlp.distributed.ranks import Ranks, any_of, table_of
from xpmlp.errors import EXIT_INTERRUPTED, InputError
from xpmlp.interrupt import graceful_interrupt
from xpmlp.training.members import Members


def follow(members: Members, ranks: Ranks) -> int:
    """Train to the end with rank 0; return the exit code. Raises RunError where a net failed."""
    with graceful_interrupt() as stop, closing(members.epochs()) as epochs:
        stop.place = members.stopping_place
        for _ in epochs:
            if any_of(ranks, stop.requested):
                break
    for failure in members.failures.values():
        raise failure
    return 0 if members.finished else EXIT_INTERRUPTED


def check_alike(members: Members, ranks: Ranks) -> None:
    """Raise InputError where a rank has read other rows than rank 0."""
    texts = [trainer.problem.fingerprint for trainer in members.trainers]
    own = np.array([int(piece, 16) for text in texts for piece in text.split("-")])
    table = table_of(ranks, own)
    others = [str(rank) for rank in range(ranks.size) if (table[rank] != table[0]).any()]
    if others:
        raise InputError(
            f"rank {', '.join(others)} has read other rows of {members.trainers[0].data.name} than "
            "rank 0; give every machine the same files"
        )


def ranks_line(ranks: Ranks) -> str:
    """Return a line for the header: which process is which rank; nothing where one is alone."""
    hosts: dict[str, list[str]] = {}
    for pid, host in ranks.places:
        hosts.setdefault(host, []).append(str(pid))
    if ranks.size == 1:
        return ""
    named = "; ".join(f"{host} {' '.join(pids)}" for host, pids in hosts.items())
    return f"\nranks     {ranks.size}, in their order the processes of {named}"
