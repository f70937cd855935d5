"""Tables in the format of svmlight and libsvm: a label, then `place:value` for what is not 0."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from xpmlp.data.idx import opened
from xpmlp.errors import InputError

SUFFIXES = (".svm", ".libsvm", ".svmlight")
_MOST_BYTES = 1 << 33


def read_svmlight(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return features (N, D) and labels, (N,) numbers or (N, L) of 0 and 1, both float64.

    Read by scikit-learn, packed by gzip or not; places count from 0 or 1, whichever the file
    shows. Raises InputError, with the line, for a file that is none such, and for one that is too
    wide to be held whole.
    """
    with opened(path) as stream:
        content = stream.read()
    try:
        x, labels = _parse(content)
    except ValueError as error:
        raise InputError(_complaint(path, content, error)) from error
    if not x.shape[0]:
        raise InputError(f"{path}: holds no rows")
    if 8 * x.shape[0] * x.shape[1] > _MOST_BYTES:
        raise InputError(
            f"{path}: {x.shape[0]:,} rows of {x.shape[1]:,} features are more than fit in memory "
            "as a dense table; keep the columns that matter"
        )
    return x.toarray(), labels


def _parse(content: bytes) -> tuple[Any, np.ndarray]:
    """Return a sparse matrix and the labels; several of them, with commas, as 0 and 1."""
    from sklearn.datasets import load_svmlight_file
    from sklearn.preprocessing import MultiLabelBinarizer

    try:
        x, y = load_svmlight_file(BytesIO(content))
    except ValueError:
        x, several = load_svmlight_file(BytesIO(content), multilabel=True)
        y = MultiLabelBinarizer().fit_transform(several).astype(np.float64)
    return x, y


def _complaint(path: Path, content: bytes, error: ValueError) -> str:
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            _parse(line)
        except ValueError as reason:
            return (
                f"{path}, line {number}: expected a label and pairs place:value, as "
                f"'1 3:0.5 7:2', got {line[:40].decode(errors='replace')!r} ({reason})"
            )
    return f"{path}: {error}"
