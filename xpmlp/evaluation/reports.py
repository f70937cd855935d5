"""What a model makes of rows: figures, a text for people, and pictures."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from xpmlp.errors import InputError
from xpmlp.evaluation.calibration import Calibration, calibration_of
from xpmlp.evaluation.intervals import Interval, wilson_interval
from xpmlp.evaluation.rows import EvaluationRows
from xpmlp.training.evaluation import Evaluation
from xpmlp.training.model import Model, decide
from xpmlp.training.texts import count, loss_text, value_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LISTED = 10
SHOWN_CLASSES = 100  # in the text
MATRIX_CLASSES = 1_000  # of which a whole matrix goes into JSON
LARGEST_MATRIX = 10_000


@dataclass(frozen=True, repr=False, eq=False)
class Report(ABC):
    """A model's evaluation over rows; Python and notebooks show it as `text`.

    evaluation: loss, accuracy and logits (N, C). source: the rows, with the data they are of.
    """

    model: Model
    source: EvaluationRows
    evaluation: Evaluation

    @property
    def loss(self) -> float:
        """The mean loss of the rows, without penalty."""
        return self.evaluation.loss

    @property
    def true(self) -> np.ndarray:
        """The labels: class indices (N,), or values (N, O)."""
        return self.source.rows.y

    @cached_property
    def outputs(self) -> np.ndarray:
        """What the net puts out, (N, C): probabilities under a cross-entropy, else values."""
        return self.model.outputs_of(self.evaluation.logits)

    @property
    @abstractmethod
    def measures(self) -> dict[str, float | None]:
        """The few figures that say how good the model is, by name."""

    @abstractmethod
    def details(self) -> dict[str, Any]:
        """Return all further figures, ready for JSON."""

    @abstractmethod
    def body(self) -> str:
        """Return the measures and the details as text."""

    @property
    def by_folder(self) -> "dict[str, Report]":
        """Each single report by the folder of its pictures, within that of them all."""
        return {".": self}

    def figures(self) -> dict[str, Any]:
        """Return everything that `text` says, ready for JSON; what can't be said is None."""
        return {
            "dataset": self.source.data.name,
            "part": self.source.part,
            "rows": len(self.source.rows),
            "loss_function": self.model.loss,
            **{name: _finite(value) for name, value in self.measures.items()},
            **self.details(),
        }

    def text(self) -> str:
        """Return the report as people read it."""
        return "\n".join([self.heading(), self.body()])

    def heading(self) -> str:
        """Return what was evaluated, on what."""
        return f"data      {self.source.title}\nnet       {self.model.net_line}"

    def __repr__(self) -> str:
        return self.text()

    def pictures(self) -> "Iterator[tuple[str, Figure]]":
        """Yield name and figure of each picture: the confusion matrix and the worst mistakes.

        Of a model of values it is the predicted against the true ones.
        """
        from xpmlp.evaluation.drawing import outcome_drawings

        source, logits = self.source, self.evaluation.logits
        for name, draw in outcome_drawings(self.model, source.rows, logits, source.kind):
            yield name, draw()


class Confusion(NamedTuple):
    """How many rows of a true class were taken for another, and their share of that class."""

    true: str
    predicted: str
    rows: int
    share: float


