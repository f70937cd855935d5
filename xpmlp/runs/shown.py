"""How a finished run shows itself: pictures, an evaluation, texts."""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from array_api_compat import is_array_api_obj

from xpmlp.data.dataset import Rows
from xpmlp.errors import InputError
from xpmlp.runs.describing import run_html, run_text
from xpmlp.training.finished import FinishedRun

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from xpmlp.evaluation.reports import Report


class Shown:
    """Gives a `FinishedRun` its pictures, and the texts that Python and notebooks show of it."""

    def plot(
        self: FinishedRun, name: str = "epochs", *, ax: "Axes | Sequence[Axes] | None" = None
    ) -> Any:
        """Draw one picture of the run, and return matplotlib's figure, or the axes given.

        ax: axes to draw on, in place of a figure of its own; two in a sequence for `epochs` of a
            classifier. Nothing else of their figure is changed.
        Raises InputError, with the names of the pictures that this run has, for another name,
        and for axes that are not as many as the picture has panels.
        """
        from xpmlp.runs.drawing import picture

        figure = picture(self, name, ax)
        return figure if ax is None else ax

    def pictures(self: FinishedRun) -> "Iterator[tuple[str, Figure]]":
        """Yield name and figure of every picture that applies to the run, one at a time."""
        from xpmlp.runs.drawing import pictures

        return pictures(self)

    def evaluate(
        self: FinishedRun,
        dataset: str | Path | None = None,
        *,
        part: str | None = None,
        data_dir: str | Path | None = None,
        max_unpacked: float | None = None,
    ) -> "Report":
        """Return the `Report` of the model over the test rows of its training or any other rows.

        The options are those of `xpmlp.evaluation.evaluating.evaluate`. Raises InputError where
        the data can't be had, or does not fit the model.
        """
        from xpmlp.evaluation.evaluating import evaluate

        return evaluate(self, dataset, part=part, data_dir=data_dir, max_unpacked=max_unpacked)

    def predict(self: FinishedRun, table: Any) -> "np.ndarray":
        """Return what the model makes of raw rows: names of classes (N,), else values (N, C).

        table: a file, or a table of pandas, polars or pyarrow, as the training had it; its
            columns are prepared as there, and a label is not needed. What had to be assumed of
            it is a UserWarning. Raises InputError where it does not fit.
        """
        import numpy as np

        from xpmlp.training.predicting import predict_file

        if isinstance(table, list | tuple | Rows) or is_array_api_obj(table):
            raise InputError("run.predict takes a table or a file; run.model.predict takes arrays")
        notes: list[str] = []
        pieces = list(predict_file(self.model, table, on_note=notes.append))
        for note in notes:
            warnings.warn(note, UserWarning, stacklevel=2)
        if not self.model.class_names:
            return np.concatenate([piece.outputs for piece in pieces])
        classes = np.concatenate([piece.classes for piece in pieces])
        names: np.ndarray = np.array(self.model.class_names)[classes]
        return names

    def __repr__(self: FinishedRun) -> str:
        return run_text(self)

    def _repr_html_(self: FinishedRun) -> str:
        return run_html(self)
