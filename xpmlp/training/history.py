"""What a run did: a row per epoch, and a row per step."""

import csv
import warnings
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from xpmlp.described import Described, Lines
from xpmlp.errors import InputError, unknown_name
from xpmlp.files import write_whole
from xpmlp.training.describing import history_lines
from xpmlp.training.packed import Packed
from xpmlp.training.texts import count

EPOCHS, STEPS = "history.csv", "steps.csv"
STEP_COLUMNS = ("step", "epoch", "learning_rate")

Table = TypeVar("Table")
Steps = tuple[tuple[str, ...], list[np.ndarray]]
Reader = Any  # what csv.reader returns: lines as lists of texts, with line_num


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


EPOCH_COLUMNS = tuple(item.name for item in fields(EpochRecord))
OPTIONAL = {item.name for item in fields(EpochRecord) if item.type == float | None}


def numbers_of(record: EpochRecord) -> np.ndarray:
    """Return the figures of a record, (8,) float64, NaN where there is none."""
    values = [getattr(record, name) for name in EPOCH_COLUMNS]
    return np.array([np.nan if value is None else value for value in values], np.float64)


def record_of(numbers: np.ndarray) -> EpochRecord:
    """Return the record of these figures, (8,) float64."""
    figures: dict[str, Any] = dict(zip(EPOCH_COLUMNS, numbers.tolist(), strict=True))
    absent = {name: None for name in OPTIONAL if figures[name] != figures[name]}
    return EpochRecord(**figures | absent | {"epoch": int(figures["epoch"])})


@dataclass(init=False, repr=False)
class History(Described):
    """Everything that was recorded while training.

    steps: (S, M) float64, a row per step, columns named by metric_names: the loss of the
    step's batch before its update, the penalty where there is one, the gradients' norms.
    learning_rates: (S,).
    step_parts, rate_parts: the steps of each epoch, as they came. failed_steps, failed_rates: of
    an epoch that diverged, up to the step whose loss was not finite; the last of `steps`.
    """

    metric_names: tuple[str, ...]
    epochs: Packed[EpochRecord]
    step_parts: Packed[np.ndarray]
    rate_parts: Packed[np.ndarray]
    failed_steps: list[np.ndarray]
    failed_rates: list[np.ndarray]

    def __init__(
        self,
        metric_names: tuple[str, ...],
        epochs: Iterable[EpochRecord] = (),
        step_parts: Iterable[np.ndarray] = (),
        rate_parts: Iterable[np.ndarray] = (),
        failed_steps: Iterable[np.ndarray] = (),
        failed_rates: Iterable[np.ndarray] = (),
    ) -> None:
        self.metric_names = metric_names
        self.epochs = Packed(numbers_of, record_of, epochs)
        self.step_parts = Packed(np.asarray, partial(_rows_of, len(metric_names)), step_parts)
        self.rate_parts = Packed(np.asarray, np.asarray, rate_parts)
        self.failed_steps, self.failed_rates = list(failed_steps), list(failed_rates)

    def described(self) -> tuple[str, Lines]:
        """Return how its figures went, for its text and its table."""
        epochs, steps = len(self.epochs), sum(map(len, self.step_parts))
        return f"history of {count(epochs, 'epoch')}, {count(steps, 'step')}", history_lines(self)

    def append(self, record: EpochRecord, metrics: np.ndarray, rates: np.ndarray) -> None:
        """Add an epoch with its steps' metrics (S, M) and learning rates (S,)."""
        self.failed_steps, self.failed_rates = [], []
        self.step_parts.append(metrics)
        self.rate_parts.append(rates)
        self.epochs.append(record)

    def fail(self, metrics: np.ndarray, rates: np.ndarray) -> None:
        """Keep the steps of an epoch that failed: metrics (S, M), learning rates (S,)."""
        self.failed_steps, self.failed_rates = [metrics], [rates]

    def cut(self, epochs: int) -> "History":
        """Drop what there is after so many epochs, and return what is left."""
        for part in (self.epochs, self.step_parts, self.rate_parts):
            part.cut(epochs)
        return self

    @property
    def steps(self) -> np.ndarray:
        """All steps, (S, M)."""
        parts = *self.step_parts, *self.failed_steps
        return np.concatenate([np.empty((0, len(self.metric_names)), np.float64), *parts])

    @property
    def learning_rates(self) -> np.ndarray:
        """The rate of every step, (S,)."""
        return np.concatenate([np.empty(0), *self.rate_parts, *self.failed_rates])

    def metric(self, name: str) -> np.ndarray:
        """Return one metric of every step, (S,). Raises InputError for an unknown name."""
        if name not in self.metric_names:
            raise _unknown_metric(name, self.metric_names)
        return self.steps[:, self.metric_names.index(name)]

    def epoch_values(self, name: str) -> np.ndarray:
        """Return one column of the epochs, (E,), NaN where there is no figure.

        Raises InputError for an unknown name.
        """
        if name not in EPOCH_COLUMNS:
            raise unknown_name("column of the epochs", name, EPOCH_COLUMNS)
        values = [getattr(record, name) for record in self.epochs]
        return np.array([np.nan if value is None else value for value in values], dtype=float)

    def write(self, directory: Path) -> None:
        """Write history.csv (a row per epoch) and steps.csv (a row per step)."""
        for name, text in self.texts().items():
            write_whole(directory / name, text)

    def texts(self, since: int | None = None, until: int | None = None) -> dict[str, str]:
        """Return the two tables by their names, or the rows to append to those of some epochs.

        until: the epochs that have their rows then, without those that failed; None: all.
        In the order in which they are to be written: the steps of an epoch come before its row.
        """
        history, steps = StringIO(newline=""), StringIO(newline="")
        table = csv.DictWriter(history, EPOCH_COLUMNS)
        rows = csv.writer(steps)
        if since is None:
            since = 0
            table.writeheader()
            rows.writerow([*STEP_COLUMNS, *self.metric_names])
        table.writerows(asdict(record) for record in self.epochs[since:until])
        step = since * len(self.step_parts[0]) if since else 0
        failed = (self.failed_steps, self.failed_rates) if until is None else ((), ())
        parts = zip(
            (*self.step_parts[since:until], *failed[0]),
            (*self.rate_parts[since:until], *failed[1]),
            strict=True,
        )
        for epoch, part in enumerate(parts, start=since + 1):
            for values, rate in zip(*part, strict=True):
                step += 1
                rows.writerow([step, epoch, float(rate), *map(float, values)])
        return {STEPS: steps.getvalue(), EPOCHS: history.getvalue()}

    @classmethod
    def read(cls, directory: Path) -> "History":
        """Return what `write` wrote into a folder, number for number; a missing table is empty.

        A last line that has no end is left out, which is a UserWarning.
        Raises InputError, naming the file and the line, for a table that is damaged.
        """
        texts = [_text_of(directory / name) for name in (EPOCHS, STEPS)]  # a run may write on
        epochs = _table_of(directory / EPOCHS, texts[0], _epochs) or []
        none: Steps = ((), [np.empty((0, len(STEP_COLUMNS)))] * len(epochs))
        names, parts = _table_of(directory / STEPS, texts[1], _steps) or none
        if len(parts) not in (len(epochs), len(epochs) + 1):
            raise InputError(
                f"{directory}: {STEPS} has {len(parts)} epochs and {EPOCHS} {len(epochs)}; one of "
                "them is damaged or missing, so take both from a copy, or move both away"
            )
        rates, metrics = STEP_COLUMNS.index("learning_rate"), len(STEP_COLUMNS)
        steps, used = [p[:, metrics:] for p in parts], [p[:, rates] for p in parts]
        done = len(epochs)
        return cls(names, epochs, steps[:done], used[:done], steps[done:], used[done:])


