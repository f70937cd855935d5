"""Telling rows that were scaled before they came, so that a model would scale them twice."""

import math

import numpy as np

from xpmlp.data.dataset import Scaling

FEWEST = 3
MOST = 1000
WIDE = 10.0
PIXELS = 64


def seem_scaled(scale: str, scaling: Scaling | None, raw: np.ndarray, x: np.ndarray) -> bool:
    """Tell whether rows look nothing like the training rows once scaled, and like them before.

    raw: (N, D), finite; x: the same rows as `scaling`, of the kind `scale`, makes of them.
    A value that is u spreads of the training rows away from their middle counts ln(1 + u²), which
    for rows like them is ln 2 or less on average, whatever their distribution: E ln(1 + u²) ≤
    ln(1 + E u²), and E u² ≤ 1. Less than three rows may well be unusual ones; pixels that are
    merely too dark show in a single image. Of a scaling that only centres, the spread isn't known.
    """
    if scaling is None or scale in ("none", "center"):
        return False
    ranked = scaling.are_ranked
    changed = ranked | (scaling.shift != 0.0) | (scaling.width != 1.0)
    if not changed.any() or not len(raw):
        return False
    every = -(-len(raw) // MOST)
    raw = raw[::every].astype(np.float64, copy=False)
    if scale == "unit" and _too_dark(scaling, raw):
        return True
    if len(raw) < FEWEST:
        return False
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        once = _spreads(scale, x[::every].astype(np.float64))
        twice = _spreads(scale, raw)
        for column in np.flatnonzero(ranked):
            low, high = scaling.quantiles[[0, -1], column]  # type: ignore[index]
            once[:, column] = (2.0 * raw[:, column] - low - high) / (high - low)
        more = np.log((1.0 + once**2) / (1.0 + twice**2)).mean(axis=0)
    return bool(more[changed].mean() > math.log(2.0) + 4.0 / len(raw))


def _spreads(scale: str, x: np.ndarray) -> np.ndarray:
    """Return how many spreads of scaled training rows each value is away from their middle."""
    return 2.0 * x - 1.0 if scale == "unit" else x.copy()


def _too_dark(scaling: Scaling, raw: np.ndarray) -> bool:
    """Tell whether values that went from 0 far up are all between 0 and 1, and not all 0."""
    if raw.size < PIXELS or scaling.shift.any() or scaling.width.min() < WIDE:
        return False
    return bool(raw.min() >= 0.0 and 0.0 < raw.max() <= 1.0)
