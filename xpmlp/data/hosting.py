"""Whatever holds numbers or texts, from lists to tensors, as NumPy's arrays on the host."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from array_api_compat import is_cupy_array

from xpmlp.errors import InputError


def on_host(value: Any, name: str) -> np.ndarray:
    """Return an array of numbers or texts, of one axis or more.

    value: an array or tensor of any library, on any device, carrying a gradient or not; a list; a
        series or frame of pandas or polars; a sparse matrix, which becomes dense.
    name: what messages call it.

    Raises InputError for anything else, for lists of different lengths, for entries that are
    missing, masked, or texts beside numbers.
    """
    if isinstance(value, str | Path):
        raise InputError(
            f"{name}: expected rows, got {str(value)!r}; xpmlp.load_dataset takes the name of a "
            "data set or a file"
        )
    if isinstance(value, np.ma.MaskedArray):
        raise InputError(f"{name}: fill what is masked, or leave these rows out")
    try:
        array = np.asarray(_fetched(value))
    except (ValueError, TypeError) as error:
        why = "its rows have different lengths" if isinstance(value, list | tuple) else str(error)
        raise InputError(f"{name}: no array can be made of it: {why}") from error
    if array.ndim == 0:
        raise InputError(
            f"{name}: expected an array, list, frame or tensor, got {type(value).__name__}"
        )
    if array.dtype.kind == "U" and isinstance(value, list | tuple):
        array = np.asarray(value, dtype=object)  # which NumPy had made texts, whatever they were
    return _plain(array, name) if array.dtype.kind in "OT" else array


def _fetched(value: Any) -> Any:
    """Return what NumPy can make an array of."""
    if hasattr(value, "toarray"):
        return value.toarray()
    if hasattr(value, "detach"):
        return value.detach().cpu()
    return value.get() if is_cupy_array(value) else value


def _plain(array: np.ndarray, name: str) -> np.ndarray:
    """Return objects as numbers or texts."""
    entries = array.reshape(-1).tolist()
    missing = [row for row, entry in enumerate(entries) if _is_missing(entry)]
    if missing:
        row = missing[0] // max(1, len(entries) // len(array))
        raise InputError(f"{name}: row {row} has an entry that is missing; leave such rows out")
    texts = [isinstance(entry, str) for entry in entries]
    if any(texts) and not all(texts):
        number = entries[texts.index(False)]
        raise InputError(
            f"{name}: {entries[texts.index(True)]!r} is a text and {number!r} is none; give "
            "texts alone, or numbers alone; the columns of a frame may be of both kinds"
        )
    return np.array(entries).reshape(array.shape)


def _is_missing(entry: Any) -> bool:
    """Tell whether an entry is None, NaN, or the missing value of pandas."""
    same = entry == entry
    return entry is None or not isinstance(same, bool | np.bool_) or not same


def joined(parts: Sequence[np.ndarray | None], counts: Sequence[int]) -> np.ndarray | None:
    """Return the weights of some parts one after the other, 1 where a part has none.

    None where no part has any.
    """
    if all(part is None for part in parts):
        return None
    pairs = zip(parts, counts, strict=True)
    return np.concatenate([np.ones(n) if part is None else part for part, n in pairs])
