"""From labels or values to what the net is trained on, and from its outputs back."""

import math
from typing import Any, Protocol

import numpy as np
from sklearn.metrics import accuracy_score, r2_score
from sklearn.preprocessing import LabelBinarizer

from xpmlp.data.dataset import Rows, Task
from xpmlp.errors import InputError
from xpmlp.estimator.arrays import dense
from xpmlp.nn.losses import LOSSES


class Targets(Protocol):
    """What the two estimators do differently.

    task, loss: of the trainer. class_names: one per class, else (). n_outputs: the net's.
    out_activation: scikit-learn's name of what makes the outputs from the logits. loss_scale:
    scikit-learn's loss over the trainer's.
    """

    task: Task
    loss: str
    class_names: tuple[str, ...]
    n_outputs: int
    out_activation: str
    loss_scale: float

    def encode(self, y: Any, name: str = "y") -> np.ndarray:
        """Return the y of `Rows`, a row for each of the estimator's y.

        name: what messages call it. Raises InputError for what the net can't be trained on.
        """
        ...

    def decode(self, outputs: np.ndarray) -> Any:
        """Return predictions as y was from the net's outputs (N, O)."""
        ...

    def restore(self, encoded: np.ndarray) -> np.ndarray:
        """Return the y that `encode` was given."""
        ...

    def score(self, logits: np.ndarray, rows: Rows) -> float:
        """Return the estimator's score of logits (N, O) over rows, with their weights."""
        ...


class Labels:
    """Classes, one for each row, or several 0/1 labels.

    known: the y of the first fit, or all classes, (C,).
    """

    loss_scale = 1.0

    def __init__(self, known: Any) -> None:
        self.binarizer = LabelBinarizer().fit(known)
        self.classes = self.binarizer.classes_
        several = self.binarizer.y_type_.startswith("multilabel")
        softmax = self.binarizer.y_type_ == "multiclass"
        self.task: Task = "multilabel" if several else "classification"
        self.loss = "softmax_cross_entropy" if softmax else "binary_cross_entropy"
        self.out_activation = "softmax" if softmax else "logistic"
        self.class_names: tuple[str, ...] = () if several else tuple(map(str, self.classes))
        self.n_outputs = len(self.classes) if several or softmax else 1

    def encode(self, y: Any, name: str = "y") -> np.ndarray:  # noqa: ARG002
        """Return class indices (N,), int64, or labels (N, O), float64."""
        indicators: np.ndarray = dense(self.binarizer.transform(y))
        if self.task == "multilabel":
            return indicators.astype(np.float64)
        indices = indicators[:, 0] if self.n_outputs == 1 else indicators.argmax(axis=1)
        return indices.astype(np.int64)

    def decode(self, outputs: np.ndarray) -> Any:
        """Return labels of the classes' own dtype (N,), or 0/1 (N, O), from probabilities.

        These are sparse where the first y was.
        """
        labels: Any
        if self.task == "multilabel":
            labels = self.binarizer.inverse_transform(outputs)
        else:
            if len(self.classes) == 1:
                return np.full(len(outputs), self.classes[0])
            chosen = outputs[:, 0] > 0.5 if self.n_outputs == 1 else outputs.argmax(axis=1)
            labels = self.classes[chosen.astype(np.intp)]
        return labels

    def restore(self, encoded: np.ndarray) -> np.ndarray:
        """Return the labels (N,), or 0/1 (N, O), int64, of the y of `Rows`."""
        if self.task == "multilabel":
            return encoded.astype(np.int64)
        labels: np.ndarray = self.classes[encoded]
        return labels

    def score(self, logits: np.ndarray, rows: Rows) -> float:
        """Return the accuracy; of several labels all must be right."""
        if self.out_activation == "softmax":
            predicted = logits.argmax(axis=1)
        else:
            predicted = logits > 0 if self.task == "multilabel" else logits[:, 0] > 0
        return float(accuracy_score(rows.y, predicted.astype(int), sample_weight=rows.weights))


class Values:
    """Real values, one or several for each row; the loss is their mean, of Poisson their sum.

    y: of the first fit, (N,) or (N, O). loss: the trainer's name.
    """

    task: Task = "regression"
    class_names: tuple[str, ...] = ()

    def __init__(self, y: np.ndarray, loss: str) -> None:
        self.loss = loss
        self.out_activation = "exp" if loss == "poisson" else "identity"
        self.n_outputs = 1 if y.ndim == 1 else y.shape[1]
        self.loss_scale = 1.0 if loss == "poisson" else 1.0 / self.n_outputs

    def encode(self, y: Any, name: str = "y") -> np.ndarray:
        """Return the values (N, O), float64. Raises InputError for another O."""
        if y.dtype.kind not in "biuf":
            raise InputError(
                f"{name} must be numbers, got dtype {y.dtype}, such as {y.ravel()[0].item()!r}; "
                "MLPClassifier tells classes"
            )
        values = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
        if self.loss == "poisson" and values.min(initial=0.0) < 0:
            raise InputError(
                f"loss 'poisson' needs {name} >= 0, and its smallest is {values.min():g}"
            )
        if values.shape[1] != self.n_outputs:
            raise InputError(
                f"{name} must have {self.n_outputs} value(s) for each row, as the y that was "
                f"fitted, and has {values.shape[1]}"
            )
        return values

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """Return (N,) of a single output, else (N, O)."""
        return outputs.ravel() if self.n_outputs == 1 else outputs

    def restore(self, encoded: np.ndarray) -> np.ndarray:
        """Return the values (N,) of a single output, else (N, O), of the y of `Rows`."""
        return self.decode(encoded)

    def score(self, logits: np.ndarray, rows: Rows) -> float:
        """Return R², the mean over the outputs; NaN of a single row, which has none."""
        if len(rows) < 2:
            return math.nan
        predicted = LOSSES[self.loss].predict(np, logits)
        return float(r2_score(rows.y, predicted, sample_weight=rows.weights))
