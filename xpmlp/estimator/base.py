"""What the two estimators share: parameters, `fit`, and the net's outputs."""

import math
import zlib
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import column_or_1d, validate_data

from xpmlp.backends.base import Backend
from xpmlp.backends.locate import Home
from xpmlp.console import warn_outside
from xpmlp.data.dataset import Rows
from xpmlp.errors import InputError
from xpmlp.estimator.arrays import (
    backend_at,
    dense,
    floating_dtypes,
    handed_over,
    home_of,
    to_host,
)
from xpmlp.estimator.epochs import EpochRun, warn_of_divergence, warn_of_the_last_epoch
from xpmlp.estimator.fitted import FittedNet
from xpmlp.estimator.lbfgs import minimise
from xpmlp.estimator.parameters import EPOCH_SOLVERS, check_parameters, layer_widths
from xpmlp.estimator.progress import Progress, Split
from xpmlp.estimator.rows import (
    draw_params,
    hold_out,
    make_dataset,
    row_weights,
    take,
    warn_of_unlike,
)
from xpmlp.estimator.scoring import Scorer
from xpmlp.estimator.settings import activation_names, config_of, optimizer_of
from xpmlp.leaves import leaves, map_leaves, map_tree
from xpmlp.nn.network import hidden_activations
from xpmlp.training.callbacks import Callback, callbacks_of
from xpmlp.training.initial import starting_params
from xpmlp.training.problem import Problem
from xpmlp.training.step import TrainState
from xpmlp.training.trainer import Trainer
from xpmlp.types import Params

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

    own_weights: the rows' weights without those of classes, by which rows that validate count.
    home: where the rows stay; None: the parameters choose.
    """

    rows: Rows
    own_weights: np.ndarray | None
    validation: Rows | None
    sizes: tuple[int, ...]
    dtype: str
    goes_on: bool
    home: Home | None


def fingerprint(rows: Rows) -> tuple[Any, ...]:
    """Return what tells rows from others; of rows on a device the targets alone."""
    arrays: list[Any] = [rows.x, rows.y] if isinstance(rows.x, np.ndarray) else [rows.y]
    return (tuple(rows.x.shape), *(zlib.crc32(np.ascontiguousarray(a).data) for a in arrays))


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


class BaseMLP(FittedNet):
    """A multilayer perceptron with scikit-learn's parameters; use its subclasses."""

    _numeric_targets: bool
    _progress: Progress | None = None
    _problem: Problem | None = None
    solver: str

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        callbacks: Any = (),
    ) -> "BaseMLP":
        """Train on X (N, D), y (N,) or (N, O), and return self.

        sample_weight: how much each row counts, (N,); one of weight 0 is left out.
        X_val, y_val: rows that validate, in place of a share of X.
        callbacks: one or several of `xpmlp.Callback`, or functions of a trainer and the record of
            its epoch; for solvers that go by epochs. One that returns True ends the training.

        X may be sparse; it is made dense. With scikit-learn's `array_api_dispatch` an X of
        PyTorch, CuPy, JAX or array-api-strict stays on its device: its library computes there,
        whatever `device` and `backend` say, and the fitted arrays are of its kind.

        With `warm_start` a second call on the same rows goes on as if the first had not stopped.
        Raises ValueError for what can't be trained on, and where the loss is no longer finite; with
        `early_stopping` the best weights so far are then kept, with a ConvergenceWarning.
        """
        goes_on = bool(self.warm_start and hasattr(self, "coefs_"))
        return self._fit(X, y, sample_weight, goes_on, (X_val, y_val), callbacks=callbacks)

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        goes_on: bool,
        given_validation: tuple[Any, Any] = (None, None),
        part: bool = False,
        callbacks: Any = (),
    ) -> "BaseMLP":
        check_parameters(type(self).__name__, self.get_params(deep=False))
        told = callbacks_of(callbacks)
        if told and self.solver not in EPOCH_SOLVERS:
            raise InputError("callbacks need solver sgd or adam; lbfgs has no epochs")
        before = dict(vars(self))
        try:
            start = self._prepared(X, y, sample_weight, goes_on, given_validation, part)
        except Exception:
            self.__dict__ = before
            raise
        if self.solver == "lbfgs":
            self._minimise(start)
        else:
            self._train(start, part, told)
        return self

    def _prepared(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        goes_on: bool,
        given_validation: tuple[Any, Any],
        part: bool,
    ) -> Start:
        """Return what is trained on, checked; rows of weight zero are left out."""
        hidden = layer_widths(self.hidden_layer_sizes)
        if goes_on:
            self._refuse_other_widths(hidden)
        X, y = self._checked(X, y, reset=not goes_on)
        self._know_targets(y, goes_on, part)
        own = row_weights(to_host(sample_weight), y.shape[0])
        rows = Rows(X, self._targets.encode(y), self._weights(y, own, part))
        if rows.weights is not None and not rows.weights.all():
            counting = np.flatnonzero(rows.weights)
            rows, own = take(rows, counting), None if own is None else own[counting]
        validation = self._given_rows(*given_validation)
        if validation is not None and not part:
            warn_of_unlike(rows, validation)
        return Start(
            rows,
            own,
            validation,
            (X.shape[1], *hidden, self._targets.n_outputs),
            self._dtype_of(X),
            goes_on,
            home_of(X),
        )

    def _refuse_other_widths(self, hidden: tuple[int, ...]) -> None:
        fitted = tuple(int(W.shape[1]) for W in self.coefs_[:-1])
        if hidden != fitted:
            raise InputError(
                f"hidden_layer_sizes can't change where a training goes on: it was {fitted}, and "
                f"is {hidden}; set it back, or fit anew without warm_start"
            )

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
        if self.solver not in EPOCH_SOLVERS:
            raise InputError("X_val and y_val need solver sgd or adam; lbfgs has no epochs")
        X, y = self._checked(X, y, reset=False)
        self._refuse_unknown(y, "y_val")
        if self._numeric_targets and self.early_stopping and len(y) < 2:
            raise InputError("X_val has 1 row; early stopping by R² needs at least 2")
        return Rows(X, self._targets.encode(y, "y_val"))

    def _refuse_unknown(self, y: Any, name: str) -> None:
        """Raise InputError for targets of another kind than those known."""

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

    def _train(self, start: Start, part: bool, callbacks: tuple[Callback, ...]) -> None:
        progress = self._started(start)
        if part and progress is self._progress and progress.samples:
            progress.random, progress.order = check_random_state(self.random_state), None
        if part and start.validation is None and self.early_stopping:
            progress.refuse_other_rows(fingerprint(start.rows))
        rows, validation = self._parted(start, progress)
        if validation is not None:
            progress.judge_by((self.scoring, fingerprint(validation)))
        epochs = 1 if part else self.max_iter
        trainer = self._trainer(start, progress, rows, validation, epochs)
        self._problem = trainer.problem if part else None
        scorer = Scorer(self, self._targets, self.scoring)
        run = EpochRun(self, trainer, self._targets, progress, scorer, callbacks)
        self.converged_ = False
        self.converged_ = run.train()
        self._take_progress(run, start.home)
        self._judge_the_end(run, part)

    def _judge_the_end(self, run: EpochRun, part: bool) -> None:
        """Raise ValueError where the weights mean nothing; warn where the training is not done."""
        progress = run.progress
        lost = run.diverged is not None and not progress.scored
        if lost or not all(np.isfinite(leaf).all() for leaf in leaves(progress.shown)):
            raise ValueError(NOT_FINITE) from run.diverged
        if run.diverged is not None:
            epoch = len(progress.history["loss"])
            warn_of_divergence(epoch, progress.best_score, self.learning_rate_init)
        elif not (part or self.converged_ or run.interrupted or run.stopped):
            warn_of_the_last_epoch(self.max_iter)

    def _started(self, start: Start) -> Progress:
        """Return the progress to go on from, or that of a training that begins."""
        optimizer, rate = optimizer_of(self), float(self.learning_rate_init)
        known: Progress | None = self._progress if start.goes_on else None
        if known is not None:
            known.begin_at(rate, optimizer, int(self.freeze))
            known.take_changed(self._params(), goes_by_score=self.early_stopping)
            return known
        random = check_random_state(self.random_state)
        params = map_leaves(
            lambda leaf: leaf.astype(start.dtype), self._first_params(start, random)
        )
        state = TrainState(params, (), np.asarray(0))
        return Progress(state, optimizer, random, rate, rate, int(self.freeze))

    def _first_params(self, start: Start, random: np.random.RandomState) -> Params:
        if start.goes_on:
            return self._params()
        names = activation_names(self.activation)
        drawn = draw_params(random, start.sizes, names)
        if self.initial is None:
            return drawn
        activations = hidden_activations(names, len(drawn) - 1)
        params, notes = starting_params(self.initial, drawn, activations)
        for note in notes:
            warn_outside(note)
        return params

    def _parted(self, start: Start, progress: Progress) -> tuple[Rows, Rows | None]:
        """Return the rows that train and those that validate, the last fit's where it goes on."""
        rows = start.rows
        if start.validation is not None or not self.early_stopping:
            return rows, start.validation
        if progress.split is None or not progress.split.fits(len(rows)):
            binary = self._targets.task == "classification" and self._targets.n_outputs == 1
            classes = self.classes_ if binary else None
            progress.split = Split(
                *hold_out(rows, self.validation_fraction, progress.random, classes)
            )
        validation = take(replace(rows, weights=start.own_weights), progress.split.validation)
        return take(rows, progress.split.train), validation

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
            order=lambda epoch: progress.next_order(len(rows), self.shuffle, epoch),
            score_train=validation is not None,
        )
        with backend.running():
            trainer.state = trainer.state._replace(step=backend.asarray(state.step))
        return trainer

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
        progress.scored = scored and best is not None
        if run.diverged is not None and progress.scored:  # what follows goes on from the best
            progress.state = TrainState(best, (), np.asarray(0))
        shown = map_leaves(np.array, progress.shown)
        self._take_params(self._at(home, backend.dtype, shown))
        self.n_iter_, self.t_ = run.done, progress.samples
        self.history_ = progress.history
        self.loss_curve_ = self.history_["loss"]
        self.loss_ = self.loss_curve_[-1] if self.loss_curve_ else math.inf
        self.best_loss_ = None if scored else progress.best_loss
        self.best_validation_score_ = progress.best_score if scored else None
        self.validation_scores_ = self.history_["validation_score"] if scored else None
