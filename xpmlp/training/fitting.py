"""`fit`: from a config to a finished run in one call."""

import warnings
from dataclasses import dataclass
from typing import Any

from xpmlp.backends.base import Backend
from xpmlp.backends.registry import select_backend
from xpmlp.data.dataset import Dataset
from xpmlp.data.registry import load_dataset
from xpmlp.training.config import Config
from xpmlp.training.evaluation import Evaluation
from xpmlp.training.history import EpochRecord, History
from xpmlp.training.model import Model
from xpmlp.training.trainer import Trainer


@dataclass(frozen=True)
class Run:
    """What `fit` returns: the model, its history, the trainer, and the test evaluation.

    record: the epoch whose weights the model has; None before the first epoch has ended.
    """

    model: Model
    history: History
    trainer: Trainer
    record: EpochRecord | None
    test: Evaluation | None


def fit(
    config: Config, data: Dataset | None = None, backend: Backend | None = None, **start: Any
) -> Run:
    """Train a net and return the run.

    data: else loaded as the config says; a data set that is handed in is taken as it is.
    backend: else chosen by the config's names; a fallback to the CPU is a RuntimeWarning.
    start: `initial`, `moments`, `order` as for `Trainer`.

    Raises InputError for what can't be trained, RunError for a loss that diverges.
    """
    if backend is None:
        selection = select_backend(config.backend, config.device, config.dtype)
        backend = selection.backend
        if selection.fallback_reason:
            reason = f"no CUDA: {selection.fallback_reason}; training on the CPU"
            warnings.warn(reason, RuntimeWarning, stacklevel=2)
    trainer = Trainer(config, data or load_for(config), backend, **start)
    for _ in trainer.epochs():
        pass
    return finish(trainer)


def load_for(config: Config) -> Dataset:
    """Load the data set that a config names, split and scaled as it says."""
    return load_dataset(
        config.dataset,
        data_dir=config.data_dir,
        validation=config.validation,
        scale=config.scale,
        seed=config.data_seed,
        dtype=config.dtype,
    )


def finish(trainer: Trainer) -> Run:
    """Return the run as it stands, with the test rows evaluated; the trainer may go on."""
    best = trainer.stopping.best_epoch if trainer.stopping else 0
    record = trainer.history.epochs[best - 1] if trainer.history.epochs else None
    test = trainer.data.test
    evaluation = trainer.evaluate(test) if len(test) else None
    return Run(trainer.model(), trainer.history, trainer, record, evaluation)
