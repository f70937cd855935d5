"""What the two estimators of ensembles share: `fit`, and the mean and the spread of the nets."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from xpmlp.backends.base import blocks
from xpmlp.backends.registry import select_backend
from xpmlp.console import warn_outside
from xpmlp.data.dataset import SCALES, Dataset, Rows, Scaling
from xpmlp.data.scaling import scale_parts
from xpmlp.errors import InputError
from xpmlp.estimator.arrays import dense
from xpmlp.estimator.parameters import COUNT, RULES, Rule, check_parameters, one_of
from xpmlp.estimator.rows import row_weights, take, warn_of_unlike
from xpmlp.estimator.targets import Targets
from xpmlp.search.ensemble_training import EnsembleTraining
from xpmlp.search.ranges import Ranges
from xpmlp.training.config import Config
from xpmlp.training.defaults import batch_size_for
from xpmlp.training.ensemble import Ensemble

ROWS_AT_ONCE = 10_000
BETA2 = 0.95  # as tables have it, where nothing else is said
FLOATS = (np.float64, np.float32)
OWN_RULES = {
    "n_members": COUNT,
    "scale": one_of(*SCALES),
    "n_iter_no_change": COUNT,
    "ranges": Rule(lambda v: v is None or isinstance(v, dict | Ranges), "a dict, Ranges or None"),
    "loss": one_of("squared_error", "absolute_error", "huber"),
}


class BaseEnsemble(BaseEstimator):  # type: ignore[misc]
    """Nets of drawn hyperparameters, of which the best are averaged; use its subclasses."""

    _numeric_targets: bool
    _targets: Targets
    ensemble_: Ensemble

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, X_val: Any = None, y_val: Any = None
    ) -> "BaseEnsemble":
        """Train all nets on X (N, D), y (N,) or (N, O), select among them, and return self.

        sample_weight: how much each row counts, in training and in the selection, (N,); one of
            weight 0 is left out.
        X_val, y_val: rows to select by, in place of a share of X.

        X may be sparse; it is made dense. Raises ValueError for what can't be trained on,
        RunError where the loss of every net is no longer finite in the first epoch.
        """
        check_parameters(type(self).__name__, self.get_params(deep=False), RULES | OWN_RULES)
        ranges, random = Ranges.of(self.ranges), check_random_state(self.random_state)
        X, y = self._checked(X, y, reset=True)
        self._know_targets(y)
        weights = self._weights(y, row_weights(sample_weight, len(y)))
        rows = Rows(X, self._targets.encode(y), weights)
        if rows.weights is not None and not rows.weights.all():
            rows = take(rows, np.flatnonzero(rows.weights))
        train, validation = self._parted(rows, X_val, y_val, random)
        selection = select_backend(self.backend, self.device, self.dtype)
        if selection.fallback_reason:
            reason = f"no CUDA: {selection.fallback_reason}; computing on the CPU"
            warn_outside(reason)
        data = self._dataset(train, validation)
        configs = ranges.draw(
            self._base(len(train)), self.n_members, np.random.default_rng(random.randint(2**31))
        )
        training = EnsembleTraining(configs, data, selection.backend, self.n_iter_no_change)
        for epoch in training.epochs():
            if self.verbose:
                print(epoch.text())
        self._take(training)
        return self

    def _take(self, training: EnsembleTraining) -> None:
        self.ensemble_ = training.ensemble()
        self.best_net_ = training.best_net()
        self.members_ = training.table()
        self.selected_ = training.counts
        self.n_iter_ = len(training.history)
        names = ("validation_loss", "best_net_loss", "n_nets")
        self.history_ = {n: [getattr(epoch, n) for epoch in training.history] for n in names}

    def _checked(self, X: Any, y: Any, reset: bool) -> tuple[np.ndarray, np.ndarray]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=self._numeric_targets,
            dtype=FLOATS,
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return dense(X), y

    def _know_targets(self, y: np.ndarray) -> None:
        raise NotImplementedError

    def _weights(self, y: np.ndarray, weights: np.ndarray | None) -> Any:
        raise NotImplementedError

    def _parted(self, rows: Rows, X_val: Any, y_val: Any, random: Any) -> tuple[Rows, Rows]:
        """Return the rows that train, and those to select by."""
        if (X_val is None) != (y_val is None):
            raise InputError("X_val and y_val go together, and one of them is missing")
        if X_val is not None:
            X_val, y_val = self._checked(X_val, y_val, reset=False)
            validation = Rows(X_val, self._targets.encode(y_val, "y_val"))
            warn_of_unlike(rows, validation)
            return rows, validation
        train, held = hold_out(rows, self.validation_fraction, random, self._targets.task)
        return take(rows, train), take(rows, held)

    def _dataset(self, train: Rows, validation: Rows) -> Dataset:
        (x, x_val), scaling = scale_parts([train.x, validation.x], self.scale, None, self.dtype)
        parts = Rows(x, train.y, train.weights), Rows(x_val, validation.y, validation.weights)
        return Dataset(
            "X",
            self._targets.task,
            *parts,
            take(parts[0], np.arange(0)),
            class_names=self._targets.class_names,
            feature_names=tuple(getattr(self, "feature_names_in_", ())),
            scale=self.scale,
            scaling=scaling,
            target=self._scaling_of(train.y),
        )

    def _scaling_of(self, y: np.ndarray) -> Scaling | None:  # noqa: ARG002
        return None

    def _base(self, n: int) -> Config:
        """Return what all nets have in common, of N rows that train."""
        asked = self.batch_size
        return Config(
            loss=self._loss,
            dropout=(0.0,),
            beta2=BETA2,
            lr_schedule="constant",
            batch_size=batch_size_for(n) if asked == "auto" else min(int(asked), n),
            epochs=self.max_iter,
            dtype=self.dtype,
            compile=self.compile,
            threads=self.threads,
        )

    @property
    def _loss(self) -> str:
        raise NotImplementedError

    def _scaled(self, X: Any) -> np.ndarray:
        """Return rows as the nets take them, (N, D), float64."""
        check_is_fitted(self, "ensemble_")
        X = validate_data(self, X, accept_sparse=["csr", "csc"], dtype=FLOATS, reset=False)
        return self._exact.scale_inputs(dense(X))

    @property
    def _exact(self) -> Ensemble:
        """The ensemble in float64: so a row's prediction does not depend on those beside it."""
        return self.ensemble_.astype("float64")

    def _outputs(self, X: Any) -> np.ndarray:
        """Return the mean over the nets, (N, C), float64."""
        x, ensemble = self._scaled(X), self._exact
        pieces = [ensemble.scaled_logits(x[rows]) for rows in blocks(len(x), ROWS_AT_ONCE)]
        return ensemble.outputs_of(np.concatenate(pieces))

    def spread(self, X: Any) -> np.ndarray:
        """Return the standard deviation over the nets of what each predicts for rows X (N, D).

        Of probabilities (N, C), of values (N,), or (N, O) of several; how often a net was
        selected is how much it counts. Where the nets disagree the ensemble is uncertain, beyond
        what the probabilities say.
        """
        x, ensemble = self._scaled(X), self._exact
        pieces = [ensemble.spread_of(x[rows]) for rows in blocks(len(x), ROWS_AT_ONCE)]
        spread = np.concatenate(pieces)
        return spread.ravel() if self._numeric_targets and spread.shape[1] == 1 else spread

    def save(self, path: str | Path) -> None:
        """Write the ensemble as a file that `xpmlp.Ensemble.load`, and the commands, open.

        Its classes are then texts. Raises NotFittedError before `fit`.
        """
        check_is_fitted(self, "ensemble_")
        self.ensemble_.save(path)

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: sparse rows are taken."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def hold_out(rows: Rows, share: float, random: Any, task: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of the rows that train, and of those to select by, at least one each.

    Each class has its share in both, where it has enough rows for it. Raises InputError for a
    single row.
    """
    n = len(rows)
    if n < 2:
        raise InputError(
            "an ensemble needs a row to train on and another to select by, and X has 1 sample"
        )
    held = min(max(1, math.ceil(share * n)), n - 1)
    counts = np.unique(rows.y, return_counts=True)[1] if task == "classification" else np.zeros(1)
    enough = counts.min() >= 2 and min(held, n - held) >= len(counts)
    train, validation = train_test_split(
        np.arange(n), test_size=held, random_state=random, stratify=rows.y if enough else None
    )
    return train, validation
