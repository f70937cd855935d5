"""What readers of large files agree on: the rows that are wanted, and blocks of those found."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from xpmlp.errors import InputError

OnNote = Callable[[str], None]


class Columns(NamedTuple):
    """The features that each row must have.

    width: how many, D. names: theirs, where they are known. image_shape: (H, W) of images.
    """

    width: int
    names: tuple[str, ...] = ()
    image_shape: tuple[int, int] | None = None

    def wanted(self) -> str:
        """Return in words what a row must be."""
        pixels = f" (images of {by(self.image_shape)} pixels)" if self.image_shape else ""
        return f"the model takes {self.width}{pixels}"


class Block(NamedTuple):
    """Some consecutive rows of a file.

    x: (N, D), of a real dtype. file, unit, numbers: where each row stands, as "rows.csv",
    "line", [2, 3, 5].
    """

    x: np.ndarray
    file: str
    unit: str
    numbers: Sequence[int]

    def place(self, row: int) -> str:
        """Return where a row stands, counted from 0 in the block."""
        return f"{self.file}, {self.unit} {self.numbers[row]}"

    def require_finite(self, values: np.ndarray, problem: str) -> None:
        """Raise InputError, naming the first row of values (N, K) that isn't finite."""
        finite = np.isfinite(values).all(axis=1)
        if not finite.all():
            raise InputError(f"{self.place(int(np.argmin(finite)))}: {problem}")


def are_telling(names: tuple[str, ...]) -> bool:
    """Tell whether names are more than the x1, x2, … of columns that had none in training."""
    return names != tuple(f"x{i}" for i in range(1, len(names) + 1))


STDIN = "-"
Reader = Callable[[str, Columns, int, OnNote], Iterator[Block]]


def shown(path: str) -> str:
    """Return the name of a file as people know it."""
    return "standard input" if path == STDIN else path


def by(shape: Sequence[int]) -> str:
    """Return a shape in words, as "28 x 28"."""
    return " x ".join(map(str, shape))


def image_shape_of(row: tuple[int, ...]) -> tuple[int, int] | None:
    """Return (H, W) of a row of this shape, which may have one channel; None for no image."""
    if len(row) == 3 and row[-1] == 1:
        row = row[:-1]
    elif len(row) == 3 and row[0] == 1:
        row = row[1:]
    return (row[0], row[1]) if len(row) == 2 else None
