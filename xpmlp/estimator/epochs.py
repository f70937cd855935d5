"""Training by epochs: the trainer's, and between them what scikit-learn decides."""

import math
import warnings
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import numpy as np

from xpmlp.backends.locate import Home
from xpmlp.errors import DivergenceError
from xpmlp.estimator.notices import warn_unconverged
from xpmlp.estimator.progress import HISTORY, Progress
from xpmlp.estimator.scoring import Scorer
from xpmlp.estimator.targets import Targets
from xpmlp.leaves import map_tree
from xpmlp.training.callbacks import Callback
from xpmlp.training.history import EpochRecord
from xpmlp.training.members import Members
from xpmlp.training.trainer import Trainer

SMALLEST_RATE = 1e-6


class EpochRun(Callback):
    """One call of `fit` or `partial_fit` of a solver that goes by epochs, in training or trained.

    As a callback of its trainer it decides between epochs, and asks to stop when it has converged.

    settings: the estimator, for its parameters alone. home: where its rows stay. part: whether it
    is one of `partial_fit`. done: the epochs of this call; interrupted: whether Ctrl-C ended it;
    stopped: whether another callback asked for it; diverged: why it ended, where the loss was no
    longer finite; failure: what else went wrong.
    """

    def __init__(
        self,
        settings: Any,
        trainer: Trainer,
        targets: Targets,
        progress: Progress,
        scorer: Scorer,
        home: Home | None = None,
        part: bool = False,
    ) -> None:
        self.settings, self.trainer, self.scorer = settings, trainer, scorer
        self.targets, self.progress, self.home, self.part = targets, progress, home, part
        self.done = 0
        self.converged = self.interrupted = self.stopped = False
        self.diverged: DivergenceError | None = None
        self.failure: Exception | None = None

    def after_epoch(self, trainer: Trainer, record: EpochRecord) -> bool:  # noqa: ARG002
        """Note an epoch, and tell whether it was the last."""
        try:
            self._note(record)
            self.converged = self._converged()
        except Exception as error:
            self.failure = error
        return self.converged or self.failure is not None

    def diverge(self, error: DivergenceError) -> None:
        """Take it that the training ended in an epoch with a loss that is no longer finite.

        Under early stopping that epoch is one more without a better score, NaN.
        """
        self.diverged = error
        if self.settings.early_stopping:
            self._note_divergence()
            self.converged = self._converged()

    def _note(self, record: EpochRecord) -> None:
        settings, progress, trainer = self.settings, self.progress, self.trainer
        scale, problem, data = self.targets.loss_scale, trainer.problem, trainer.data
        loss = self._epoch_loss()
        figures: dict[str, float | None] = {**dict.fromkeys(HISTORY), "loss": loss}
        if record.validation_loss is not None:
            figures["train_loss"] = scale * record.train_loss
            figures["train_score"] = self.scorer.score(
                trainer, record.train_accuracy, data.train, problem.train
            )
            figures["validation_loss"] = scale * record.validation_loss
            figures["validation_score"] = self.scorer.score(
                trainer, record.validation_accuracy, data.validation, problem.validation
            )
        for name, value in figures.items():
            progress.history[name].append(value)
        self.done += 1
        progress.samples += len(data.train)
        if settings.verbose:
            print(f"Iteration {self.done}, loss = {loss:.8f}")
        score = figures["validation_score"]
        if not settings.early_stopping:
            progress.judge_loss(loss, settings.tol)
        elif score is not None:
            if settings.verbose:
                print(f"Validation score: {score:f}")
            progress.judge_score(score, settings.tol, trainer.state.params)

    def _note_divergence(self) -> None:
        progress = self.progress
        for values in progress.history.values():
            values.append(math.nan)
        self.done += 1
        progress.samples += len(self.trainer.data.train)
        progress.unimproved += 1

    def _epoch_loss(self) -> float:
        """Return the mean over the rows of each step's loss before its update, with penalty."""
        steps, rows = self.trainer.history.step_parts[-1], len(self.trainer.data.train)
        counts = np.full(len(steps), self.trainer.batch_size)
        counts[-1] = rows - counts[:-1].sum()
        steps = steps * np.array([self.targets.loss_scale, *[1.0] * (steps.shape[1] - 1)])
        return float(counts @ steps.sum(axis=1) / rows)

    def _converged(self) -> bool:
        """Set the next epoch's rate, and tell whether the loss or the score has settled."""
        settings, progress = self.settings, self.progress
        schedule = settings.learning_rate if settings.solver == "sgd" else "constant"
        if schedule == "invscaling":
            self._set_rate(settings.learning_rate_init / (progress.samples + 1) ** settings.power_t)
        if progress.unimproved <= settings.n_iter_no_change:
            return False
        what = "Validation score" if settings.early_stopping else "Training loss"
        message = (
            f"{what} did not improve more than tol={settings.tol:f} "
            f"for {settings.n_iter_no_change} consecutive epochs."
        )
        if schedule == "adaptive" and progress.learning_rate > SMALLEST_RATE:
            self._set_rate(progress.learning_rate / 5.0)
            progress.unimproved = 0
            self._say(f"{message} Setting learning rate to {progress.learning_rate:f}")
            return False
        small = " Learning rate too small." if schedule == "adaptive" else ""
        self._say(f"{message}{small} Stopping.")
        return True

    def _set_rate(self, rate: float) -> None:
        """Set the rate of the next epochs.

        scikit-learn's velocity is the trainer's times the rate, and a new rate leaves it.
        """
        trainer, ratio = self.trainer, self.progress.learning_rate / rate
        with trainer.backend.running():
            moments = map_tree(lambda v: v * ratio, trainer.state.moments)
        trainer.state = trainer.state._replace(moments=moments)
        trainer.learning_rate = rate
        self.progress.learning_rate = rate

    def _say(self, message: str) -> None:
        if self.settings.verbose:
            print(message)


