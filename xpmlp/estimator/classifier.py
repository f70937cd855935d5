"""`MLPClassifier`: scikit-learn's class of that name, trained by xpmlp."""

from typing import Any

import numpy as np
from array_api_compat import array_namespace
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if

from xpmlp.errors import InputError
from xpmlp.estimator.arrays import to_host
from xpmlp.estimator.base import BaseMLP, by_epochs
from xpmlp.estimator.classes import named, several_labels, sorted_classes, weights_by_row
from xpmlp.estimator.targets import Labels


class MLPClassifier(ClassifierMixin, BaseMLP):  # type: ignore[misc]
    """A multilayer perceptron that tells classes, or several 0/1 labels, from rows of numbers.

    Parameters, attributes and defaults are those of scikit-learn's class, and with the same
    `random_state` it takes the same path up to rounding; `momentum` must be below 1. Beyond it:

    activation: also the names of `xpmlp.Config`, as gelu, or a list with one per hidden layer.
    dropout: share of the hidden units that each training step leaves out, for all hidden layers
        or a list with one each; not for the solver lbfgs.
    initial: weights to begin with, in place of random ones: layers (W, b), an `xpmlp.Model`, a run,
        or the folder of one; of another net those first layers whose shapes are the same, with a
        UserWarning. A fitted estimator too, but not in a search, where scikit-learn's `clone`
        empties it: `list(zip(net.coefs_, net.intercepts_))` has its layers.
    freeze: so many layers, from the first on, keep their weights; alpha counts the others alone.
    scoring: what early stopping and history_ score by: None for accuracy, the name of one of
        scikit-learn's scorers, or a function (estimator, X, y) -> number.
    class_weight: None, a dict {class: weight}, or "balanced"; multiplies `sample_weight`.
    device: "cpu", or where asked for "cuda", "cuda:N" or "auto": estimators are copied into
        worker processes, which would all take the GPU.
    backend: "auto", numpy, cupy, torch, jax.
    dtype: "auto" computes float32 rows in float32 and all others in float64; "float32" or
        "float64" for all. The solver lbfgs always computes in float64.
    compile: whether NumPy's steps are compiled as C: "auto", where there is a compiler and a pass
        over the rows is long, "never", "always". Equal up to rounding.
    threads: of NumPy's steps; None: one a processor, at most OMP_NUM_THREADS, which joblib sets in
        its worker processes.

    history_: lists with a figure per epoch: `loss`, as loss_curve_, and where rows validate
    `train_loss`, `train_score`, `validation_loss`, `validation_score` after the epoch, else None.
    converged_: whether loss or score has settled, by tol and n_iter_no_change.
    """

    _numeric_targets = False
    _targets: Labels
    classes_: np.ndarray

    def __init__(
        self,
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
        class_weight: Any = None,
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
        self.class_weight = class_weight
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
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        classes: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> "MLPClassifier":
        """Train one epoch on X (N, D), y (N,) or (N, O), and return self.

        classes: all that there will be, (C,), at the first call. X_val, y_val: as of `fit`; with
        `early_stopping` and without them a share of X validates, and each call must have the
        same rows. The attributes are then those of the best call so far, the next call goes on
        from the latest, and `converged_` says when the score has settled. `class_weight`
        "balanced" needs all rows at once, and raises ValueError.
        """
        y = to_host(y)
        self._know_classes(y, to_host(classes))
        goes_on = hasattr(self, "coefs_")
        self._fit(X, y, sample_weight, goes_on, (X_val, y_val), part=True)
        return self

    def predict(self, X: Any) -> Any:
        """Return the classes (N,), or the labels (N, O), of rows X (N, D).

        They are where X is, but for classes that are no numbers, which are NumPy's.
        """
        return self._decoded(self._outputs(X, "predict"))

    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class, in the order of `classes_`, or label: (N, C)."""
        return self._probabilities(X, "predict_proba")

    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithms of `predict_proba`, (N, C)."""
        p = self._probabilities(X, "predict_log_proba")
        with np.errstate(divide="ignore"):
            return array_namespace(p).log(p)

    def _probabilities(self, X: Any, method: str) -> Any:
        p = self._outputs(X, method)
        return array_namespace(p).concat([1 - p, p], axis=1) if p.shape[1] == 1 else p

    def _know_classes(self, y: Any, classes: Any) -> None:
        known = getattr(self, "classes_", None)
        if classes is None:
            if known is None:
                raise InputError("classes must be passed on the first call to partial_fit.")
        elif known is None:
            several = several_labels(y, "y")
            self._set_targets(y if several else sorted_classes(classes, "classes"))
        elif not np.array_equal(known, sorted_classes(classes, "classes")):
            raise InputError(
                f"`classes={named(classes)}` is not the same as on last call to partial_fit, "
                f"was: {named(known)}"
            )

    def _set_targets(self, known: Any) -> None:
        self._targets = Labels(known)
        self.classes_ = self._targets.classes

    def _know_targets(self, y: np.ndarray, goes_on: bool, part: bool) -> None:
        several = several_labels(y, "y")
        if not (part or goes_on):
            self._set_targets(y)
            return
        self._refuse_another_form(y, several, "y")
        classes = sorted_classes(y, "y")
        if self.warm_start and not part and set(classes) != set(self.classes_):
            raise InputError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {self.classes_}, `y` has {classes}"
            )
        if len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise InputError(
                "`y` has classes not in `self.classes_`. "
                f"`self.classes_` has {self.classes_}. 'y' has {classes}."
            )

    def _refuse_unknown(self, y: Any, name: str) -> None:
        several = several_labels(y, name)
        self._refuse_another_form(y, several, name)
        known = named(self.classes_)
        unknown = [] if several else [c for c in named(np.unique(y)) if c not in known]
        if unknown:
            raise InputError(
                f"`{name}` has classes not in `self.classes_`: {unknown}; these are {known}"
            )

    def _refuse_another_form(self, y: Any, several: bool, name: str) -> None:
        """Raise InputError for classes where there were labels, or another number of these."""
        if several != (self._targets.task == "multilabel"):
            expected = "one class for each row" if several else "0 or 1 for each label, (N, O)"
            raise InputError(f"`{name}` must have {expected}, as the y that was fitted")
        if several and y.shape[1] != self._targets.n_outputs:
            raise InputError(
                f"`{name}` has {y.shape[1]} labels for each row, and the y that was fitted "
                f"{self._targets.n_outputs}"
            )

    def _weights(self, y: np.ndarray, weights: np.ndarray | None, part: bool) -> Any:
        if part and self.class_weight == "balanced":
            raise InputError(
                "class_weight 'balanced' is not supported for partial_fit; "
                "give a dict of class weights"
            )
        several = self._targets.task == "multilabel"
        return weights_by_row(self.class_weight, None if several else self.classes_, y, weights)

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: several labels are taken."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
