"""Rows and data sets in a few words; of an array its least and its greatest value are computed."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from xpmlp.described import Lines, listed

_SHOWN_CLASSES = 10


def array_text(array: Any) -> str:
    """Return shape, dtype and range of an array of any library, computed where it lies."""
    dtype = str(array.dtype).rpartition(".")[2]
    return ", ".join(filter(None, [f"{tuple(array.shape)} {dtype}", range_text(array)]))


def range_text(array: Any) -> str:
    """Return `-1.2 to 3.4`, "" of no numbers."""
    if getattr(array, "stays_on_disk", False):
        return "read from disk"
    xp = array_namespace(array)
    if not math.prod(array.shape) or not xp.isdtype(array.dtype, ("integral", "real floating")):
        return ""
    low, high = float(xp.min(array)), float(xp.max(array))
    return f"{low:.4g} to {high:.4g}" if low < high or low != low else f"all {low:.4g}"


def rows_lines(rows: Any) -> Lines:
    """Return what each array of some `Rows` holds."""
    y = rows.y
    counts = counts_text(y, ()) if y.ndim == 1 and y.dtype.kind in "iu" else ""
    lines = [("x", array_text(rows.x)), ("y", array_text(y))]
    if counts:
        lines.append(("rows of each", counts))
    return lines if rows.weights is None else [*lines, ("weights", array_text(rows.weights))]


def dataset_lines(data: Any) -> Lines:
    """Return what a `Dataset` holds, of the training rows its range and the rows of each class."""
    train, parts = data.train, ("train", "validation", "test")
    weighted = ", weighted" if train.weights is not None else ""
    lines = [(part, f"{len(getattr(data, part)):,} rows") for part in parts]
    lines[0] = ("train", f"{lines[0][1]}{weighted}, x {array_text(train.x)}")
    if data.image_shape:
        lines.append(("images", " x ".join(map(str, data.image_shape))))
    elif data.feature_names:
        lines.append(("columns", f"{len(data.feature_names):,}: {listed(data.feature_names)}"))
    lines.append(_learnt(data))
    if data.scale != "none":
        lines.append(("scale", data.scale))
    if data.note:
        first, *more = data.note.splitlines()
        lines.append(("note", first + f" (and {len(more)} more in .note)" * bool(more)))
    return lines


def _learnt(data: Any) -> tuple[str, str]:
    y = data.train.y
    if data.task == "classification":
        return "classes", counts_text(y, data.class_names)
    label = f"{listed(data.label)}: " if data.label else ""
    if data.task == "regression" or not len(y) or y.dtype.kind not in "biuf":
        return "values", label + array_text(y)
    shares = [f"{share:.0%}" for share in y.mean(axis=0)]
    return "labels", f"{label}{len(shares)} of 0 or 1; 1 in {listed(shares)} of the rows"


def counts_text(y: np.ndarray, names: Sequence[str]) -> str:
    """Return how many of class indices (N,) each class has; of many classes the extremes."""
    fits = y.ndim == 1 and y.dtype.kind in "iu"
    if not fits or (len(y) and not 0 <= y.min() <= y.max() < max(len(names), 10_000)):
        return listed(names)
    counts = np.bincount(y, minlength=len(names))
    known = [names[k] if names else str(k) for k in range(len(counts))]
    if len(counts) > _SHOWN_CLASSES:
        shown = f"{len(known):,}: {listed(known)}"
        return f"{shown}; {counts.min():,} to {counts.max():,} rows each"
    return ", ".join(f"{name} ({n:,})" for name, n in zip(known, counts, strict=True))
