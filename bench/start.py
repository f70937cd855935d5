"""What a start costs: the first epoch's extra seconds, and when a faster row has repaid them."""

from collections.abc import Sequence
from statistics import median
from typing import Any

from bench.harness import Row

MOST_EPOCHS = 100


def start_figures(row: Row, eager: Row | None) -> dict[str, Any]:
    """Return what the first epoch cost once, and the epochs after which a row is ahead.

    eager: the row of PyTorch's plain loop on the same device, None where it was not measured.
    """
    other = None if eager is None or eager is row else eager
    return {
        "extra_seconds": row.first_epochs[0] - median(row.seconds) if row.first_epochs else None,
        "ahead_of_eager_after": None if other is None else epochs_until_ahead(row, other),
    }


def epochs_until_ahead(row: Row, other: Row) -> int | None:
    """Return the first number of epochs that a row has done sooner than another from the start.

    Imports and uploads do not count. None: never within MOST_EPOCHS.
    """
    return next(
        (
            count
            for count in range(1, MOST_EPOCHS + 1)
            if seconds_of(row.first_epochs, row.seconds, count)
            < seconds_of(other.first_epochs, other.seconds, count)
        ),
        None,
    )


def seconds_of(first: Sequence[float], later: Sequence[float], count: int) -> float:
    """Return the seconds of so many epochs: the first as they were, each later one the median."""
    return sum(first[:count]) + max(0, count - len(first)) * median(later)
