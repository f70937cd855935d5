"""Scaling of features, with statistics from the training rows alone."""

from collections.abc import Iterator, Sequence

import numpy as np

from xpmlp.data.dataset import Scaling
from xpmlp.errors import InputError, unknown_name

SCALES = ("none", "center", "unit", "standard")

_CHUNK = 4096


def scale_parts(
    parts: Sequence[np.ndarray], scale: str, full_scale: float | None, dtype: str
) -> tuple[list[np.ndarray], Scaling]:
    """Return the parts, each (N, D), scaled and in `dtype`; the first holds the training rows.

    none: the values as they are.
    center: x - mean, with the mean of each column of the training rows.
    unit: pixels divided by `full_scale`; other data (x - low) / (high - low), with the lowest
        and highest of each column of the training rows.
    standard: (x - mean) / deviation of each column of the training rows.
    A column that is constant in the training rows is only shifted, so it becomes 0 there.

    Raises InputError for an unknown scale, and for values that overflow `dtype`.
    """
    if scale not in SCALES:
        raise unknown_name("scale", scale, SCALES)
    columns = parts[0].shape[1]
    scaling = Scaling(np.zeros(columns), np.ones(columns))
    with np.errstate(over="ignore", invalid="ignore"):
        if scale == "none":
            scaled = [np.array(x, dtype=dtype, order="C") for x in parts]
        elif scale == "unit" and full_scale is not None:
            scaling = scaling._replace(width=np.full(columns, float(full_scale)))
            scaled = [np.divide(x, full_scale, dtype=dtype) for x in parts]
        else:
            scaling = _statistics(parts[0], scale)
            scaled = [_shift_and_divide(x, scaling, dtype) for x in parts]
    if full_scale is None and not all(np.isfinite(x).all() for x in scaled):
        raise InputError(f"features too large for {dtype} with scale {scale!r}")
    return scaled, scaling


def _statistics(x: np.ndarray, scale: str) -> Scaling:
    low, high = x.min(axis=0).astype(np.float64), x.max(axis=0).astype(np.float64)
    constant = low == high
    if scale == "unit":
        return Scaling(low, np.where(constant, 1.0, high - low))
    mean = x.mean(axis=0, dtype=np.float64)
    if scale == "center":
        return Scaling(np.where(constant, low, mean), np.ones(len(mean)))
    squares = sum(np.square(x[rows] - mean).sum(axis=0) for rows in _chunks(len(x)))
    deviation = np.sqrt(squares / len(x))
    return Scaling(np.where(constant, low, mean), np.where(constant, 1.0, deviation))


def _shift_and_divide(x: np.ndarray, scaling: Scaling, dtype: str) -> np.ndarray:
    out = np.empty(x.shape, dtype)
    for rows in _chunks(len(x)):
        out[rows] = (x[rows] - scaling.shift) / scaling.width
    return out


def _chunks(n: int) -> Iterator[slice]:
    """Yield slices that cover n rows, so that float64 copies of images stay small."""
    return (slice(start, start + _CHUNK) for start in range(0, n, _CHUNK))
