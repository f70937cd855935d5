"""Numbers as tables show them: published digits, abbreviated arrays."""

import math
from typing import Any

import numpy as np

SHOWN_ENTRIES = 2


def figure_text(value: Any) -> str:
    """Return a number with its own digits, or the first entries of an array with its size."""
    array = np.asarray(value)
    if array.ndim == 0:
        return str(array.item())
    entries = [f"{entry:.4g}" for entry in array.ravel()[:SHOWN_ENTRIES]]
    more = ", …" if array.size > SHOWN_ENTRIES else ""
    size = "×".join(map(str, array.shape))
    return f"({', '.join(entries)}{more}), {size} numbers"


def error_text(error: float) -> str:
    """Return the order of an error, as in `3e-16`, or `0` for none at all."""
    return f"{error:.0e}" if error else "0"


def plain(value: Any) -> Any:
    """Return lists and numbers for JSON: no arrays, and None for what isn't finite."""
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
