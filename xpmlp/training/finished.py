"""What every finished run can tell, whether it was trained just now or read from its folder.

A run shows itself by what rooms above draw, describe and evaluate. This is the one file that
enters them: by their names, and only when a run is asked to be shown.
"""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from xpmlp.data.dataset import Dataset
from xpmlp.training.config import Config
from xpmlp.training.evaluation import Evaluation, Score
from xpmlp.training.history import EpochRecord, History
from xpmlp.training.model import Model

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class FinishedRun(Protocol):
    """A trained model with all that is known of its training.

    title: what it is, in a line. data, test: the rows, scaled, and the model's evaluation over
    the test rows, None without any; a run from a folder loads and computes them when asked for.
    test_score: the loss and the accuracy as they were at the end of the training.
    best_epoch: that of the lowest validation loss, None without early stopping.
    record: the epoch whose weights the model has, None before the first has ended.
    """

    @property
    def title(self) -> str: ...  # noqa: D102
    @property
    def config(self) -> Config: ...  # noqa: D102
    @property
    def model(self) -> Model: ...  # noqa: D102
    @property
    def history(self) -> History: ...  # noqa: D102
    @property
    def record(self) -> EpochRecord | None: ...  # noqa: D102
    @property
    def best_epoch(self) -> int | None: ...  # noqa: D102
    @property
    def data(self) -> Dataset: ...  # noqa: D102
    @property
    def test(self) -> Evaluation | None: ...  # noqa: D102
    @property
    def test_score(self) -> Score | None: ...  # noqa: D102


class Shown:
    """Gives a `FinishedRun` its pictures, and the texts that Python and notebooks show of it."""

    def plot(self: FinishedRun, name: str = "epochs") -> "Figure":
        """Draw one picture of the run, as matplotlib's figure.

        Raises InputError, with the names of the pictures that this run has, for another name.
        """
        figure: Figure = import_module("xpmlp.runs.drawing").picture(self, name)
        return figure

    def pictures(self: FinishedRun) -> "Iterator[tuple[str, Figure]]":
        """Yield name and figure of every picture that applies to the run, one at a time."""
        figures: Iterator[tuple[str, Figure]] = import_module("xpmlp.runs.drawing").pictures(self)
        return figures

    def evaluate(
        self: FinishedRun,
        dataset: str | Path | None = None,
        *,
        part: str | None = None,
        data_dir: str | Path | None = None,
    ) -> Any:
        """Return the `Report` of the model over the test rows of its training or any other rows.

        The options are those of `xpmlp.evaluation.evaluating.evaluate`. Raises InputError where
        the data can't be had, or does not fit the model.
        """
        evaluate = import_module("xpmlp.evaluation.evaluating").evaluate
        return evaluate(self, dataset, part=part, data_dir=data_dir)

    def __repr__(self: FinishedRun) -> str:
        text: str = import_module("xpmlp.runs.describing").run_text(self)
        return text

    def _repr_html_(self: FinishedRun) -> str:
        html: str = import_module("xpmlp.runs.describing").run_html(self)
        return html
