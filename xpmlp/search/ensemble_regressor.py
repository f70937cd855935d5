"""`MLPEnsembleRegressor`: nets of drawn hyperparameters, the best of which predict values."""

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin

from xpmlp.data.dataset import Scaling
from xpmlp.data.scaling import statistics
from xpmlp.estimator.parameters import LOSS_NAMES
from xpmlp.estimator.targets import Values
from xpmlp.search.ensemble_estimator import BaseEnsemble


class MLPEnsembleRegressor(RegressorMixin, BaseEnsemble):  # type: ignore[misc]
    """An ensemble of multilayer perceptrons that predicts one or several real values.

    As `MLPEnsembleClassifier`, with its parameters and attributes; the nets learn values in units
    of their deviation in the rows that train, and `predict` is the mean of what they predict.

    loss: what the nets are trained and selected by, in those units: "squared_error",
        "absolute_error", or "huber" (half the square of an error up to 1, beyond it the error less
        a half).
    """

    _numeric_targets = True
    _targets: Values

    def __init__(
        self,
        n_members: int = 64,
        *,
        loss: str = "squared_error",
        ranges: Any = None,
        batch_size: int | str = "auto",
        max_iter: int = 100,
        n_iter_no_change: int = 10,
        validation_fraction: float = 0.2,
        scale: str = "auto",
        random_state: Any = None,
        verbose: bool | int = False,
        device: str = "cpu",
        backend: str = "auto",
        dtype: str = "float32",
        compile: str = "auto",
        threads: int | None = None,
    ) -> None:
        self.n_members = n_members
        self.loss = loss
        self.ranges = ranges
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.n_iter_no_change = n_iter_no_change
        self.validation_fraction = validation_fraction
        self.scale = scale
        self.random_state = random_state
        self.verbose = verbose
        self.device = device
        self.backend = backend
        self.dtype = dtype
        self.compile = compile
        self.threads = threads

    def predict(self, X: Any) -> np.ndarray:
        """Return the values of rows X (N, D): (N,), or (N, O) of several outputs."""
        values = self._outputs(X)
        return self._targets.decode(values)

    def _know_targets(self, y: np.ndarray) -> None:
        self._targets = Values(y, self._loss)

    @property
    def _loss(self) -> str:
        return LOSS_NAMES[self.loss]

    def _weights(self, y: np.ndarray, weights: np.ndarray | None) -> Any:  # noqa: ARG002
        return weights

    def _scaling_of(self, y: np.ndarray) -> Scaling:
        return statistics(y, "standard")
