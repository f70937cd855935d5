"""`predict_file`: what a model makes of a file, which may be larger than memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from xpmlp.data.blocks import Block, Columns, OnNote
from xpmlp.data.streaming import stream_rows
from xpmlp.nn.losses import LOSSES
from xpmlp.training.model import Model, decide

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
    path: str | Path,
    *,
    batch_rows: int = BATCH_ROWS,
    on_note: OnNote | None = None,
) -> Iterator[Predictions]:
    """Yield predictions for the rows of a file in their order, up to `batch_rows` at a time.

    path: rows as they were before scaling; the scaling of the training is applied. Text
        (`.csv`, `.dat`, `-` for standard input), `.npy`, `.npz`, or images in an IDX file.
        A header may name the columns in any order; a column after them is the label, ignored.
    on_note: is called with a line for people on what was ignored or put in order.

    Raises InputError, at the row in question, for a file that can't be read or doesn't fit.
    """
    columns = Columns(model.sizes[0], model.feature_names, model.image_shape)
    for block in stream_rows(path, columns, batch_rows, on_note or _ignore):
        yield _predict(model, block)


def _predict(model: Model, block: Block) -> Predictions:
    with np.errstate(over="ignore", invalid="ignore"):
        x = model.scale_inputs(block.x)
        block.require_finite(x, _TOO_LARGE)
        logits = model.logits(x)
        outputs = LOSSES[model.loss].predict(np, logits)
    block.require_finite(outputs, _TOO_LARGE)
    return Predictions(outputs, decide(logits) if model.class_names else None)


def _ignore(note: str) -> None:
    """Do nothing with a note."""
