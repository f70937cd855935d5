"""What a row's times come to: quartiles, ratios round by round, and who ended elsewhere."""

import math
from collections.abc import Hashable, Mapping, Sequence
from statistics import median
from typing import NamedTuple, TypeVar

TOLERANCE = 0.01

Row = TypeVar("Row", bound=Hashable)


class Quartiles(NamedTuple):
    """The lower quartile, the median and the upper quartile."""

    low: float
    median: float
    high: float


def quartiles(values: Sequence[float]) -> Quartiles:
    """Return the quartiles of one or more values, interpolated linearly between neighbours."""
    ordered = sorted(values)
    low, middle, high = (_at(ordered, share * (len(ordered) - 1)) for share in (0.25, 0.5, 0.75))
    return Quartiles(low, middle, high)


def _at(ordered: Sequence[float], place: float) -> float:
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def ratios(seconds: Sequence[float], base: Sequence[float]) -> Quartiles:
    """Return the quartiles of seconds over base, both one per round, divided round by round."""
    return quartiles([ours / theirs for ours, theirs in zip(seconds, base, strict=True)])


def fastest(seconds: Mapping[Row, Sequence[float]]) -> Row | None:
    """Return the row with the smallest median, None where there are no rows."""
    return min(seconds, key=lambda row: median(seconds[row]), default=None)


def odd_ones_out(
    losses: Mapping[Row, float], initial: float, tolerance: float = TOLERANCE
) -> dict[Row, str]:
    """Return the rows whose final loss is not that of the others, each with the reason.

    A row may differ from the median of the losses by `tolerance` times their fall from the
    initial loss. Rounding grows over epochs of training, so that a tolerance relative to the
    loss itself, once that is small, would find rows that compute the same.
    """
    finite = [loss for loss in losses.values() if math.isfinite(loss)]
    middle = median(finite) if finite else math.nan
    return {
        row: _reason(loss, middle)
        for row, loss in losses.items()
        if not abs(loss - middle) <= tolerance * abs(initial - middle)
    }


def _reason(loss: float, middle: float) -> str:
    if not math.isfinite(loss):
        return f"its loss ended as {loss}"
    return f"its loss ended at {loss:.6g}, that of the median row at {middle:.6g}"
