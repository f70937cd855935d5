"""The history of a run beside its checkpoint, in a file that only grows.

A row of float64 numbers for each epoch: its record, then the rate of each step, then the metrics
of each step. A checkpoint says how much of the file is its own.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from xpmlp.errors import InputError
from xpmlp.files import flush, write_whole
from xpmlp.training.history import EPOCH_COLUMNS, EpochRecord, History, numbers_of, record_of

ENTRY = np.dtype("<f8")
EPOCHS_AT_ONCE = 256  # so that long histories take no memory of their own size to be written


class Mark(NamedTuple):
    """How much of a journal is a checkpoint's own.

    epochs, steps, metrics: the counts E, S of each epoch, M of each step. crc: of these bytes.
    """

    file: str
    epochs: int
    steps: int
    metrics: int
    crc: int

    @property
    def shape(self) -> tuple[int, int]:
        """That of the numbers, a row for each epoch."""
        return self.epochs, len(EPOCH_COLUMNS) + self.steps * (1 + self.metrics)


class Journal:
    """The file of one net: written whole at first, then by the epochs that are new."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.epochs, self.size, self.crc = 0, 0, 0  # as written; a size of 0: not by this run

    def update(self, history: History, steps: int) -> Mark:
        """Have the epochs on the disk, of so many steps each, and return the mark of them.

        The file is written anew where it is gone or shorter than it was. Raises OSError.
        """
        if not self.size or _size(self.path) < self.size:
            content = b"".join(_blocks(history, 0))
            write_whole(self.path, content)
            self.size, self.crc = len(content), zlib.crc32(content)
        elif self.epochs < len(history.epochs):
            size, crc = self.size, self.crc
            with self.path.open("rb+") as file:
                file.truncate(size)
                file.seek(size)
                for content in _blocks(history, self.epochs):
                    file.write(content)
                    size, crc = size + len(content), zlib.crc32(content, crc)
                flush(file)
            self.size, self.crc = size, crc
        self.epochs = len(history.epochs)
        return Mark(self.path.name, self.epochs, steps, len(history.metric_names), self.crc)


def read_journal(folder: Path, mark: Mark) -> tuple[list[EpochRecord], np.ndarray, np.ndarray]:
    """Return records, metrics (E, S, M) and rates (E, S) of the epochs of a mark.

    Raises InputError where the file beside the checkpoint is not the one that it was saved with.
    """
    counts = mark[1:]
    if not all(type(number) is int and number >= 0 for number in counts):
        raise InputError(f"its history is said to have {', '.join(map(str, counts))} entries")
    path = folder / Path(str(mark.file)).name
    size = mark.shape[0] * mark.shape[1] * ENTRY.itemsize
    try:
        with path.open("rb") as file:
            content = file.read(min(size, path.stat().st_size))
    except OSError as error:
        raise InputError(
            f"the history of its {mark.epochs} epochs can't be read from {path}: {error.strerror}; "
            "put the file back beside it"
        ) from error
    if len(content) != size or zlib.crc32(content) != mark.crc:
        raise InputError(
            f"{path} is not the history of its {mark.epochs} epochs; put the file back that it was "
            "saved with"
        )
    return _parted(np.frombuffer(content, ENTRY).astype(np.float64).reshape(mark.shape), mark)


def _parted(table: np.ndarray, mark: Mark) -> tuple[list[EpochRecord], np.ndarray, np.ndarray]:
    figures = len(EPOCH_COLUMNS)
    records, rates, metrics = np.split(table, [figures, figures + mark.steps], axis=1)
    return (
        list(map(record_of, records)),
        metrics.reshape(mark.epochs, mark.steps, mark.metrics),
        rates,
    )


def _blocks(history: History, since: int) -> Iterator[bytes]:
    """Yield the rows of the epochs after the first `since`, some at a time."""
    for begin in range(since, len(history.epochs), EPOCHS_AT_ONCE):
        some = slice(begin, begin + EPOCHS_AT_ONCE)
        parts = history.epochs[some], history.rate_parts[some], history.step_parts[some]
        rows = [
            np.concatenate([numbers_of(record), rates, metrics.ravel()])
            for record, rates, metrics in zip(*parts, strict=True)
        ]
        yield np.asarray(rows, ENTRY).tobytes()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