class ClassReport(Report):
    """The report of a model that tells classes apart."""

    @property
    def accuracy(self) -> float:
        """The share of rows that are right."""
        accuracy = self.evaluation.accuracy
        assert accuracy is not None
        return accuracy

    @cached_property
    def predicted(self) -> np.ndarray:
        """The predicted class indices, (N,)."""
        return decide(self.evaluation.logits)

    @property
    def right(self) -> int:
        """The count of rows that are right."""
        return int(np.sum(self.predicted == self.true))

    @property
    def interval(self) -> Interval | None:
        """Wilson's 95 % interval of the accuracy; None where rows have weights."""
        if self.source.rows.weights is not None:
            return None
        return wilson_interval(self.right, len(self.true))

    @cached_property
    def calibration(self) -> Calibration | None:
        """How the probabilities of the predicted classes go with what is right, in 15 bins.

        None under a loss that gives no probabilities.
        """
        return calibration_of(self.model, self.source.rows, self.evaluation.logits)

    @cached_property
    def confusion_matrix(self) -> np.ndarray:
        """The count of rows of each true class (rows) and predicted class (columns), (C, C).

        Raises InputError for more than 10,000 classes.
        """
        classes = len(self.model.class_names)
        if classes > LARGEST_MATRIX:
            raise InputError(
                f"a confusion matrix of {classes:,} classes has {classes**2:,} entries; "
                "confusions(None) has those that aren't 0"
            )
        counts = np.bincount(self.true * classes + self.predicted, minlength=classes**2)
        return counts.reshape(classes, classes)

    def confusions(self, limit: int | None = LISTED) -> list[Confusion]:
        """Return the most frequent confusions, the most frequent first."""
        names, wrong = self.model.class_names, self.predicted != self.true
        pairs = np.stack([self.true[wrong], self.predicted[wrong]], axis=1)
        found, counts = np.unique(pairs, axis=0, return_counts=True)
        of_class = np.bincount(self.true, minlength=len(names))
        order = np.argsort(-counts, kind="stable")[:limit]
        return [
            Confusion(names[t], names[p], int(rows), float(rows / of_class[t]))
            for (t, p), rows in zip(found[order].tolist(), counts[order], strict=True)
        ]

    @cached_property
    def of_classes(self) -> np.ndarray:
        """Precision, recall, F1 and the rows of each class, (4, C); 0 where there is none."""
        from sklearn.metrics import precision_recall_fscore_support

        figures = precision_recall_fscore_support(
            self.true, self.predicted, labels=range(len(self.model.class_names)), zero_division=0
        )
        return np.stack(figures)

    @property
    def measures(self) -> dict[str, float | None]:
        """Loss, accuracy and, where there are probabilities, their calibration error."""
        found = self.calibration
        error = {"expected_calibration_error": found.error} if found else {}
        return {"loss": self.loss, "accuracy": self.accuracy, **error}

    def details(self) -> dict[str, Any]:
        """Return interval, calibration, figures of each class, confusion matrix, confusions.

        The matrix is None of more than 1,000 classes, as `left_out` then says; of the confusions
        the most frequent are there.
        """
        names, interval, calibration = self.model.class_names, self.interval, self.calibration
        few = len(names) <= MATRIX_CLASSES
        return {
            "accuracy_interval": list(interval) if interval else None,
            "right": self.right,
            **({"calibration": calibration.table()} if calibration else {}),
            "classes": [
                {"name": name, "precision": p, "recall": r, "f1": f1, "rows": int(rows)}
                for name, (p, r, f1, rows) in zip(names, self.of_classes.T.tolist(), strict=True)
            ],
            "confusion_matrix": self.confusion_matrix.tolist() if few else None,
            "confusions": [confusion._asdict() for confusion in self.confusions()],
            **({} if few else {"left_out": f"the confusion matrix of {len(names):,} classes"}),
        }

    def body(self) -> str:
        """Return loss, accuracy, calibration, scikit-learn's report, most frequent confusions.

        Of more than 100 classes the report is of those with the most rows.
        """
        interval, wrong = self.interval, len(self.true) - self.right
        sure = f", 95 % interval {interval}" if interval else ""
        return "\n".join(
            [
                f"loss      {loss_text(self.loss)}",
                f"accuracy  {self.accuracy:.4f}{sure}, {count(wrong, 'mistake')}",
                *self._calibration_lines(),
                "",
                *self._class_lines(),
                *self._confusion_lines(),
            ]
        )

    def _calibration_lines(self) -> list[str]:
        found = self.calibration
        if found is None:
            return []
        return [
            f"ECE       {found.error:.4f}, expected calibration error; "
            f"{found.mean_confidence:.4f} sure on average"
        ]

    def _class_lines(self) -> list[str]:
        from sklearn.metrics import classification_report

        names = [" ".join(name.split()) for name in self.model.class_names]
        if len(names) <= SHOWN_CLASSES:
            labels = range(len(names))
            options: dict[str, Any] = {"labels": labels, "target_names": names, "zero_division": 0}
            report = classification_report(self.true, self.predicted, digits=4, **options)
            return str(report).rstrip("\n").split("\n")
        chosen = most_frequent(self.of_classes[3], SHOWN_CLASSES)
        width = max(*(len(names[i]) for i in chosen), len("macro avg"))
        means = [*self.of_classes[:3].mean(axis=1), len(self.true)]
        rows = [(names[i], self.of_classes[:, i]) for i in chosen] + [("macro avg", means)]
        return [
            f"{'':{width}}  precision    recall  f1-score   support",
            *(
                f"{name:>{width}}{p:11.4f}{r:10.4f}{f1:10.4f}{n:10.0f}"
                for name, (p, r, f1, n) in rows
            ),
            f"the {len(chosen)} classes with the most rows, of {len(names):,}; the average is of "
            "all of them",
        ]

    def _confusion_lines(self) -> list[str]:
        found = self.confusions()
        if not found:
            return []
        pairs = [f"{confusion.true} → {confusion.predicted}" for confusion in found]
        width = max(map(len, pairs))
        return [
            "",
            "most frequent confusions, true → predicted:",
            *(
                f"  {pair:<{width}}  {count(c.rows, 'row'):>9}, {c.share:.1%} of the true class"
                for pair, c in zip(pairs, found, strict=True)
            ),
        ]


