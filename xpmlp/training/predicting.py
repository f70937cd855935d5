"""`predict_file`: what a model makes of a file, which may be larger than memory."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from xpmlp.data.blocks import Columns, OnNote
from xpmlp.data.streaming import stream_rows
from xpmlp.data.tables.columns import Column
from xpmlp.data.tables.endings import is_table
from xpmlp.data.tables.matching import listed
from xpmlp.data.tables.raw import Place
from xpmlp.errors import InputError
from xpmlp.training.model import Model, decide

if TYPE_CHECKING:
    from xpmlp.data.tables.known import Known

BATCH_ROWS = 1024
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
    batch_rows: int = BATCH_ROWS,
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
    for x, place in _inputs(model, path, batch_rows, on_note or ignore, header):
        yield _predict(model, x, place)


def _predict(model: Model, x: np.ndarray, place: Place) -> Predictions:
    with np.errstate(over="ignore", invalid="ignore"):
        _require_finite(x, place, _TOO_LARGE)
        logits = model.logits(x)
        outputs = model.outputs_of(logits)
        _require_finite(outputs, place, _TOO_LARGE)
    return Predictions(outputs, decide(logits) if model.class_names else None)


def known_of(model: Model) -> "Known":
    """Return what a model takes of a table."""
    from xpmlp.data.tables.known import Known

    columns = Columns(model.sizes[0], model.feature_names, model.image_shape)
    if not model.columns:
        return Known.numbers(columns)._replace(label=model.label)
    names = tuple(rule.name for rule in model.columns)
    return Known(model.columns, Columns(len(names), names), model.label)


def _inputs(
    model: Model, path: Any, batch_rows: int, on_note: OnNote, header: bool | None
) -> Iterator[tuple[np.ndarray, Place]]:
    """Yield rows as the net takes them, with what tells where they stand."""
    known = known_of(model)
    if is_table(path):
        from xpmlp.data.tables.known import stream_known

        for piece in stream_known(path, known, batch_rows, on_note, header):
            yield _prepared(model, piece.columns), piece.place
        return
    for block in stream_rows(path, known.columns, batch_rows, on_note):
        yield _of_array(model, block.x), block.place


def _prepared(model: Model, columns: Sequence[Column]) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        return model.prepare(columns)


def _of_array(model: Model, x: np.ndarray) -> np.ndarray:
    """Return raw rows (N, D) as the net takes them."""
    if not model.columns:
        with np.errstate(over="ignore", invalid="ignore"):
            return model.scale_inputs(x)
    texts = [rule.name for rule in model.columns if not rule.is_number]
    if texts:
        raise InputError(
            f"the model takes a table, in which {listed(texts)} hold texts; an array has none"
        )
    rules = enumerate(model.columns)
    return _prepared(model, [Column(rule.name, rule.kind, x[:, i] * 1.0) for i, rule in rules])


def _require_finite(values: np.ndarray, place: Place, problem: str) -> None:
    """Raise InputError, naming the first row of values (N, K) that isn't finite."""
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        raise InputError(f"{place(int(np.argmin(finite)))}: {problem}")


def ignore(note: str) -> None:
    """Do nothing with a note."""
