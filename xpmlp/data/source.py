"""What a loader hands over: rows as they were found, and how they are meant to be split."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from xpmlp.data.rows import Task

if TYPE_CHECKING:
    from xpmlp.data.tables.columns import Column
    from xpmlp.data.tables.describing import TableAbout


@dataclass(frozen=True)
class Source:
    """A data set before it is split and scaled.

    x: (N, D), uint8 or float64, images flattened row by row; of a table with typed columns the
        places (N,), int64, of the rows that are used.
    y: (N,) int64 classes, or (N, O) float64 values for regression, or 0 and 1 for multilabel.
    full_scale: what counts as 1 in pixels (255 in a byte); None where x holds no pixels.
    validation: the canonical validation rows (x, y), which are part of the training rows where
        another choice is asked for.
    test: the canonical test rows (x, y); None means that `test_size` rows are held out.
    test_size: rows to hold out, as a fraction or a count.
    tail: validation takes the last rows of x, by default this many; None means a seeded
        choice, by default a tenth.
    shared: too few rows to split, so all three parts are all rows.
    own: a file or table of somebody's own, which is scaled where nobody says otherwise.
    weights: how much each row counts, of x, then of validation and test, where these are given.
    columns: the features of a table; about: what it was taken for; label: names of what is learnt.
    """

    name: str
    task: Task
    x: np.ndarray
    y: np.ndarray
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
    image_shape: tuple[int, int] | None = None
    full_scale: float | None = None
    validation: tuple[np.ndarray, np.ndarray] | None = None
    test: tuple[np.ndarray, np.ndarray] | None = None
    test_size: float | int = 0.2
    tail: int | None = None
    shared: bool = False
    own: bool = False
    weights: np.ndarray | None = None
    columns: "tuple[Column, ...]" = ()
    about: "TableAbout | None" = None
    label: tuple[str, ...] = ()
    note: str = ""
