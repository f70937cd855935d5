"""What a training came to: the run, and the trainer that can make one of itself at any time."""

import warnings
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from xpmlp.backends.base import Backend
from xpmlp.backends.registry import select_backend
from xpmlp.data.dataset import Dataset, Rows
from xpmlp.errors import BackendUnavailableError, InputError, RunError
from xpmlp.runs.shown import Shown
from xpmlp.training import trainer as training
from xpmlp.training.checkpoint import Checkpoint
from xpmlp.training.compiling import uncompiled
from xpmlp.training.config import Config
from xpmlp.training.evaluation import Evaluation, Score
from xpmlp.training.history import EpochRecord, History
from xpmlp.training.model import Model
from xpmlp.training.rates import RatePlan


@dataclass(frozen=True, repr=False)
class Run(Shown):
    """What `fit` returns: the model, its history, the trainer, and the test evaluation.

    record: the epoch whose weights the model has; None before the first epoch has ended.
    test: over the test rows, None where there are none, or nothing was trained.
    interrupted: whether Ctrl-C ended it. failure: why its training failed, None where it didn't.
    """

    model: Model
    history: History
    trainer: training.Trainer
    record: EpochRecord | None
    test: Evaluation | None
    interrupted: bool = False
    failure: RunError | None = None

    @property
    def title(self) -> str:
        """What it is, in a line."""
        return f"run of {self.data.name}"

    @property
    def config(self) -> Config:
        """Every choice of the run."""
        return self.trainer.config

    @property
    def data(self) -> Dataset:
        """The rows it was trained on, and those it is tested on."""
        return self.trainer.data

    def data_in(self, folder: str | None) -> Dataset:  # noqa: ARG002
        """Return the rows that it has, wherever they are from."""
        return self.data

    @property
    def best_epoch(self) -> int | None:
        """The epoch of the lowest validation loss, from 1; None without early stopping."""
        return (self.trainer.stopping.best_epoch or None) if self.trainer.stopping else None

    @property
    def plans(self) -> tuple[RatePlan, ...]:
        """The plans of the learning rate, each in force until the next."""
        return self.trainer.plans

    @property
    def test_score(self) -> Score | None:
        """Loss and accuracy over the test rows, None where there are none."""
        return Score(self.test.loss, self.test.accuracy) if self.test else None

    def save(self, directory: str | Path, *, pictures: bool = True) -> Path:
        """Write the folder that `xpmlp train --out` would have written, and return its path.

        pictures: whether to draw them and to write the report; what fails of these is a
        RuntimeWarning. Rows that were arrays in Python are not written: the folder can be opened,
        compared and predicted with, but `--resume` needs rows that the config can name.

        Raises InputError for a folder that holds a run, is in use or can't be written, or where
        the trainer has gone on since; RunError where something could not be written.
        """
        from xpmlp.runs.saving import save_run

        if len(self.trainer.history.epochs) != len(self.history.epochs):
            raise InputError(
                f"this run is of {len(self.history.epochs)} epochs, and its trainer has gone on to "
                f"{len(self.trainer.history.epochs)}; save what its run() returns"
            )
        return save_run(self, Path(directory).expanduser(), pictures=pictures)


class Trainer(training.Trainer):
    """One run in progress; see `xpmlp.training.trainer.Trainer` for what it is made of.

    Pickled, it is its config, data, checkpoint and the names of its backend; where that can't be
    had when it is opened, NumPy on the CPU stands in, as a RuntimeWarning says.
    """

    def run(self) -> Run:
        """Return the run as it stands, with its test rows evaluated; the trainer may go on.

        Raises RunError where the evaluation fails.
        """
        return finish(self)

    def __reduce__(self) -> tuple[Any, ...]:
        backend = self.backend
        names = backend.name, backend.device, backend.dtype, backend.matmul_precision
        data = _on_host(self.data, backend)
        options = {
            "initial": self.checkpoint().state.params if self.begins_trained else None,
            "order": self.order,
            "score_train": self.score_train,
        }
        return _opened, (data, names, self.checkpoint(), options)


def finish(
    trainer: training.Trainer,
    *,
    evaluate: bool = True,
    interrupted: bool = False,
    failure: RunError | None = None,
) -> Run:
    """Return the run as it stands; the trainer may go on.

    evaluate: the test rows too, where there are any and the weights were learnt. failure: is given
    the run as its `run`. Raises RunError where the evaluation fails, unless the training did.
    """
    best = trainer.stopping.best_epoch if trainer.stopping else 0
    history, rows = _snapshot(trainer.history), trainer.data.test
    record, test = history.epochs[best - 1] if history.epochs else None, None
    try:
        if evaluate and trainer.is_trained and len(rows):
            test = trainer.evaluate(rows)
    except RunError:
        if not failure:
            raise
    run = Run(trainer.model(), history, trainer, record, test, interrupted, failure)
    if failure:
        failure.run = run
    return run


def _snapshot(history: History) -> History:
    """Return a history that stays as it is while its trainer goes on."""
    taken = copy(history)
    vars(taken).update({name: copy(part) for name, part in vars(history).items()})
    return taken


def _on_host(data: Dataset, backend: Backend) -> Dataset:
    """Return a data set with rows of a device's library as NumPy's."""

    def hosted(rows: Rows) -> Rows:
        known = isinstance(rows.x, np.ndarray)
        return rows if known else replace(rows, x=backend.to_numpy(rows.x))

    train, validation, test = map(hosted, (data.train, data.validation, data.test))
    return replace(data, train=train, validation=validation, test=test)


def _opened(
    data: Dataset,
    names: tuple[str, str, str, str],
    saved: Checkpoint,
    options: dict[str, Any],
) -> Trainer:
    """Return a trainer that was pickled."""
    backend = _backend(*names)
    config = _config(saved.config, backend)
    trainer = Trainer(config, data, backend, **options)
    trainer.resume(saved)
    return trainer


def _config(config: Config, backend: Backend) -> Config:
    """Return the config, without compiled steps where they can't be had: a RuntimeWarning."""
    reason = backend.why_not_compiled() if config.compile == "always" else ""
    if not reason:
        return config
    warnings.warn(
        f"the steps of this run were compiled, which can't be had here ({reason}); they go on "
        "without, equal up to rounding",
        RuntimeWarning,
        stacklevel=3,
    )
    return uncompiled(config)


def _backend(name: str, device: str, dtype: str, precision: str) -> Backend:
    """Return the backend of these names; NumPy in its place is a RuntimeWarning."""
    try:
        found = select_backend(name, device, dtype, matmul_precision=precision)
    except BackendUnavailableError as error:
        reason: str | None = str(error)
        found = select_backend("numpy", "cpu", dtype)
    else:
        reason = found.fallback_reason
    if reason:
        warnings.warn(
            f"this run was trained by {name} on {device}, which can't be had here ({reason}); "
            f"{found.backend.name} on the CPU stands in",
            RuntimeWarning,
            stacklevel=3,
        )
    return found.backend
