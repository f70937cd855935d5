"""`MLPRegressor`: scikit-learn's class of that name, trained by xpmlp."""

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.metaestimators import available_if

from xpmlp.errors import InputError
from xpmlp.estimator.base import BaseMLP, by_epochs
from xpmlp.estimator.parameters import LOSS_NAMES
from xpmlp.estimator.targets import Values


class MLPRegressor(RegressorMixin, BaseMLP):  # type: ignore[misc]
    """A multilayer perceptron that predicts one or several real values from rows of numbers.

    Parameters, attributes and defaults are those of scikit-learn's class, and with the same
    `random_state` it takes the same path up to rounding; `momentum` must be below 1. Beyond it
    are dropout, initial, freeze, scoring (None: R²), device, backend, dtype, history_ and
    converged_, as `MLPClassifier` has them, and its activations.

    loss: "squared_error" (½ the square), "absolute_error", "huber" (½ the square of an error up to
        1, beyond it the error less ½), or "poisson" (½ the deviance, for y >= 0; the net's output
        is the logarithm of the prediction). In `loss_curve_` the mean over several outputs, of
        "poisson" their sum.
    """

    _numeric_targets = True

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: Any = 0.0,
        initial: Any = None,
        freeze: int = 0,
        scoring: Any = None,
        device: str = "cpu",
        backend: str = "auto",
        dtype: str = "auto",
        compile: str = "auto",
        threads: int | None = None,
    ) -> None:
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.dropout = dropout
        self.initial = initial
        self.freeze = freeze
        self.scoring = scoring
        self.device = device
        self.backend = backend
        self.dtype = dtype
        self.compile = compile
        self.threads = threads

    @available_if(by_epochs)  # type: ignore[untyped-decorator]
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, X_val: Any = None, y_val: Any = None
    ) -> "MLPRegressor":
        """Train one epoch on X (N, D), y (N,) or (N, O), and return self.

        X_val, y_val and early stopping: as of `MLPClassifier.partial_fit`.
        """
        goes_on = hasattr(self, "coefs_")
        self._fit(X, y, sample_weight, goes_on, (X_val, y_val), part=True)
        return self

    def predict(self, X: Any) -> Any:
        """Return the values, where X (N, D) is: (N,), or (N, O) of several outputs."""
        return self._decoded(self._outputs(X, "predict"))

    def _know_targets(self, y: np.ndarray, goes_on: bool, part: bool) -> None:  # noqa: ARG002
        if goes_on and self._targets.loss != LOSS_NAMES[self.loss]:
            raise InputError("the loss can't change where a training goes on; fit anew")
        if not goes_on:
            self._targets = Values(y, LOSS_NAMES[self.loss])
