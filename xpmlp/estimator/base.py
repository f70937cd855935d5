"""What the two estimators share: parameters, `fit`, and the net's outputs."""

import math
import warnings
from typing import Any, NamedTuple

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from xpmlp.backends.base import Backend
from xpmlp.backends.locate import Home
from xpmlp.backends.registry import select_backend
from xpmlp.data.dataset import Rows
from xpmlp.errors import DivergenceError, InputError
from xpmlp.estimator.arrays import (
    backend_at,
    check_same_home,
    floating_dtypes,
    handed_over,
    home_of,
    to_host,
)
from xpmlp.estimator.epochs import EpochRun, warn_of_the_last_epoch
from xpmlp.estimator.lbfgs import minimise
from xpmlp.estimator.parameters import EPOCH_SOLVERS, check_parameters, layer_widths
from xpmlp.estimator.progress import Progress, Split
from xpmlp.estimator.rows import (
    dense,
    draw_params,
    hold_out,
    make_dataset,
    row_weights,
    take,
    that_count,
)
from xpmlp.estimator.scoring import Scorer
from xpmlp.estimator.settings import activation_names, config_of, optimizer_of
from xpmlp.estimator.targets import Targets
from xpmlp.leaves import leaves, map_leaves, map_tree
from xpmlp.nn.losses import LOSSES
from xpmlp.nn.network import forward, hidden_activations
from xpmlp.training.evaluation import rows_at_once
from xpmlp.training.problem import Problem
from xpmlp.training.step import TrainState
from xpmlp.training.trainer import Trainer
from xpmlp.types import Affine, Params

EPOCH_ATTRIBUTES = (
    "history_",
    "loss_curve_",
    "best_loss_",
    "validation_scores_",
    "best_validation_score_",
)
NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and "
    "need to be preprocessed."
)


class Start(NamedTuple):
    """What a solver begins with: rows, the net, and whether it goes on from the last fit.

    home: where the rows stay; None: the parameters choose.
    """

    rows: Rows
    validation: Rows | None
    sizes: tuple[int, ...]
    dtype: str
    goes_on: bool
    home: Home | None


def by_epochs(estimator: "BaseMLP") -> bool:
    """Tell whether the estimator's solver goes by epochs, as `partial_fit` needs."""
    if estimator.solver not in EPOCH_SOLVERS:
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. "
            f"{estimator.solver} is not stochastic."
        )
    return True


def place(backend: Backend) -> tuple[str, str, str]:
    """Return what tells backends apart here: library, device, dtype."""
    return backend.name, backend.device, backend.dtype


