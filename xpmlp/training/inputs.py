"""From rows as the data had them to those that a net takes."""

import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from array_api_compat import is_array_api_obj

from xpmlp.data.blocks import Columns, OnNote
from xpmlp.data.dataset import Dataset, Rows, Scaling
from xpmlp.data.streaming import stream_rows
from xpmlp.data.tables.columns import Column
from xpmlp.data.tables.endings import is_table
from xpmlp.data.tables.matching import listed
from xpmlp.data.tables.preparing import matrix
from xpmlp.data.tables.raw import Place
from xpmlp.data.tables.rules import ColumnRule
from xpmlp.errors import InputError
from xpmlp.training.scaled_already import seem_scaled

if TYPE_CHECKING:
    from xpmlp.data.tables.known import Known

BLOCK = 1024
NUMBERS = "biuf"  # kinds of NumPy's dtypes
TWICE = (
    "the rows look as if they had been scaled already: scaled by the model, they look nothing like "
    "those of its training; they are taken for raw ones all the same"
)
SCALED_ROWS = (
    "; give data.test in place of data.test.x, as rows of a data set are known to be scaled, and "
    "scaled rows of your own to model.scaled_logits"
)


class TakesRows(Protocol):
    """What a model tells of the rows that it takes."""

    @property
    def sizes(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def dtype(self) -> str: ...  # noqa: D102
    @property
    def feature_names(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def image_shape(self) -> tuple[int, int] | None: ...  # noqa: D102
    @property
    def scale(self) -> str: ...  # noqa: D102
    @property
    def scaling(self) -> Scaling | None: ...  # noqa: D102
    @property
    def columns(self) -> tuple[ColumnRule, ...]: ...  # noqa: D102
    @property
    def label(self) -> tuple[str, ...]: ...  # noqa: D102


def require_scaling(model: TakesRows) -> None:
    """Raise InputError where a model does not know how its inputs were scaled."""
    if model.scaling is None and model.scale != "none":
        raise InputError(
            f"the model was saved without the numbers of its {model.scale} scaling, so it can "
            "only be evaluated on the data set of its training; train it anew"
        )


def known_of(model: TakesRows) -> "Known":
    """Return what a model takes of a table."""
    from xpmlp.data.tables.known import Known

    columns = Columns(model.sizes[0], model.feature_names, model.image_shape)
    if not model.columns:
        return Known.numbers(columns)._replace(label=model.label)
    names = tuple(rule.name for rule in model.columns)
    return Known(model.columns, Columns(len(names), names), model.label)


def scaled(model: TakesRows, raw: Any) -> np.ndarray:
    """Return raw inputs (N, D) scaled as the training rows were, in the dtype of the net."""
    require_scaling(model)
    rows = np.asarray(raw)
    if rows.dtype not in (np.float32, np.float64):
        rows = rows.astype(np.float64)
    if model.scaling is None:
        return rows.astype(model.dtype)
    return model.scaling.apply(rows, model.dtype)


def scaled_rows(model: TakesRows, rows: Any) -> np.ndarray:
    """Return rows as the net takes them, (N, D), in its dtype.

    rows: raw ones, as an array or lists (N, D) or as all that `stream_inputs` reads; or `Rows`,
        which are scaled. What is assumed of them is a UserWarning of the caller's caller.
    Raises InputError for what does not fit.
    """
    notes: list[str] = []
    if isinstance(rows, Dataset):
        raise InputError("a data set has rows in its parts; give one of them, as data.test")
    if isinstance(rows, Rows):
        x = host_array(rows.x).astype(model.dtype)
    elif isinstance(rows, list | tuple) or is_array_api_obj(rows):
        x = _of_array(model, _matrix(model, rows), notes.append)
    else:
        x = np.concatenate([x for x, _ in stream_inputs(model, rows, BLOCK, notes.append)])
    for note in notes:
        text = note + SCALED_ROWS if note == TWICE else note
        warnings.warn(text, UserWarning, stacklevel=3)
    return x


def stream_inputs(
    model: TakesRows, source: Any, batch_rows: int, on_note: OnNote, header: bool | None = None
) -> Iterator[tuple[np.ndarray, Place]]:
    """Yield raw rows of a file or a table as the net takes them, with what tells where they stand.

    The options are those of `predict_file`. Rows that seem to be scaled are noted at the first.
    """
    known = known_of(model)
    looked_at: OnNote | None = on_note
    if is_table(source):
        from xpmlp.data.tables.known import stream_known

        for piece in stream_known(source, known, batch_rows, on_note, header):
            yield _of_columns(model, piece.columns, looked_at), piece.place
            looked_at = None
        return
    for block in stream_rows(source, known.columns, batch_rows, on_note):
        yield _of_array(model, block.x, looked_at), block.place
        looked_at = None


def host_array(array: Any) -> np.ndarray:
    """Return an array of any library, or lists, as NumPy's. Raises InputError where it can't be."""
    try:
        return np.asarray(array)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"expected an array that numpy.asarray takes: {error}") from error


def _matrix(model: TakesRows, rows: Any) -> np.ndarray:
    """Return numbers (N, D). Raises InputError for anything else."""
    raw = host_array(rows)
    width = len(model.columns) or model.sizes[0]
    if raw.ndim != 2 or raw.shape[1] != width:
        raise InputError(
            f"the model takes x of shape (N, {width}), got {raw.shape}; give one row per example, "
            "as the data had it"
        )
    if raw.dtype.kind not in NUMBERS:
        raise InputError(f"x must be numbers, got an array of dtype {raw.dtype}")
    if not model.columns and not np.isfinite(raw).all():
        raise InputError("x contains NaN or infinity")
    return raw


def _of_array(model: TakesRows, raw: np.ndarray, on_note: OnNote | None) -> np.ndarray:
    """Return raw rows (N, D) as the net takes them."""
    if not model.columns:
        return _scaled_and_noted(model, raw, on_note)
    texts = [rule.name for rule in model.columns if not rule.is_number]
    if texts:
        raise InputError(
            f"the model takes a table, in which {listed(texts)} hold texts; an array has none: "
            "give a table of pandas, polars or pyarrow, or a file"
        )
    rules = enumerate(model.columns)
    columns = [Column(rule.name, rule.kind, raw[:, i] * 1.0) for i, rule in rules]
    return _of_columns(model, columns, on_note)


def _of_columns(model: TakesRows, columns: Sequence[Column], on_note: OnNote | None) -> np.ndarray:
    if model.columns:
        raw = matrix(model.columns, columns)
    else:
        raw = np.stack([column.values for column in columns], axis=1)
    return _scaled_and_noted(model, raw, on_note)


def _scaled_and_noted(model: TakesRows, raw: np.ndarray, on_note: OnNote | None) -> np.ndarray:
    """Return raw rows scaled; say where they look as if they had been before."""
    with np.errstate(over="ignore", invalid="ignore"):
        x = scaled(model, raw)
    if on_note and seem_scaled(model.scale, model.scaling, raw, x):
        on_note(TWICE)
    return x
