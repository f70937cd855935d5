"""The history of a run beside its checkpoint, in a file that only grows.

A row of float64 numbers for each epoch: its record, then the rate of each step, then the metrics
of each step. A checkpoint says how much of the file is its own.
"""

import zlib
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from xpmlp.errors import InputError
from xpmlp.files import flush, write_whole
from xpmlp.training.history import EpochRecord, History

NAMES = tuple(item.name for item in fields(EpochRecord))
ENTRY = np.dtype("<f8")


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
        return self.epochs, len(NAMES) + self.steps * (1 + self.metrics)


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
            content = _rows(history, 0)
            write_whole(self.path, content)
            self.size, self.crc = len(content), zlib.crc32(content)
        elif content := _rows(history, self.epochs):
            with self.path.open("rb+") as file:
                file.truncate(self.size)
                file.seek(self.size)
                file.write(content)
                flush(file)
            self.size, self.crc = self.size + len(content), zlib.crc32(content, self.crc)
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
    records, rates, metrics = np.split(table, [len(NAMES), len(NAMES) + mark.steps], axis=1)
    return (
        [_record(row) for row in records.tolist()],
        metrics.reshape(mark.epochs, mark.steps, mark.metrics),
        rates,
    )


def _record(row: list[float]) -> EpochRecord:
    figures: dict[str, Any] = dict(zip(NAMES, row, strict=True))
    optional = {item.name for item in fields(EpochRecord) if item.type == float | None}
    for name in optional:
        if figures[name] != figures[name]:
            figures[name] = None
    return EpochRecord(**figures | {"epoch": int(figures["epoch"])})


def _rows(history: History, since: int) -> bytes:
    """Return the rows of the epochs after the first `since`."""
    rows = [
        np.concatenate([_figures(record), rates, metrics.ravel()])
        for record, rates, metrics in zip(
            history.epochs[since:],
            history.rate_parts[since:],
            history.step_parts[since:],
            strict=True,
        )
    ]
    return np.asarray(rows, ENTRY).tobytes()


def _figures(record: EpochRecord) -> np.ndarray:
    values = [np.nan if value is None else value for value in asdict(record).values()]
    return np.array(values, np.float64)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
