"""`fit`: from a config to a finished run in one call."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from xpmlp.backends.base import Backend
from xpmlp.data.dataset import Dataset
from xpmlp.runs.shown import Shown
from xpmlp.training.config import Config
from xpmlp.training.evaluation import Evaluation, Score
from xpmlp.training.given import backend_of, dataset_of, require_configs
from xpmlp.training.history import EpochRecord, History
from xpmlp.training.model import Model
from xpmlp.training.setup import make_members, refuse_seeds
from xpmlp.training.trainer import Trainer

OnEpoch = Callable[[list[EpochRecord]], None]


@dataclass(frozen=True, repr=False)
class Run(Shown):
    """What `fit` returns: the model, its history, the trainer, and the test evaluation.

    record: the epoch whose weights the model has; None before the first epoch has ended.
    test: over the test rows, None where there are none.
    """

    model: Model
    history: History
    trainer: Trainer
    record: EpochRecord | None
    test: Evaluation | None

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
    def test_score(self) -> Score | None:
        """Loss and accuracy over the test rows, None where there are none."""
        return Score(self.test.loss, self.test.accuracy) if self.test else None


def fit(
    config: Config,
    data: Any = None,
    y: Any = None,
    *,
    backend: Backend | None = None,
    **start: Any,
) -> Run:
    """Train a net and return the run.

    data, y: a `Dataset`, which is taken as it is; or rows and their labels, for
        `Dataset.from_arrays` with the config's validation, scale, data_seed, task and dtype; else
        loaded as the config says.
    backend: else chosen by the config's names; a fallback to the CPU is a RuntimeWarning.
    start: `initial`, `moments`, `order` as for `Trainer`.

    Raises InputError for what can't be trained, RunError for a loss that diverges.
    """
    refuse_seeds(config)
    backend = backend_of(config, backend)
    trainer = Trainer(config, dataset_of(config, data, y), backend, **start)
    for _ in trainer.epochs():
        pass
    return finish(trainer)


def fit_many(
    configs: Sequence[Config],
    data: Any = None,
    y: Any = None,
    *,
    backend: Backend | None = None,
    on_epoch: OnEpoch | None = None,
) -> list[Run]:
    """Train several nets on the same rows, side by side, and return their runs in order.

    configs: of the same data and dtype; nets of the same kind (`config.members()`, other rates
    or penalties) train as one ensemble where that is faster, each as it would alone.
    data, y: as for `fit`. on_epoch: is called with the records of the members that ended an epoch.

    Raises InputError for what can't be trained, RunError where a loss diverges.
    """
    configs = require_configs(configs)
    backend = backend_of(configs[0], backend)
    members = make_members(configs, dataset_of(configs[0], data, y), backend)
    for records in members.epochs():
        if on_epoch:
            on_epoch(records)
    for failure in members.failures.values():
        raise failure
    return [finish(trainer) for trainer in members.trainers]


def finish(trainer: Trainer, *, evaluate: bool = True) -> Run:
    """Return the run as it stands; the trainer may go on.

    evaluate: the test rows too, where there are any, and weights that were learnt. Raises RunError
    where that fails.
    """
    best = trainer.stopping.best_epoch if trainer.stopping else 0
    record = trainer.history.epochs[best - 1] if trainer.history.epochs else None
    test = trainer.data.test
    tested = evaluate and trainer.is_trained and len(test)
    evaluation = trainer.evaluate(test) if tested else None
    return Run(trainer.model(), trainer.history, trainer, record, evaluation)
