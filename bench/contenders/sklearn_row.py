"""scikit-learn's `MLPClassifier`."""

from typing import Any

import numpy as np
import sklearn
from sklearn.neural_network import MLPClassifier

from bench.cases import Case, Problem
from bench.contenders.base import BETA1, BETA2, EPSILON, MOMENTUM, Contender, Weights


class ScikitLearn(Contender):
    """`partial_fit` once per epoch, on all rows, which lie in the epoch's order.

    It is documented to iterate once over the rows that it is given, takes them in batches of
    `batch_size` without shuffling, and keeps the optimiser's state between calls, where `fit`
    with `warm_start` begins a new optimiser. The price is a copy of all rows in the epoch's
    order, into the same memory each time. Tried and slower: a call per batch, which checks and
    binarises its labels anew (much slower), `shuffle=True`, which copies as much batch by
    batch, and `x[order]`. The check for NaN is off (`assume_finite`); the penalty is zero, but
    computed.

    Its Adam adds ε to √v before the correction of v, not after, so that weights whose gradient
    is near ε take another path; all else is the same.
    """

    name = "scikit-learn"
    package = "scikit-learn"
    how = "partial_fit on the rows in the epoch's order, shuffle=False, alpha=0"

    def __init__(self, case: Case, problem: Problem, device: str) -> None:
        super().__init__(case, problem, device)
        self.x, self.y = problem.x, problem.y
        self.ordered = problem.x if self.full_batch else np.empty_like(problem.x)
        self.classes = np.arange(len(problem.initial[-1].b))
        self.model = _make_model(case, problem)

    def epoch(self, order: np.ndarray) -> None:
        """Put the rows in order and go over them once."""
        y = self.y
        if not self.full_batch:
            np.take(self.x, order, axis=0, out=self.ordered, mode="clip")
            y = y[order]
        with sklearn.config_context(assume_finite=True):
            self.model.partial_fit(self.ordered, y, classes=self.classes)

    def weights(self) -> Weights:
        """Return copies."""
        layers = zip(self.model.coefs_, self.model.intercepts_, strict=True)
        return [(W.copy(), b.copy()) for W, b in layers]


def _make_model(case: Case, problem: Problem) -> Any:
    class FromGivenWeights(MLPClassifier):  # type: ignore[misc]
        """Begins with the problem's weights."""

        def _initialize(self, y: np.ndarray, layer_units: list[int], dtype: np.dtype[Any]) -> None:
            super()._initialize(y, layer_units, dtype)
            self.coefs_ = [layer.W.copy() for layer in problem.initial]
            self.intercepts_ = [layer.b.copy() for layer in problem.initial]

    return FromGivenWeights(
        hidden_layer_sizes=case.hidden,
        activation="logistic" if case.activation == "sigmoid" else case.activation,
        solver="adam" if case.optimizer == "adam" else "sgd",
        alpha=0.0,
        batch_size=min(case.batch_size, len(problem.y)),
        learning_rate_init=case.learning_rate,
        shuffle=False,
        momentum=MOMENTUM if case.optimizer == "momentum" else 0.0,
        nesterovs_momentum=False,
        beta_1=BETA1,
        beta_2=BETA2,
        epsilon=EPSILON,
    )
