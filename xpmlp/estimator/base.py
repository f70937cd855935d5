"""What the two estimators share: parameters, `fit`, and the net's outputs."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import column_or_1d, validate_data

from xpmlp.backends.base import Backend
from xpmlp.console import warn_outside
from xpmlp.data.dataset import Dataset, Rows
from xpmlp.errors import InputError
from xpmlp.estimator.arrays import (
    dense,
    fetched,
    floating_dtypes,
    home_of,
    placed,
    to_host,
)
from xpmlp.estimator.epochs import (
    EpochRun,
    train_alone,
    warn_of_divergence,
    warn_of_the_last_epoch,
)
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
from xpmlp.estimator.starting import ProblemOf, Start, fingerprint, place
from xpmlp.leaves import leaves, map_leaves
from xpmlp.nn.network import hidden_activations
from xpmlp.training.callbacks import callbacks_of
from xpmlp.training.config import Config
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


def by_epochs(estimator: "BaseMLP") -> bool:
    """Tell whether the estimator's solver goes by epochs, as `partial_fit` needs."""
    if estimator.solver not in EPOCH_SOLVERS:
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. "
            f"{estimator.solver} is not stochastic."
        )
    return True


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
        told = callbacks_of(callbacks)
        if told and self.solver == "lbfgs":
            raise InputError("callbacks need solver sgd or adam; lbfgs has no epochs")
        start = self._begin(X, y, sample_weight, goes_on, given_validation, part)
        if self.solver == "lbfgs":
            self._minimise(start)
        else:
            run = self._begin_epochs(start, part)
            train_alone(run, told)
            self._end_epochs(run)
        return self

    def _begin(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        goes_on: bool = False,
        given_validation: tuple[Any, Any] = (None, None),
        part: bool = False,
    ) -> Start:
        """Return what is trained on, checked; where it can't be, the estimator stays as it was."""
        check_parameters(type(self).__name__, self.get_params(deep=False))
        before = dict(vars(self))
        try:
            return self._prepared(X, y, sample_weight, goes_on, given_validation, part)
        except Exception:
            self.__dict__ = before
            raise

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
        self._take_params(placed(start.home, dtype, minimal))
        self.loss_ = self._targets.loss_scale * minimum.loss + minimum.penalty
        self.n_iter_ = minimum.iterations
        self.t_, self.converged_ = 0, minimum.converged

    def _begin_epochs(
        self, start: Start, part: bool = False, problem_of: ProblemOf | None = None
    ) -> EpochRun:
        """Return the training that is to be done, for `_end_epochs` when it is.

        problem_of: makes the problem, or gives one that others have, too; None: one's own.
        """
        progress = self._started(start)
        if part and progress is self._progress and progress.samples:
            progress.random, progress.order = check_random_state(self.random_state), None
        if part and start.validation is None and self.early_stopping:
            progress.refuse_other_rows(fingerprint(start.rows))
        rows, validation = self._parted(start, progress)
        if validation is not None:
            progress.judge_by((self.scoring, fingerprint(validation)))
        epochs = 1 if part else self.max_iter
        trainer = self._trainer(
            start, progress, rows, validation, epochs, problem_of or self._own_problem
        )
        self._problem = trainer.problem if part else None
        self.converged_ = False
        scorer = Scorer(self, self._targets, self.scoring)
        return EpochRun(self, trainer, self._targets, progress, scorer, start.home, part)

    def _own_problem(self, config: Config, data: Dataset, backend: Backend) -> Problem:
        """Return a problem of this fit alone, with the steps of the last `partial_fit`."""
        known = self._problem
        if known is not None and place(known.backend) == place(backend):
            backend = known.backend
        return Problem(config, data, backend, known)

    def _end_epochs(self, run: EpochRun) -> None:
        """Take what a training came to. Raises what ended it; warns where it is not done."""
        if run.failure is not None:
            raise run.failure
        self.converged_ = run.converged
        self._take_progress(run)
        self._judge_the_end(run)

    def _judge_the_end(self, run: EpochRun) -> None:
        """Raise ValueError where the weights mean nothing; warn where the training is not done."""
        progress = run.progress
        lost = run.diverged is not None and not progress.scored
        if lost or not all(np.isfinite(leaf).all() for leaf in leaves(progress.shown)):
            raise ValueError(NOT_FINITE) from run.diverged
        if run.diverged is not None:
            epoch = len(progress.history["loss"])
            warn_of_divergence(epoch, progress.best_score, self.learning_rate_init)
        elif not (run.part or run.converged or run.interrupted or run.stopped):
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
        problem_of: ProblemOf,
    ) -> Trainer:
        taken = {"optimizer": progress.optimizer, "learning_rate": progress.learning_rate}
        config = config_of(
            self, self._targets, start.sizes, start.dtype, len(rows), epochs=epochs, **taken
        )
        if any(config.dropout):
            config = config.replace(seed=progress.seed_of_masks())
        data = make_dataset(self._targets, rows, validation)
        problem = problem_of(config, data, self._backend(start.home, start.dtype))
        backend, state = problem.backend, progress.state
        trainer = Trainer(
            config,
            problem.data,
            backend,
            problem=problem,
            initial=state.params,
            moments=state.moments or None,
            order=lambda epoch: progress.next_order(len(rows), self.shuffle, epoch),
            score_train=validation is not None,
        )
        with backend.running():
            trainer.state = trainer.state._replace(step=backend.asarray(state.step))
        return trainer

    def _take_params(self, params: Params) -> None:
        self.coefs_ = [layer.W for layer in params]
        self.intercepts_ = [layer.b for layer in params]
        self.n_layers_ = len(params) + 1
        self.n_outputs_ = self._targets.n_outputs
        self.out_activation_ = self._targets.out_activation

    def _take_progress(self, run: EpochRun) -> None:
        progress, backend, scored = run.progress, run.trainer.backend, self.early_stopping
        progress.state = fetched(backend, run.trainer.state)
        progress.best_params = fetched(backend, progress.best_params)
        self._progress, best = progress, progress.best_params
        progress.scored = scored and best is not None
        if run.diverged is not None and progress.scored:  # what follows goes on from the best
            progress.state = TrainState(best, (), np.asarray(0))
        shown = map_leaves(np.array, progress.shown)
        self._take_params(placed(run.home, backend.dtype, shown))
        self.n_iter_, self.t_ = run.done, progress.samples
        self.history_ = progress.history
        self.loss_curve_ = self.history_["loss"]
        self.loss_ = self.loss_curve_[-1] if self.loss_curve_ else math.inf
        self.best_loss_ = None if scored else progress.best_loss
        self.best_validation_score_ = progress.best_score if scored else None
        self.validation_scores_ = self.history_["validation_score"] if scored else None
