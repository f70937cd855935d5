"""What a model of several labels a row makes of rows."""

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from xpmlp.evaluation.reports import Report
from xpmlp.training.texts import loss_text

HALF = 0.5


class LabelFigures(NamedTuple):
    """One label over all rows: how many have it, and how well that was told.

    accuracy: the share of rows that were told right; precision, recall, f1: of having the label.
    """

    name: str
    rows: int
    accuracy: float
    precision: float
    recall: float
    f1: float


class LabelReport(Report):
    """The report of a model that tells of each of O labels whether a row has it."""

    @cached_property
    def predicted(self) -> np.ndarray:
        """The predicted labels, (N, O), 0 or 1: an output above one half."""
        return (self.outputs > HALF).astype(np.float64)

    @property
    def label_accuracy(self) -> float:
        """The share of all labels of all rows that were told right."""
        return float(np.mean(self.predicted == self.true))

    @property
    def measures(self) -> dict[str, float | None]:
        """Loss, the share of labels told right, and that of rows of which all were."""
        whole = (self.predicted == self.true).all(axis=1)
        return {
            "loss": self.loss,
            "label_accuracy": self.label_accuracy,
            "row_accuracy": float(np.mean(whole)),
        }

    @cached_property
    def labels(self) -> list[LabelFigures]:
        """The figures of each label, with its name or its number from 1."""
        from sklearn.metrics import precision_recall_fscore_support

        precision, recall, f1, rows = precision_recall_fscore_support(
            self.true, self.predicted, average=None, zero_division=0
        )
        accuracy = np.mean(self.predicted == self.true, axis=0)
        names = self.model.label or [str(i) for i in range(1, len(accuracy) + 1)]
        columns = (rows.astype(int), accuracy, precision, recall, f1)
        return [
            LabelFigures(name, *values)
            for name, *values in zip(names, *(c.tolist() for c in columns), strict=True)
        ]

    def details(self) -> dict[str, Any]:
        """Return the figures of each label."""
        return {"labels": [label._asdict() for label in self.labels]}

    def body(self) -> str:
        """Return loss, both accuracies, and a line for each label."""
        measures = self.measures
        width = max(len("label"), *(len(label.name) for label in self.labels))
        heading = f"{'label':<{width}}" + "".join(
            f"{name:>11}" for name in LabelFigures._fields[2:]
        )
        lines = [
            f"{label.name:<{width}}"
            + "".join(f"{value:>11.4f}" for value in label[2:])
            + f"{label.rows:>11,}"
            for label in self.labels
        ]
        return "\n".join(
            [
                f"loss      {loss_text(self.loss)}",
                f"labels    {measures['label_accuracy']:.4f} told right, all of a row's in "
                f"{measures['row_accuracy']:.4f} of the rows",
                "",
                heading + f"{'rows':>11}",
                *lines,
            ]
        )
