"""What a run did: a row per epoch, and a row per step."""

import csv
from dataclasses import asdict, dataclass, field, fields
from io import StringIO
from pathlib import Path

import numpy as np

from xpmlp.files import write_whole


@dataclass(frozen=True)
class EpochRecord:
    """One epoch. Losses are without penalty or smoothing, over all rows, after the epoch.

    epoch: from 1. learning_rate: of the epoch's first step. Accuracies are None for regression,
    validation figures None without validation rows. seconds: training alone.
    """

    epoch: int
    learning_rate: float
    train_loss: float
    train_accuracy: float | None
    validation_loss: float | None
    validation_accuracy: float | None
    seconds: float
    images_per_second: float


@dataclass
class History:
    """Everything that was recorded while training.

    steps: (S, M) float64, a row per step, columns named by metric_names: the loss of the
    step's batch before its update, the penalty where there is one, the gradients' norms.
    learning_rates: (S,).
    """

    metric_names: tuple[str, ...]
    epochs: list[EpochRecord] = field(default_factory=list)
    step_parts: list[np.ndarray] = field(default_factory=list)
    rate_parts: list[np.ndarray] = field(default_factory=list)

    def append(self, record: EpochRecord, metrics: np.ndarray, rates: np.ndarray) -> None:
        """Add an epoch with its steps' metrics (S, M) and learning rates (S,)."""
        self.step_parts.append(metrics.astype(np.float64))
        self.rate_parts.append(rates)
        self.epochs.append(record)

    @property
    def steps(self) -> np.ndarray:
        """All steps, (S, M)."""
        return np.concatenate([np.empty((0, len(self.metric_names))), *self.step_parts])

    @property
    def learning_rates(self) -> np.ndarray:
        """The rate of every step, (S,)."""
        return np.concatenate([np.empty(0), *self.rate_parts])

    def metric(self, name: str) -> np.ndarray:
        """Return one metric of every step, (S,)."""
        return self.steps[:, self.metric_names.index(name)]

    def epoch_values(self, name: str) -> np.ndarray:
        """Return one column of the epochs, (E,), NaN where there is no figure."""
        values = [getattr(record, name) for record in self.epochs]
        return np.array([np.nan if value is None else value for value in values], dtype=float)

    def write(self, directory: Path) -> None:
        """Write history.csv (a row per epoch) and steps.csv (a row per step)."""
        names = [item.name for item in fields(EpochRecord)]
        history = StringIO(newline="")
        table = csv.DictWriter(history, names)
        table.writeheader()
        table.writerows(asdict(record) for record in self.epochs)
        write_whole(directory / "history.csv", history.getvalue())

        steps = StringIO(newline="")
        rows = csv.writer(steps)
        rows.writerow(["step", "epoch", "learning_rate", *self.metric_names])
        epochs = np.repeat(np.arange(len(self.step_parts)) + 1, list(map(len, self.step_parts)))
        for i, (epoch, rate, values) in enumerate(
            zip(epochs, self.learning_rates, self.steps, strict=True), start=1
        ):
            rows.writerow([i, epoch, float(rate), *map(float, values)])
        write_whole(directory / "steps.csv", steps.getvalue())