class BaseMLP(BaseEstimator):  # type: ignore[misc]
    """A multilayer perceptron with scikit-learn's parameters; use its subclasses."""

    _numeric_targets: bool
    _targets: Targets
    _progress: Progress | None = None
    _problem: Problem | None = None
    coefs_: list[Any]
    intercepts_: list[Any]
    solver: str

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, X_val: Any = None, y_val: Any = None
    ) -> "BaseMLP":
        """Train on X (N, D), y (N,) or (N, O), and return self.

        sample_weight: how much each row counts, (N,); one of weight 0 is left out.
        X_val, y_val: rows that validate, in place of a share of X.

        X may be sparse; it is made dense. With scikit-learn's `array_api_dispatch` an X of
        PyTorch, CuPy, JAX or array-api-strict stays on its device: its library computes there,
        whatever `device` and `backend` say, and the fitted arrays are of its kind.

        With `warm_start` a second call on the same rows goes on as if the first had not stopped.
        Raises ValueError for what can't be trained on, and where the loss is no longer finite.
        """
        goes_on = bool(self.warm_start and hasattr(self, "coefs_"))
        return self._fit(X, y, sample_weight, goes_on, (X_val, y_val))

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        goes_on: bool,
        given_validation: tuple[Any, Any] = (None, None),
        part: bool = False,
    ) -> "BaseMLP":
        check_parameters(type(self).__name__, self.get_params(deep=False))
        hidden = layer_widths(self.hidden_layer_sizes)
        X, y = self._checked(X, y, reset=not goes_on)
        self._know_targets(y, goes_on, part)
        weights = self._weights(y, row_weights(to_host(sample_weight), len(y)), part)
        rows = that_count(Rows(X, self._targets.encode(y), weights))
        validation = self._given_rows(*given_validation)
        start = Start(
            rows,
            validation,
            (X.shape[1], *hidden, self._targets.n_outputs),
            self._dtype_of(X),
            goes_on,
            home_of(X),
        )
        if self.solver == "lbfgs":
            self._minimise(start)
        else:
            self._train(start, part)
        return self

    def _dtype_of(self, X: Any) -> str:
        if self.dtype != "auto":
            return str(self.dtype)
        return "float64" if X.dtype == floating_dtypes(X)[0] else "float32"

    def _checked(self, X: Any, y: Any, reset: bool) -> tuple[Any, np.ndarray]:
        X, y = validate_data(
            self,
            X,
            to_host(y),
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=self._numeric_targets,
            dtype=floating_dtypes(X),
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return dense(X), y

    def _given_rows(self, X: Any, y: Any) -> Rows | None:
        if X is None and y is None:
            return None
        if X is None or y is None:
            raise InputError("X_val and y_val go together, and one of them is missing")
        X, y = self._checked(X, y, reset=False)
        return Rows(X, self._targets.encode(y))

    def _weights(self, y: np.ndarray, weights: np.ndarray | None, part: bool) -> Any:  # noqa: ARG002
        return weights

    def _minimise(self, start: Start) -> None:
        random, dtype = check_random_state(self.random_state), start.dtype
        params = self._first_params(start, random)
        config = config_of(self, self._targets, start.sizes, "float64", len(start.rows))
        data, backend = (
            make_dataset(self._targets, start.rows, None),
            self._backend(start.home, "float64"),
        )
        minimum = minimise(self, Problem(config, data, backend), params)
        if not all(np.isfinite(leaf).all() for leaf in leaves(minimum.params)):
            raise ValueError(NOT_FINITE)
        for name in EPOCH_ATTRIBUTES:
            self.__dict__.pop(name, None)
        self._progress = None
        minimal = map_leaves(lambda leaf: leaf.astype(dtype), minimum.params)
        self._take_params(self._at(start.home, dtype, minimal))
        self.loss_ = self._targets.loss_scale * minimum.loss + minimum.penalty
        self.n_iter_ = minimum.iterations
        self.t_, self.converged_ = 0, minimum.converged

    def _train(self, start: Start, part: bool) -> None:
        progress = self._started(start)
        if part and progress is self._progress:
            progress.random, progress.order = check_random_state(self.random_state), None
        rows, validation = self._parted(start, progress)
        epochs = 1 if part else self.max_iter
        trainer = self._trainer(start, progress, rows, validation, epochs)
        self._problem = trainer.problem if part else None
        scorer = Scorer(self, self._targets, self.scoring)
        run = EpochRun(self, trainer, self._targets, progress, scorer)
        self.converged_ = False
        try:
            self.converged_ = run.train()
        except DivergenceError as error:
            self._take_progress(run, start.home)
            raise ValueError(NOT_FINITE) from error
        self._take_progress(run, start.home)
        if not all(np.isfinite(leaf).all() for leaf in leaves(progress.state.params)):
            raise ValueError(NOT_FINITE)
        if not part and not self.converged_:
            warn_of_the_last_epoch(self.max_iter)

    def _started(self, start: Start) -> Progress:
        """Return the progress to go on from, or that of a training that begins."""
        optimizer = optimizer_of(self)
        known: Progress | None = self._progress if start.goes_on else None
        if known is not None and known.optimizer == optimizer:
            known.begin_at(self.learning_rate_init)
            return known
        random = known.random if known is not None else check_random_state(self.random_state)
        params = map_leaves(
            lambda leaf: leaf.astype(start.dtype), self._first_params(start, random)
        )
        rate = self.learning_rate_init
        return Progress(TrainState(params, (), np.asarray(0)), optimizer, random, rate, rate)

    def _first_params(self, start: Start, random: np.random.RandomState) -> Params:
        if start.goes_on:
            return self._params()
        return draw_params(random, start.sizes, activation_names(self.activation))

    def _parted(self, start: Start, progress: Progress) -> tuple[Rows, Rows | None]:
        """Return the rows that train and those that validate, the last fit's where it goes on."""
        rows = start.rows
        if start.validation is not None or not self.early_stopping:
            return rows, start.validation
        if progress.split is None or not progress.split.fits(len(rows)):
            binary = self._targets.task == "classification" and self._targets.n_outputs == 1
            progress.split = Split(
                *hold_out(rows, self.validation_fraction, progress.random, stratify=binary)
            )
        return take(rows, progress.split.train), take(rows, progress.split.validation)

    def _trainer(
        self,
        start: Start,
        progress: Progress,
        rows: Rows,
        validation: Rows | None,
        epochs: int,
    ) -> Trainer:
        config = config_of(self, self._targets, start.sizes, start.dtype, len(rows)).replace(
            epochs=epochs, optimizer=progress.optimizer, learning_rate=progress.learning_rate
        )
        if any(config.dropout):
            config = config.replace(seed=progress.seed_of_masks())
        known, state = self._problem, progress.state
        data = make_dataset(self._targets, rows, validation)
        backend = self._backend(start.home, start.dtype)
        if known is not None and place(known.backend) == place(backend):
            backend = known.backend
        trainer = Trainer(
            config,
            data,
            backend,
            problem=Problem(config, data, backend, known),
            initial=state.params,
            moments=state.moments or None,
            order=lambda _: progress.next_order(len(rows), self.shuffle),
            score_train=validation is not None,
        )
        with backend.running():
            trainer.state = trainer.state._replace(step=backend.asarray(state.step))
        return trainer

    def _backend(self, home: Home | None, dtype: str) -> Backend:
        if home is not None:
            return backend_at(home, dtype)
        selection = select_backend(self.backend, self.device, dtype)
        if selection.fallback_reason:
            reason = f"no CUDA: {selection.fallback_reason}; computing on the CPU"
            warnings.warn(reason, RuntimeWarning, stacklevel=6)
        return selection.backend

    def _fetched(self, backend: Backend, tree: Any) -> Any:
        """Return arrays of the device, or of the host, as NumPy arrays of their own."""
        with backend.running():
            return map_tree(lambda leaf: np.array(backend.to_numpy(leaf)), tree)

    def _at(self, home: Home | None, dtype: str, params: Params) -> Params:
        """Return host parameters as arrays of the rows' library, on their device."""
        return params if home is None else handed_over(backend_at(home, dtype), params)

    def _take_params(self, params: Params) -> None:
        self.coefs_ = [layer.W for layer in params]
        self.intercepts_ = [layer.b for layer in params]
        self.n_layers_ = len(params) + 1
        self.n_outputs_ = self._targets.n_outputs
        self.out_activation_ = self._targets.out_activation

    def _take_progress(self, run: EpochRun, home: Home | None) -> None:
        progress, backend, scored = run.progress, run.trainer.backend, self.early_stopping
        progress.state = self._fetched(backend, run.trainer.state)
        progress.best_params = self._fetched(backend, progress.best_params)
        self._progress, best = progress, progress.best_params
        params = best if scored and best is not None else progress.state.params
        self._take_params(self._at(home, backend.dtype, params))
        self.n_iter_, self.t_ = run.done, progress.samples
        self.history_ = progress.history
        self.loss_curve_ = self.history_["loss"]
        self.loss_ = self.loss_curve_[-1] if self.loss_curve_ else math.inf
        self.best_loss_ = None if scored else progress.best_loss
        self.best_validation_score_ = progress.best_score if scored else None
        self.validation_scores_ = self.history_["validation_score"] if scored else None

    def _params(self) -> Params:
        """Return the fitted parameters on the host."""
        pairs = zip(map(to_host, self.coefs_), map(to_host, self.intercepts_), strict=True)
        return tuple(Affine(W, b) for W, b in pairs)

    def _outputs(self, X: Any, method: str) -> Any:
        """Return probabilities or values (N, O) of the net `coefs_`, `intercepts_`.

        They are where X is. method: whom X was given to.
        """
        check_is_fitted(self, "coefs_")
        home = home_of(X)
        if get_config()["array_api_dispatch"]:
            check_same_home(type(self).__name__, method, home_of(self.coefs_[0]), home)
        X = validate_data(
            self,
            X,
            accept_sparse=["csr", "csc"],
            dtype=floating_dtypes(X),
            reset=False,
        )
        x, params = dense(X), self._params()
        backend, loss = self._backend(home, str(params[0].W.dtype)), LOSSES[self._targets.loss]
        names = hidden_activations(activation_names(self.activation), len(params) - 1)
        with backend.running():
            params, pieces = backend.put(params), []
            n, most = x.shape[0], rows_at_once(backend.device)
            for first in range(0, n, most):
                piece = backend.asarray(x[first : min(first + most, n), :])
                logits, _ = forward(backend.xp, params, piece, names)
                outputs = loss.predict(backend.xp, logits)
                pieces.append(backend.to_numpy(outputs) if home is None else outputs)
            if home is None:
                return np.concatenate(pieces)
            return handed_over(backend, backend.xp.concat(pieces))

    def _decoded(self, outputs: Any) -> Any:
        """Return predictions, where the outputs are, of labels that are numbers or of values."""
        home, predicted = home_of(outputs), self._targets.decode(to_host(outputs))
        if home is None or predicted.dtype.kind not in "biuf":
            return predicted
        dtype = str(to_host(outputs[:0, ...]).dtype)
        return handed_over(backend_at(home, dtype), predicted)

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: NumPy arrays, and nothing of a device."""
        state = dict(super().__getstate__())
        state.pop("_problem", None)
        for name in ("coefs_", "intercepts_"):
            if name in state:
                state[name] = [to_host(leaf) for leaf in state[name]]
        return state

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: sparse rows and other libraries' arrays are taken."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.array_api_support = True
        return tags
