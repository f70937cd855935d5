"""What a line of a picture shows: values of one run, or of several seeds, and their smoothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

DRAWN_BINS = 2000
LONGEST_WINDOW = 999


@dataclass(frozen=True)
class Curve:
    """One line of a picture: values (S,), a value per step or epoch, NaN where there is none.

    runs: (K, S), the runs whose mean the values are, NaN where a run has stopped.
    """

    label: str
    values: np.ndarray
    runs: np.ndarray | None = None

    @classmethod
    def of_runs(cls, label: str, values: np.ndarray) -> "Curve":
        """Return the mean of K runs, values (K, S), over those that are not NaN.

        It is drawn in its band; a single run has none.
        """
        mean = _ratio(np.nansum(values, axis=0), count_of(values))
        return cls(label, mean, values if len(values) > 1 else None)

    @property
    def band(self) -> tuple[np.ndarray, np.ndarray] | None:
        """The mean ± the standard deviation of a sample, √(Σ(v - mean)² / (n - 1)), (S,) each.

        It is cut at the lowest and the highest of the n runs: no loss falls below zero, which
        would look like a collapse on a log axis, and no accuracy rises above one. It is NaN
        where n < 2, and None for a single run.
        """
        if self.runs is None:
            return None
        squares = np.nansum((self.runs - self.values) ** 2, axis=0)
        deviation = np.sqrt(_ratio(squares, count_of(self.runs) - 1))
        low = np.maximum(self.values - deviation, np.fmin.reduce(self.runs))
        return low, np.minimum(self.values + deviation, np.fmax.reduce(self.runs))

    @property
    def stretches(self) -> list[tuple[int, int, bool]]:
        """Start and end of each stretch of equally many runs, and whether that is all of them."""
        if self.runs is None:
            return [(0, len(self.values), True)]
        count = count_of(self.runs)
        edges = (0, *(np.flatnonzero(np.diff(count)) + 1).tolist(), len(count))
        return [(a, b, bool(count[a] == len(self.runs))) for a, b in pairwise(edges)]

    def smooth(self, window: int) -> "Curve":
        """Return the running mean of the values, or the mean of the runs' running means."""
        if self.runs is None:
            return Curve(self.label, running_mean(self.values, window))
        return Curve.of_runs(self.label, np.stack([running_mean(r, window) for r in self.runs]))


def stack_runs(runs: Sequence[np.ndarray]) -> np.ndarray:
    """Return (K, S) of K runs (S_k,), the shorter ones padded with NaN to the longest."""
    stacked = np.full((len(runs), max(map(len, runs))), np.nan)
    for row, run in zip(stacked, runs, strict=True):
        row[: len(run)] = run
    return stacked


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Return (S,): the mean of the window (odd) around each of S values, cut at the ends.

    NaN stays NaN, and counts in no mean.
    """
    window = min(window, len(values) - 1 + len(values) % 2)
    if window <= 1:
        return values
    ones, known = np.ones(window), ~np.isnan(values)
    total = np.convolve(np.where(known, values, 0.0), ones, mode="same")
    count = np.convolve(known.astype(float), ones, mode="same")
    return np.where(known, _ratio(total, count), np.nan)


def smoothing_window(steps: int, steps_per_epoch: int) -> int:
    """Return an odd count of steps to average: 1/50 of the run, at most an epoch.

    At least 11 where the epoch has as many, at least 1/200 of a run of many epochs, and never
    more than 999; without batches, 1.
    """
    if steps_per_epoch == 1:
        return 1
    within_epoch = min(steps_per_epoch, max(11, steps // 50))
    wanted = min(max(within_epoch, steps // 200), LONGEST_WINDOW)
    return wanted - 1 + wanted % 2


def outline(values: np.ndarray, bins: int = DRAWN_BINS) -> tuple[np.ndarray, np.ndarray]:
    """Return steps, from 1, and values that look like all of (S,) at a picture's resolution.

    Up to 2·bins values are kept as they are; of more, each bin's lowest and highest.
    """
    per_bin = -(-len(values) // bins)
    if per_bin <= 2:
        return np.arange(1, len(values) + 1), values
    starts = np.arange(0, len(values), per_bin)
    low, high = np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts)
    steps = np.repeat(starts + 1.0, 2)
    steps[1::2] = np.minimum(steps[1::2] + (per_bin - 1) / 2, len(values))
    return steps, np.stack([low, high], axis=1).ravel()


def count_of(runs: np.ndarray) -> np.ndarray:
    """Return how many of runs (K, S) there are at each step, (S,)."""
    count: np.ndarray = np.sum(~np.isnan(runs), axis=0)
    return count


def _ratio(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Return total / count, NaN where the count is not above zero."""
    ratio = np.full(total.shape, np.nan)
    np.divide(total, count, out=ratio, where=count > 0)
    return ratio
