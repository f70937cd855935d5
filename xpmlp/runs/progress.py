"""How a run in progress is shown: a bar on a terminal, plain lines elsewhere, or nothing."""

import sys
from collections.abc import Sequence
from typing import Any, Protocol, TextIO

from xpmlp.console import show
from xpmlp.runs.summary import epoch_line, mean_record
from xpmlp.training.history import EpochRecord
from xpmlp.training.texts import loss_text
from xpmlp.training.trainer import Trainer


class Progress(Protocol):
    """Shows epochs as they end."""

    def show(self, records: Sequence[EpochRecord]) -> None:
        """Show one finished epoch of a net, or of each of several."""

    def close(self) -> None:
        """Take the bar away, or do nothing."""


class Bar:
    """A tqdm bar on stderr with loss, accuracies and speed."""

    def __init__(self, epochs: int, done: int) -> None:
        from tqdm import tqdm

        self.bar: Any = tqdm(total=epochs, initial=done, unit="epoch", leave=False)

    def show(self, records: Sequence[EpochRecord]) -> None:
        """Move the bar to the epoch."""
        record = mean_record(records)
        figures = {"loss": loss_text(record.train_loss)}
        if record.train_accuracy is not None:
            figures["accuracy"] = f"{record.train_accuracy:.4f}"
        if record.validation_accuracy is not None:
            figures["val_accuracy"] = f"{record.validation_accuracy:.4f}"
        elif record.validation_loss is not None:
            figures["val_loss"] = loss_text(record.validation_loss)
        figures["rows/s"] = f"{record.images_per_second:,.0f}"
        self.bar.set_postfix(figures, refresh=False)
        self.bar.update(record.epoch - self.bar.n)

    def close(self) -> None:
        """Take the bar away."""
        self.bar.close()


class Lines:
    """A line per epoch; of more than 50 epochs, some 50 of them and the last."""

    def __init__(self, epochs: int, members: int, stream: TextIO) -> None:
        self.epochs, self.members, self.stream = epochs, members, stream
        self.every = max(1, epochs // 50)

    def show(self, records: Sequence[EpochRecord]) -> None:
        """Print the epoch if it is its turn."""
        epoch = records[0].epoch
        if epoch % self.every == 0 or epoch in (1, self.epochs):
            show(epoch_line(records, self.epochs, self.members), self.stream)

    def close(self) -> None:
        """Do nothing."""


class Silence:
    """Shows nothing."""

    def show(self, records: Sequence[EpochRecord]) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def make_progress(trainers: Sequence[Trainer], *, quiet: bool, stream: TextIO) -> Progress:
    """Return the bar where stderr is a terminal, else lines on the stream, or silence."""
    if quiet:
        return Silence()
    epochs = trainers[0].config.epochs
    done = min(len(trainer.history.epochs) for trainer in trainers)
    return Bar(epochs, done) if sys.stderr.isatty() else Lines(epochs, len(trainers), stream)
