"""`predict_file`: what a model makes of a file, which may be larger than memory."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from xpmlp.data.blocks import OnNote
from xpmlp.data.tables.raw import Place
from xpmlp.errors import InputError
from xpmlp.training.inputs import BLOCK, stream_inputs
from xpmlp.training.model import Model, decide

_TOO_LARGE = "its values are too large for the model"


class Predictions(NamedTuple):
    """What a model makes of N rows.

    outputs: (N, C), in the dtype of the model, as by `Model.predict_outputs`.
    classes: indices (N,), int64, as by `Model.predict`; None where the model has no classes.
    """

    outputs: np.ndarray
    classes: np.ndarray | None


def predict_file(
    model: Model,
    path: Any,
    *,
    batch_rows: int = BLOCK,
    on_note: OnNote | None = None,
    header: bool | None = None,
) -> Iterator[Predictions]:
    """Yield predictions for the rows of a file in their order, up to `batch_rows` at a time.

    path: rows as they were before the training prepared them. A table (text, `-` for text from
        standard input, Parquet, Feather, or one of pandas, polars or pyarrow), `.npy`, `.npz`,
        or images in an IDX file. A header may name the columns in any order; a label is ignored.
    on_note: is called with a line for people on what was ignored or put in order.
    header: whether the first line of a text has names; None: as its first lines tell.

    Raises InputError, at the row in question, for a file that can't be read or doesn't fit.
    """
    if batch_rows < 1:
        raise InputError(f"a batch must have 1 row or more, got {batch_rows}")
    for x, place in stream_inputs(model, path, batch_rows, on_note or ignore, header):
        yield _predict(model, x, place)


def _predict(model: Model, x: np.ndarray, place: Place) -> Predictions:
    with np.errstate(over="ignore", invalid="ignore"):
        _require_finite(x, place, _TOO_LARGE)
        logits = model.scaled_logits(x)
        outputs = model.outputs_of(logits)
        _require_finite(outputs, place, _TOO_LARGE)
    return Predictions(outputs, decide(logits) if model.class_names else None)


def _require_finite(values: np.ndarray, place: Place, problem: str) -> None:
    """Raise InputError, naming the first row of values (N, K) that isn't finite."""
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        raise InputError(f"{place(int(np.argmin(finite)))}: {problem}")


def ignore(note: str) -> None:
    """Do nothing with a note."""
