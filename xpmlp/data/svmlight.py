"""Tables in the format of svmlight and libsvm: a label, then `place:value` for what is not 0."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from xpmlp.data.blocks import Block, Columns, OnNote
from xpmlp.data.idx import opened, read_at_most
from xpmlp.data.unpacking import USUAL_GIB, most_bytes, require_justified
from xpmlp.errors import InputError

SUFFIXES = (".svm", ".libsvm", ".svmlight")


def svmlight_blocks(
    path: str, columns: Columns, batch_rows: int, on_note: OnNote
) -> Iterator[Block]:
    """Yield the rows of a file, float64; columns that it doesn't name are 0.

    Its places count from 0 where the columns' names do.
    """
    on_note(f"{path}: the labels are not needed, and ignored")
    known = 0 if columns.names[:1] == ("x0",) else None
    x, _, begins = read_svmlight(Path(path), columns.width, known)
    if known is None:
        why = "as there is one" if begins == 0 else "as there is no 0"
        on_note(f"{path}: its places are taken to count from {begins}, {why}")
    for start in range(0, len(x), batch_rows):
        rows = x[start : start + batch_rows]
        yield Block(rows, path, "row", range(start, start + len(rows)))


def read_svmlight(
    path: Path,
    width: int | None = None,
    begins: int | None = None,
    max_unpacked: float = USUAL_GIB,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return features (N, D), labels, (N,) numbers or (N, L) of 0 and 1, and the first place.

    Both are float64. width: D, where that is known, of which the last columns may be absent, as
    they are 0. begins: 0 or 1, from which places count; None: 0 where the file has a place 0, else
    1. max_unpacked: as of `load_dataset`, of the text and of the dense table.
    Read by scikit-learn, packed by gzip or not. Raises InputError, with the line or row, for a file
    that is none such, or holds no finite numbers, and for one that is too wide to be held whole.
    """
    with opened(path) as stream:
        content = bytes(read_at_most(stream, most_bytes(path, max_unpacked) + 1))
    require_justified(path, len(content), max_unpacked)
    try:
        x, labels = _parse(content)
        if begins is None:
            begins = 0 if x.nnz and x.indices.min() == 0 else 1
        x = _of_width(x[:, begins:], width)
    except (ValueError, OverflowError) as error:
        raise InputError(_complaint(path, content, error)) from error
    if not x.shape[0] or not x.shape[1]:
        raise InputError(f"{path}: holds no rows" if not x.shape[0] else f"{path}: holds no values")
    for values, places in ((x.data, x.tocoo().row), (labels, range(len(labels)))):
        if not np.isfinite(values).all():
            row = int(places[int(np.argmin(np.isfinite(values)))])
            raise InputError(f"{path}, row {row + 1}: NaN and infinity are no numbers to learn")
    require_justified(path, 8 * x.shape[0] * x.shape[1], max_unpacked)
    return x.toarray(), labels, begins


def _of_width(x: Any, width: int | None) -> Any:
    """Return a sparse matrix with so many columns. Raises ValueError where it has more."""
    if width is None or x.shape[1] == width:
        return x
    if x.shape[1] > width:
        raise ValueError(f"it has {x.shape[1]} columns, and {width} are known")
    x.resize(x.shape[0], width)
    return x


def _parse(content: bytes) -> tuple[Any, np.ndarray]:
    """Return a sparse matrix, with a column 0, and the labels; several, with commas, as 0 and 1."""
    from sklearn.datasets import load_svmlight_file
    from sklearn.preprocessing import MultiLabelBinarizer

    try:
        x, y = load_svmlight_file(BytesIO(content), zero_based=True)
    except ValueError:
        x, several = load_svmlight_file(BytesIO(content), zero_based=True, multilabel=True)
        y = MultiLabelBinarizer().fit_transform(several).astype(np.float64)
    return x, y


def _complaint(path: Path, content: bytes, error: Exception) -> str:
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            _parse(line)
        except (ValueError, OverflowError) as reason:
            return (
                f"{path}, line {number}: expected a label and pairs place:value, as "
                f"'1 3:0.5 7:2', got {line[:40].decode(errors='replace')!r} ({reason})"
            )
    return f"{path}: {error}"
