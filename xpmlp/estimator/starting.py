"""What a fit begins with, and what tells its rows and its place from others."""

import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from xpmlp.backends.base import Backend
from xpmlp.backends.locate import Home
from xpmlp.data.dataset import Dataset, Rows
from xpmlp.training.config import Config
from xpmlp.training.problem import Problem

ProblemOf = Callable[[Config, Dataset, Backend], Problem]


class Start(NamedTuple):
    """What a solver begins with: rows, the net, and whether it goes on from the last fit.

    own_weights: the rows' weights without those of classes, by which rows that validate count.
    home: where the rows stay; None: the parameters choose.
    """

    rows: Rows
    own_weights: np.ndarray | None
    validation: Rows | None
    sizes: tuple[int, ...]
    dtype: str
    goes_on: bool
    home: Home | None


def fingerprint(rows: Rows) -> tuple[Any, ...]:
    """Return what tells rows from others; of rows on a device the targets alone."""
    arrays: list[Any] = [rows.x, rows.y] if isinstance(rows.x, np.ndarray) else [rows.y]
    return (tuple(rows.x.shape), *(zlib.crc32(np.ascontiguousarray(a).data) for a in arrays))


def place(backend: Backend) -> tuple[str, str, str]:
    """Return what tells backends apart here: library, device, dtype."""
    return backend.name, backend.device, backend.dtype