def most_frequent(rows: np.ndarray, limit: int) -> np.ndarray:
    """Return the classes with the most rows (C,), up to `limit` of them, in their order."""
    return np.sort(np.argsort(-rows, kind="stable")[:limit])


class LargeError(NamedTuple):
    """One value and its prediction; row and output count from 0."""

    row: int
    output: int
    true: float
    predicted: float
    error: float


class ValueReport(Report):
    """The report of a model that predicts values."""

    @cached_property
    def errors(self) -> np.ndarray:
        """Predicted less true values, (N, O), float64."""
        errors: np.ndarray = self.outputs.astype(np.float64) - self.true
        return errors

    @cached_property
    def r2(self) -> float | None:
        """1 - Σe²/Σ(t - mean t)², the mean over outputs; None where true values don't vary."""
        varied = np.sum((self.true - self.true.mean(axis=0)) ** 2, axis=0)
        if not (varied > 0).all():
            return None
        return float(np.mean(1 - np.sum(self.errors**2, axis=0) / varied))

    @property
    def mean_absolute_error(self) -> float:
        """The mean of |e| over rows and outputs."""
        return float(np.mean(np.abs(self.errors)))

    @property
    def root_mean_square_error(self) -> float:
        """The root of the mean of e² over rows and outputs."""
        return float(np.sqrt(np.mean(self.errors**2)))

    def largest_errors(self, limit: int = LISTED) -> list[LargeError]:
        """Return the largest errors, the largest first, at most one per row."""
        of_row = np.abs(self.errors).argmax(axis=1)
        largest = np.abs(self.errors).max(axis=1)
        found = []
        for row in np.argsort(-largest, kind="stable")[:limit].tolist():
            at = (row, int(of_row[row]))
            found.append(
                LargeError(
                    *at, *(float(values[at]) for values in (self.true, self.outputs, self.errors))
                )
            )
        return found

    @property
    def measures(self) -> dict[str, float | None]:
        """Loss, R² and mean absolute error."""
        return {
            "loss": self.loss,
            "r2": self.r2,
            "mean_absolute_error": self.mean_absolute_error,
        }

    def details(self) -> dict[str, Any]:
        """Return the root mean square error and the largest errors."""
        return {
            "root_mean_square_error": _finite(self.root_mean_square_error),
            "largest_errors": [error._asdict() for error in self.largest_errors()],
        }

    def body(self) -> str:
        """Return loss, R², mean absolute error, and the largest errors."""
        r2 = "unknown, as the true values are all the same" if self.r2 is None else f"{self.r2:.4f}"
        return "\n".join(
            [
                f"loss      {loss_text(self.loss)}",
                f"R²        {r2}",
                f"error     {value_text(self.root_mean_square_error)} root mean square, "
                f"{value_text(self.mean_absolute_error)} mean absolute",
                "",
                "largest errors, rows counted from 0:",
                *self._error_lines(),
            ]
        )

    def _error_lines(self) -> list[str]:
        found = self.largest_errors()
        several = self.true.shape[1] > 1
        names = ["row", *["output"] * several, "true", "predicted", "error"]
        largest = max(abs(v) for e in found for v in (e.true, e.predicted, e.error))
        form = f".{max(0, 4 - math.floor(math.log10(largest)))}f" if 0 < largest < 1e6 else ".4g"
        lines = [
            [
                *map(str, (error.row, error.output) if several else (error.row,)),
                f"{error.true:{form}}",
                f"{error.predicted:{form}}",
                f"{error.error:+{form}}",
            ]
            for error in found
        ]
        return ["  ".join(f"{cell:>10}" for cell in line) for line in (names, *lines)]


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None
