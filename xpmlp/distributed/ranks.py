"""What training needs of the processes that share it, and what one process alone makes of that."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numpy as np

T = TypeVar("T")


class Ranks(Protocol):
    """Processes that go through the same calls in the same order.

    rank: which of them this one is, from 0. size: how many they are. places: process id and host
    of each.
    """

    rank: int
    size: int
    places: list[tuple[int, str]]

    def all_sum(self, buffer: np.ndarray, /) -> None:
        """Write the sum of everybody's buffers into each: as long, and of one dtype."""

    def broadcast(self, value: Any, /) -> Any:
        """Return what rank 0 hands in."""


class Failed:
    """What rank 0 raised, on its way to the others."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def of_first(ranks: Ranks, make: Callable[[], T]) -> T:
    """Return what rank 0 makes, everywhere; what it raises, every rank does."""
    made: Any = None
    if ranks.rank == 0:
        try:
            made = make()
        except Exception as error:
            made = Failed(error)
    made = ranks.broadcast(made)
    if isinstance(made, Failed):
        raise made.error
    found: T = made
    return found


def only_first(ranks: Ranks, make: Callable[[], T]) -> T | None:
    """Return what rank 0 makes, there; None elsewhere. What it raises, every rank does."""
    made: list[T] = []
    of_first(ranks, lambda: made.append(make()))
    return made[0] if made else None


def first_then_others(ranks: Ranks, make: Callable[[], T]) -> T:
    """Return what each rank makes, the others once rank 0 has, as it may download what they read.

    What rank 0 raises, every rank does.
    """
    made = only_first(ranks, make)
    return make() if made is None else made


def any_of(ranks: Ranks, flag: bool) -> bool:
    """Tell whether any rank says so."""
    table = np.array([float(flag)])
    ranks.all_sum(table)
    return bool(table[0])


def table_of(ranks: Ranks, row: np.ndarray) -> np.ndarray:
    """Return the rows (n,) of all ranks, (size, n)."""
    table = np.zeros((ranks.size, len(row)), row.dtype)
    table[ranks.rank] = row
    ranks.all_sum(table)
    return table