def _rows_of(width: int, numbers: np.ndarray) -> np.ndarray:
    return numbers.reshape(-1, width) if width else numbers.reshape(0, 0)


def _unknown_metric(name: str, names: tuple[str, ...]) -> InputError:
    if name in EPOCH_COLUMNS:
        return InputError(f"{name} is of epochs, not of steps: history.epoch_values({name!r})")
    return unknown_name("metric of the steps", name, names)


def _text_of(path: Path) -> str | None:
    """Return the text of a file, None where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} can't be read: {error}") from error


def _table_of(path: Path, text: str | None, read: Callable[[Reader], Table]) -> Table | None:
    """Return what `read` makes of the lines of a table; of no text None."""
    if text is None:
        return None
    whole = text[: text.rfind("\n") + 1] or text
    if whole != text:
        warnings.warn(
            f"{path} ends within a line, as where its run was killed; that line is left out",
            UserWarning,
            stacklevel=4,
        )
    lines = csv.reader(StringIO(whole, newline=""), strict=True)
    try:
        return read(lines)
    except (csv.Error, ValueError) as error:
        raise InputError(f"{path}, line {max(1, lines.line_num)}: {error}") from error


def _epochs(lines: Reader) -> list[EpochRecord]:
    """Read history.csv."""
    names = list(EPOCH_COLUMNS)
    _expect("the columns", next(lines, []), names)
    records: list[EpochRecord] = []
    for number, line in enumerate(lines, start=1):
        _check_width(line, names)
        _expect("epoch", line[:1], [str(number)])
        figures: dict[str, Any] = {
            name: None if text == "" and name in OPTIONAL else float(text)
            for text, name in zip(line, names, strict=True)
        }
        records.append(EpochRecord(**figures | {"epoch": number}))
    return records


def _steps(lines: Reader) -> Steps:
    """Read steps.csv: the metrics' names, and for each epoch an array with all columns."""
    names: list[str] = next(lines, [])
    _expect("the columns", names[: len(STEP_COLUMNS)], list(STEP_COLUMNS))
    if len(names) == len(STEP_COLUMNS):
        raise ValueError(f"expected metrics after the columns {', '.join(names)}")
    epochs: list[list[list[float]]] = []
    for number, line in enumerate(lines, start=1):
        _check_width(line, names)
        if not epochs or line[1] != str(len(epochs)):
            epochs.append([])
        _expect("step and epoch", line[:2], [str(number), str(len(epochs))])
        epochs[-1].append([float(text) for text in line])
    return tuple(names[len(STEP_COLUMNS) :]), [np.array(rows) for rows in epochs]


def _expect(what: str, found: list[str], expected: list[str]) -> None:
    if found != expected:
        raise ValueError(f"expected {what} {', '.join(expected)}, got {', '.join(found)!r}")


def _check_width(line: list[str], names: list[str]) -> None:
    if len(line) != len(names):
        raise ValueError(f"expected {len(names)} columns, got {len(line)}")
