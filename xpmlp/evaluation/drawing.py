"""Which pictures there are of what a model makes of rows."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from xpmlp.data.dataset import Rows
from xpmlp.evaluation.calibration import Calibration, calibration_of
from xpmlp.pictures.calibration import calibration_curve
from xpmlp.pictures.outcomes import (
    confusion_matrix,
    misclassified,
    mistake_caption,
    predicted_against_true,
    worst_mistakes,
)
from xpmlp.pictures.regions import certainties
from xpmlp.training.model import Model, decide

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Drawings = Iterator[tuple[str, Callable[..., "Figure"]]]

OUTCOMES = ("predicted-against-true", "confusion-matrix", "calibration", "misclassified")


def outcome_drawings(model: Model, rows: Rows, logits: np.ndarray, part: str = "test") -> Drawings:
    """Yield name and drawing of what a model makes of rows, from its logits (N, C) over them.

    A drawing takes `ax`, axes to draw on. part: what the pictures call the rows; may be empty.
    """
    if model.task == "multilabel":
        return
    if not model.class_names:
        yield (
            "predicted-against-true",
            partial(predicted_against_true, rows.y, model.outputs_of(logits), part),
        )
        return
    classes = decide(logits)
    yield (
        "confusion-matrix",
        partial(confusion_matrix, rows.y, classes, model.class_names, part),
    )
    if calibration := calibration_of(model, rows, logits):
        yield "calibration", partial(_calibration, calibration, part)
    if model.image_shape and (classes != rows.y).any():
        certainty = certainties(model, logits, classes)
        yield "misclassified", partial(_mistakes, model, rows, classes, certainty, part)


def _calibration(
    found: Calibration, part: str, ax: "Axes | Sequence[Axes] | None" = None
) -> "Figure":
    return calibration_curve(
        found.confidence, found.right, found.share, found.error, found.intervals, part, ax=ax
    )


def _mistakes(
    model: Model,
    rows: Rows,
    classes: np.ndarray,
    certainty: np.ndarray,
    part: str,
    ax: "Axes | Sequence[Axes] | None" = None,
) -> "Figure":
    """Draw the images that a model is most certainly wrong about."""
    assert model.image_shape
    worst = worst_mistakes(rows.y, classes, certainty)
    measure = "p" if model.loss.endswith("cross_entropy") else "output"
    names = model.class_names
    captions = [
        mistake_caption(names[rows.y[i]], names[classes[i]], certainty[i], measure) for i in worst
    ]
    wrong = int(np.sum(rows.y != classes))
    return misclassified(
        np.asarray(rows.x[worst]).reshape(-1, *model.image_shape),
        captions,
        f"{len(worst)} of {wrong:,} misclassified {f'{part} rows'.lstrip()}, most certain first: "
        "true → predicted",
        ax=ax,
    )
