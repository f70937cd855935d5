"""Scaling of features, with statistics from the training rows alone."""

import math
from collections.abc import Sequence

import numpy as np

from xpmlp.data.rows import ROWS_AT_ONCE, SCALES, Scaling
from xpmlp.errors import InputError, unknown_name

QUANTILES = 100
DEVIATION = 1 / math.sqrt(12)  # of ranks from 0 to 1
LONG_TAIL = 6.0
NEGLIGIBLE = 1e-290  # smaller differences have lost digits, or nothing can be divided by them
FAR = 400  # powers of 2, of which the square, times the rows, is well within float64


def scale_parts(
    parts: Sequence[np.ndarray], scale: str, full_scale: float | None, dtype: str
) -> tuple[list[np.ndarray], Scaling]:
    """Return the parts, each (N, D), scaled and in `dtype`; the first holds the training rows.

    Pixels in scale `unit` are divided by `full_scale`; all else is as `statistics` says.

    Raises InputError for an unknown scale, and for values that overflow `dtype`.
    """
    if scale not in SCALES:
        raise unknown_name("scale", scale, SCALES)
    scaling = _as_they_are(parts[0].shape[1])
    with np.errstate(over="ignore", invalid="ignore"):
        if scale == "none":
            scaled = [np.array(x, dtype=dtype, order="C") for x in parts]
        elif scale == "unit" and full_scale is not None:
            scaling = scaling._replace(width=full_scale * scaling.width)
            scaled = [np.divide(x, full_scale, dtype=dtype) for x in parts]
        else:
            scaling = statistics(parts[0], scale)
            scaled = [scaling.apply(x, dtype) for x in parts]
    finite = scaling.is_finite.all() and all(np.isfinite(x).all() for x in scaled)
    if full_scale is None and not finite:
        raise InputError(f"features too large for {dtype} with scale {scale!r}")
    return scaled, scaling


def statistics(x: np.ndarray, scale: str) -> Scaling:
    """Return the scaling for the columns of training rows x (N, D), of N ≥ 1.

    none: the values as they are.
    center: x - mean.
    unit: (x - lowest) / (highest - lowest).
    standard: (x - mean) / deviation.
    robust: (x - median) / (third - first quartile), or / deviation where these quartiles are
        the same.
    quantile: (rank - 1/2) √12, with the rank among the different values of the column, from 0 to 1,
        by 100 quantiles of them; over these values it has mean 0 and deviation 1.
    auto: `quantile` for a column with a long tail, where a value is more than 6 deviations from
        the mean, and `standard` for any other.
    A column that is constant, or whose values differ by less than 1e-290, is only shifted, so it
    becomes 0, or as good as 0.
    """
    if scale == "none":
        return _as_they_are(x.shape[1])
    low, high = x.min(axis=0).astype(np.float64), x.max(axis=0).astype(np.float64)
    constant = high - low < NEGLIGIBLE
    if scale == "quantile":
        return _with_ranks(varying(constant, low, low, high - low), x, ~constant)
    if scale == "unit":
        return varying(constant, low, low, high - low)
    mean = x.mean(axis=0, dtype=np.float64)
    if scale == "center":
        return varying(constant, low, mean, np.ones(len(mean)))
    deviation = _deviation(x, mean, high - low)
    standard = varying(constant, low, mean, deviation)
    if scale == "standard":
        return standard
    if scale == "auto":
        near = np.maximum(high - mean, mean - low) <= LONG_TAIL * deviation
        return _with_ranks(standard, x, ~(constant | near & np.isfinite(deviation)))
    first, median, third = np.percentile(x, (25, 50, 75), axis=0).astype(np.float64)
    between = third - first
    return varying(constant, low, median, np.where(between < NEGLIGIBLE, deviation, between))


def are_negligible(x: np.ndarray) -> np.ndarray:
    """Tell which columns of x (N, D) vary, but by less than 1e-290: (D,)."""
    low, high = x.min(axis=0).astype(np.float64), x.max(axis=0).astype(np.float64)
    with np.errstate(over="ignore"):
        negligible: np.ndarray = (low < high) & (high - low < NEGLIGIBLE)
    return negligible


def _deviation(x: np.ndarray, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return the deviation (D,) of columns that spread so far.

    Of a spread whose square leaves float64 it is computed in a unit near it, a power of 2.
    """
    exponent = np.frexp(spread)[1]
    unit = np.where(np.abs(exponent) > FAR, exponent, 0)
    squares = np.zeros(len(mean))
    for start in range(0, len(x), ROWS_AT_ONCE):
        centered = x[start : start + ROWS_AT_ONCE] - mean
        squares += np.square(np.ldexp(centered, -unit) if unit.any() else centered).sum(axis=0)
    return np.ldexp(np.sqrt(squares / len(x)), unit)


def _as_they_are(columns: int) -> Scaling:
    return Scaling(np.zeros(columns), np.ones(columns))


def varying(constant: np.ndarray, low: np.ndarray, shift: np.ndarray, width: np.ndarray) -> Scaling:
    """Return the scaling of the columns that vary; others are shifted by their only value."""
    return Scaling(np.where(constant, low, shift), np.where(constant, 1.0, width))


def _with_ranks(scaling: Scaling, x: np.ndarray, ranked: np.ndarray) -> Scaling:
    """Return a scaling by ranks of some columns, a mask (D,), and as it is of the others."""
    if not ranked.any():
        return scaling
    quantiles = np.full((QUANTILES, len(ranked)), np.nan)
    for column in np.flatnonzero(ranked):
        quantiles[:, column] = _quantiles(_different(x[:, column]))
    shift, width = np.where(ranked, 0.5, scaling.shift), np.where(ranked, DEVIATION, scaling.width)
    return Scaling(shift, width, quantiles)


def _different(values: np.ndarray) -> np.ndarray:
    """Return the different values (N,) in order, with 0 for those as good as 0.

    No two are then so near that nothing can be divided by their difference.
    """
    different: np.ndarray = np.unique(np.where(np.abs(values) < NEGLIGIBLE, 0, values))
    return different


def _quantiles(values: np.ndarray) -> np.ndarray:
    """Return the quantiles (Q,), float64, of different values in order, as NumPy's `linear`."""
    places = np.linspace(0, len(values) - 1, QUANTILES)
    quantiles: np.ndarray = np.interp(places, np.arange(len(values)), values.astype(np.float64))
    return quantiles


def loses_digits(values: np.ndarray, dtype: str) -> bool:
    """Tell whether fewer than two thirds of the different values (N,) stay different in `dtype`.

    So it is of times in seconds within ten minutes, which float32 counts in steps of 128.
    """
    different = np.unique(values)
    with np.errstate(over="ignore"):
        kept = np.unique(different.astype(dtype))
    return 3 * len(kept) < 2 * len(different)
