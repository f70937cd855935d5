"""`MLPEnsembleClassifier`: nets of drawn hyperparameters, the best of which tell classes."""

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin

from xpmlp.estimator.classes import several_labels, sorted_classes, weights_by_row
from xpmlp.estimator.targets import Labels
from xpmlp.search.ensemble_estimator import BaseEnsemble


class MLPEnsembleClassifier(ClassifierMixin, BaseEnsemble):  # type: ignore[misc]
    """An ensemble of multilayer perceptrons that tells classes, or several 0/1 labels.

    So many nets with hyperparameters drawn at random train side by side; while they do, those
    whose mean has the lowest logarithmic loss on rows held out are chosen, by greedy selection
    with replacement (Caruana, Niculescu-Mizil, Crew and Ksikes 2004, "Ensemble Selection from
    Libraries of Models"; online, as in TabPack, arXiv:2607.05380). `predict_proba` is the mean of
    the chosen nets' probabilities.

    n_members: how many nets train. More find better ones, at their price.
    ranges: a dict of ranges in place of those of `xpmlp.search.ranges.Ranges`, as
        {"learning_rate": (1e-4, 1e-2), "hidden": [(64,), (128, 128)]}. All nets whose hidden
        layers and activations are the same can take each step together.
    batch_size: rows of a step; "auto": a sixteenth of the rows, from 16 to 256.
    max_iter: epochs at most. n_iter_no_change: epochs without a better ensemble that end all.
    validation_fraction: share of the rows that selects; X_val, y_val of `fit` take its place.
    scale: of the columns, by the rows that train, inside: one of `auto` (ranks for columns with
        long tails, else standardised), standard, robust, quantile, unit, center, none.
    class_weight: None, a dict {class: weight}, or "balanced"; multiplies `sample_weight`, in the
        selection too.
    device, backend, compile, threads: of the training, as `MLPClassifier` has them. It predicts by
        NumPy. dtype: "float32" or "float64", of the training.
    verbose: whether to print a line an epoch.

    classes_: (C,). members_: for each net, a dict: what it drew, its best epoch and validation loss
    there, and how often it counts. selected_: how often each counts, (K,). ensemble_: an
    `xpmlp.Ensemble`. best_net_: an `xpmlp.Model`, the net of the lowest loss by itself. history_:
    lists with a figure per epoch: `validation_loss` of the ensemble, `best_net_loss`, the lowest
    of a single net so far, and `n_nets`, how many are in. n_iter_: epochs done.
    """

    _numeric_targets = False
    _targets: Labels
    classes_: np.ndarray

    def __init__(
        self,
        n_members: int = 64,
        *,
        ranges: Any = None,
        batch_size: int | str = "auto",
        max_iter: int = 100,
        n_iter_no_change: int = 10,
        validation_fraction: float = 0.2,
        scale: str = "auto",
        class_weight: Any = None,
        random_state: Any = None,
        verbose: bool | int = False,
        device: str = "cpu",
        backend: str = "auto",
        dtype: str = "float32",
        compile: str = "auto",
        threads: int | None = None,
    ) -> None:
        self.n_members = n_members
        self.ranges = ranges
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.n_iter_no_change = n_iter_no_change
        self.validation_fraction = validation_fraction
        self.scale = scale
        self.class_weight = class_weight
        self.random_state = random_state
        self.verbose = verbose
        self.device = device
        self.backend = backend
        self.dtype = dtype
        self.compile = compile
        self.threads = threads

    def predict(self, X: Any) -> np.ndarray:
        """Return the classes (N,), or the labels (N, O), of rows X (N, D)."""
        p = self._outputs(X)
        if self._targets.task == "multilabel":
            labels: np.ndarray = self._targets.decode(p)
            return labels
        classes: np.ndarray = self.classes_[p.argmax(axis=1)]
        return classes

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, in the order of `classes_`, or label: (N, C)."""
        return self._outputs(X)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithms of `predict_proba`, (N, C)."""
        with np.errstate(divide="ignore"):
            logarithms: np.ndarray = np.log(self.predict_proba(X))
        return logarithms

    def _know_targets(self, y: np.ndarray) -> None:
        if not several_labels(y, "y"):
            sorted_classes(y, "y")
        self._targets = Labels(y)
        self.classes_ = self._targets.classes

    @property
    def _loss(self) -> str:
        several = self._targets.task == "multilabel"
        return "binary_cross_entropy" if several else "softmax_cross_entropy"

    def _weights(self, y: np.ndarray, weights: np.ndarray | None) -> Any:
        several = self._targets.task == "multilabel"
        return weights_by_row(self.class_weight, None if several else self.classes_, y, weights)

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: several labels are taken."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
