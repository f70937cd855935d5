"""How a training in progress is shown: a bar, or plain lines."""

import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from operator import attrgetter
from typing import Any, Protocol, TextIO

import numpy as np

from xpmlp.console import show
from xpmlp.training.history import EpochRecord
from xpmlp.training.texts import loss_text
from xpmlp.training.trainer import Trainer


class Progress(Protocol):
    """Shows epochs as they end."""

    def show(self, records: Sequence[EpochRecord]) -> None:
        """Show a finished epoch of a net, or of each of several; none: a piece of a long one."""

    def close(self) -> None:
        """Take the bar away, or do nothing."""


class Bar:
    """A tqdm bar on stderr, or in a notebook, with loss, accuracies and speed.

    shown: whether to show it; None leaves that to tqdm: on terminals and in notebooks.
    """

    def __init__(self, trainers: Sequence[Trainer], shown: bool | None = None) -> None:
        self.bar: Any = None
        self.trainers = trainers
        if shown is False:
            return
        from tqdm.auto import tqdm

        epochs = max(trainer.config.epochs for trainer in trainers)
        done = min(len(trainer.history.epochs) for trainer in trainers)
        disable = None if shown is None else not shown
        self.bar = tqdm(total=epochs, initial=done, unit="epoch", leave=False, disable=disable)

    def show(self, records: Sequence[EpochRecord]) -> None:
        """Move the bar to the epoch, or tell how far the one in progress is."""
        if self.bar is None or self.bar.disable:
            return
        if not records:
            self._show_steps()
            return
        self.bar.set_description("", refresh=False)
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

    def _show_steps(self) -> None:
        """Tell how far the epoch in progress is; of one that all have diverged in, nothing."""
        within = [trainer for trainer in self.trainers if trainer.unfinished]
        if within:
            behind = min(within, key=attrgetter("place"))
            step, steps = behind.place[1], behind.steps_per_epoch
            self.bar.set_description(f"step {step:,} of {steps:,}")

    def close(self) -> None:
        """Take the bar away."""
        if self.bar is not None:
            self.bar.close()


class Lines:
    """A line per epoch; of more than 50 epochs, some 50 of them and the last."""

    def __init__(self, epochs: int, members: int, stream: TextIO) -> None:
        self.epochs, self.members, self.stream = epochs, members, stream
        self.every = max(1, epochs // 50)

    def show(self, records: Sequence[EpochRecord]) -> None:
        """Print the epoch if it is its turn."""
        if not records:
            return
        epoch = records[0].epoch
        if epoch % self.every == 0 or epoch in (1, self.epochs):
            show(epoch_line(records, self.epochs, self.members), self.stream)

    def close(self) -> None:
        """Do nothing."""


def make_progress(trainers: Sequence[Trainer], *, quiet: bool, stream: TextIO) -> Progress:
    """Return the bar where stderr is a terminal, else lines on the stream; quiet: one unseen."""
    if quiet or sys.stderr.isatty():
        return Bar(trainers, shown=not quiet)
    return Lines(trainers[0].config.epochs, len(trainers), stream)


def mean_record(records: Sequence[EpochRecord]) -> EpochRecord:
    """Return the mean of every figure over the members of an epoch."""
    if len(records) == 1:
        return records[0]
    means: dict[str, Any] = {}
    for item in fields(EpochRecord):
        values = [getattr(record, item.name) for record in records]
        means[item.name] = None if None in values else float(np.mean(values))
    return replace(EpochRecord(**means), epoch=records[0].epoch)


def epoch_line(records: Sequence[EpochRecord], epochs: int, members: int = 1) -> str:
    """Return one epoch, or the means of those of so many members that trained it, as a line."""
    record = mean_record(records)
    parts = [f"epoch {record.epoch}/{epochs}"]
    if members > 1:
        some = f"{len(records)} of {members}" if len(records) < members else f"{members}"
        parts.append(f"means of {some} seeds:")
    parts.append(f"loss {loss_text(record.train_loss)}")
    if record.train_accuracy is not None:
        parts.append(f"accuracy {record.train_accuracy:.4f}")
    if record.validation_loss is not None:
        parts.append(f"validation loss {loss_text(record.validation_loss)}")
    if record.validation_accuracy is not None:
        parts.append(f"validation accuracy {record.validation_accuracy:.4f}")
    parts.append(f"{record.images_per_second:,.0f} rows/s")
    return "  ".join(parts)