def train_alone(run: EpochRun, callbacks: tuple[Callback, ...]) -> None:
    """Train one until it has converged, or to its last epoch; Ctrl-C ends it before.

    The next call then draws the order of the epoch in progress again.
    callbacks: are told of each epoch before it is judged.
    """
    run.progress.takes_back = True
    try:
        run.stopped = train_together([run], callbacks).listeners[0].stopped
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=2)
        run.interrupted = True
        run.progress.take_back_order(run.trainer.place[0])
    finally:
        run.progress.takes_back, run.progress.before_order = False, None


def train_together(runs: Sequence[EpochRun], callbacks: tuple[Callback, ...] = ()) -> Members:
    """Train several side by side, each until it has converged or to its last epoch."""
    members = Members([run.trainer for run in runs], callbacks)
    for listeners, run in zip(members.listeners, runs, strict=True):
        listeners.callbacks += (run,)
    with closing(members.epochs()) as epochs:
        for _ in epochs:
            pass
    for place, failure in members.failures.items():
        if not isinstance(failure, DivergenceError):
            raise failure
        runs[place].diverge(failure)
    return members


def warn_of_the_last_epoch(max_iter: int) -> None:
    """Warn that `max_iter` epochs did not suffice."""
    warn_unconverged(
        f"Stochastic Optimizer: Maximum iterations ({max_iter}) "
        "reached and the optimization hasn't converged yet."
    )


def warn_of_divergence(epoch: int, score: float, rate: float) -> None:
    """Warn that an epoch, from 1, diverged, and that the weights of the best score stay."""
    warn_unconverged(
        f"Stochastic Optimizer: the loss is no longer finite in epoch {epoch}, and training ends "
        f"there; the weights of the best epoch, with validation score {score:g}, are kept. Try a "
        f"learning_rate_init below {rate:g}, or scale the data."
    )
