"""Numbers as tables show them: published digits, abbreviated arrays, means with their spread."""

import math
import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

SHOWN_ENTRIES = 2
MOST_DECIMALS = 6


class Spread(NamedTuple):
    """What one figure is over the seeds; sd is the sample standard deviation, NaN for one seed."""

    mean: float
    sd: float
    lowest: float
    highest: float


def spread_of(values: Sequence[float] | np.ndarray) -> Spread:
    """Return mean, sample standard deviation, lowest and highest of some values.

    Sums are exact before they are rounded, so that equal values have no spread at all.
    """
    numbers = [float(value) for value in values]
    sd = statistics.stdev(numbers) if len(numbers) > 1 else math.nan
    return Spread(statistics.mean(numbers), sd, min(numbers), max(numbers))


def spread_text(values: Sequence[float] | np.ndarray) -> str:
    """Return `mean ± sd (lowest to highest)`, to the second significant digit of the sd."""
    mean, sd, lowest, highest = spread_of(values)
    if not sd > 0:
        seeds = "1 seed" if len(values) == 1 else f"the same for {len(values)} seeds"
        return f"{mean:.6g} ({seeds})"
    decimals = max(0, 1 - math.floor(math.log10(sd)))
    if decimals > MOST_DECIMALS:
        return f"{mean:.6g} ± {sd:.1e} ({lowest:.6g} to {highest:.6g})"
    shown = [f"{value:.{decimals}f}" for value in (mean, sd, lowest, highest)]
    return "{} ± {} ({} to {})".format(*shown)


def figure_text(value: Any) -> str:
    """Return a number with its own digits, or the first entries of an array with its shape."""
    array = np.asarray(value)
    if array.ndim == 0:
        return str(array.item())
    entries = [f"{entry:.4g}" for entry in array.ravel()[:SHOWN_ENTRIES]]
    more = ", …" if array.size > SHOWN_ENTRIES else ""
    shape = "×".join(map(str, array.shape))
    return f"{', '.join(entries)}{more} ({shape})"


def plain(value: Any) -> Any:
    """Return lists and numbers for JSON: no arrays, and None for what isn't finite."""
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
