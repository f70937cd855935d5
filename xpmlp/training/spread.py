"""What one figure is over several seeds: mean, standard deviation, lowest and highest."""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

MOST_DECIMALS = 6
PARTS = ("train", "validation", "test")


class Spread(NamedTuple):
    """A figure over the seeds; sd is the standard deviation of a sample, NaN for one seed."""

    mean: float
    sd: float
    lowest: float
    highest: float

    def distance(self, figure: float) -> float:
        """Return (figure - mean) / sd; without an sd, infinite unless they are equal."""
        difference = figure - self.mean
        if self.sd > 0:
            return difference / self.sd
        return math.copysign(math.inf, difference) if difference else 0.0

    def __str__(self) -> str:
        """Return `0.946 ± 0.017`, to the second significant digit of the sd."""
        if not self.sd > 0:
            return f"{self.mean:.6g}"
        decimals = _decimals(self.sd)
        if decimals > MOST_DECIMALS:
            return f"{self.mean:.6g} ± {self.sd:.1e}"
        return f"{self.mean:.{decimals}f} ± {self.sd:.{decimals}f}"


def spread_of(values: Sequence[float] | np.ndarray) -> Spread:
    """Return mean, sample standard deviation, lowest and highest of some values.

    Sums are exact before they are rounded, so that equal values have no spread at all.
    """
    numbers = [float(value) for value in values]
    sd = statistics.stdev(numbers) if len(numbers) > 1 else math.nan
    return Spread(statistics.mean(numbers), sd, min(numbers), max(numbers))


def spread_text(values: Sequence[float] | np.ndarray) -> str:
    """Return `mean ± sd (lowest to highest)`, or what stands for it without a spread."""
    spread = spread_of(values)
    if not spread.sd > 0:
        seeds = "1 seed" if len(values) == 1 else f"the same for {len(values)} seeds"
        return f"{spread} ({seeds})"
    decimals = _decimals(spread.sd)
    form = f".{decimals}f" if decimals <= MOST_DECIMALS else ".6g"
    return f"{spread} ({spread.lowest:{form}} to {spread.highest:{form}})"


def spread_figures(values: Sequence[float | None]) -> dict[str, float | None] | None:
    """Return mean, sample standard deviation, lowest and highest; None where a value is None."""
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return None
    mean, sd, lowest, highest = spread_of(known)
    return {
        "mean": mean,
        "std": None if math.isnan(sd) else sd,
        "lowest": lowest,
        "highest": highest,
    }


def _decimals(sd: float) -> int:
    """Return the decimals that show two significant digits of a standard deviation."""
    return max(0, 1 - math.floor(math.log10(sd)))
