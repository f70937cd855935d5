"""How good the weights are between epochs: the estimator's own score, or one asked for."""

import copy
import inspect
from numbers import Real
from typing import Any

import sklearn
from sklearn.metrics import check_scoring

from xpmlp.data.dataset import Rows
from xpmlp.errors import InputError
from xpmlp.estimator.arrays import to_host
from xpmlp.estimator.targets import Targets
from xpmlp.training.trainer import Trainer
from xpmlp.types import Batch


class Scorer:
    """Scores the trainer's weights; greater is better.

    scoring: None for the accuracy or R², a name that scikit-learn knows, as "f1_macro", or a
    function (estimator, X, y) -> number, which may take sample_weight. It is handed a copy of the
    estimator that predicts by the weights of the moment, and NumPy arrays.
    """

    def __init__(self, estimator: Any, targets: Targets, scoring: Any) -> None:
        self.estimator, self.targets = estimator, targets
        self.scorer = None if scoring is None else check_scoring(estimator, scoring=scoring)

    def score(self, trainer: Trainer, accuracy: float | None, rows: Rows, batch: Batch) -> float:
        """Return the score over rows, which are also on the device, as batch.

        accuracy: the trainer's of these rows, where it has one.
        """
        if self.scorer is not None:
            return self._asked_for(trainer, rows)
        if accuracy is not None:
            return accuracy
        with trainer.backend.running():
            logits = trainer.problem.evaluator.evaluate(trainer.state.params, batch).logits
        return self.targets.score(logits, rows)

    def _asked_for(self, trainer: Trainer, rows: Rows) -> float:
        """Return the score that was asked for, of the rows and the weights on the host."""
        assert self.scorer is not None
        measure = getattr(self.scorer, "_score_func", self.scorer)
        weighs = (
            rows.weights is not None and "sample_weight" in inspect.signature(measure).parameters
        )
        weights = {"sample_weight": rows.weights} if weighs else {}
        with sklearn.config_context(array_api_dispatch=False):
            y = self.targets.restore(rows.y)
            score = self.scorer(self._snapshot(trainer), to_host(rows.x), y, **weights)
        if not isinstance(score, Real):
            raise InputError(f"scoring must give one number, and gave {score!r}")
        return float(score)

    def _snapshot(self, trainer: Trainer) -> Any:
        """Return a copy of the estimator with the weights of the moment, on the host."""
        snapshot = copy.copy(self.estimator)
        vars(snapshot).pop("feature_names_in_", None)
        snapshot._take_params(trainer.backend.fetch(trainer.state.params))
        return snapshot
