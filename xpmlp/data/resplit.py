"""A data set whose rows are split anew."""

from dataclasses import replace

import numpy as np

from xpmlp.data.dataset import Dataset, Rows
from xpmlp.data.splits import random_state
from xpmlp.errors import InputError

_RESPLIT = 3


def resplit(data: Dataset, seed: int, train: int, validation: int) -> Dataset:
    """Merge the three parts, shuffle them by a seed, and split them anew.

    The first `train` rows train, the next `validation` validate, the rest are test rows; each
    keeps its values, so a scaling by the former training rows stays in them. Raises InputError
    where there are fewer rows, or none would train.
    """
    parts = (data.train, data.validation, data.test)
    x, y = np.concatenate([part.x for part in parts]), np.concatenate([part.y for part in parts])
    if train < 1 or validation < 0 or train + validation > len(y):
        raise InputError(
            f"{data.name}: {len(y):,} rows can't be split into {train:,} to train on, "
            f"{validation:,} to validate, and the rest"
        )
    order = random_state(seed, _RESPLIT).permutation(len(y))
    chosen = np.split(order, [train, train + validation])
    weights = None
    if any(part.weights is not None for part in parts):
        ones = (np.ones(len(part)) if part.weights is None else part.weights for part in parts)
        weights = np.concatenate(list(ones))
    first, second, third = (
        Rows(x[rows], y[rows], None if weights is None else weights[rows]) for rows in chosen
    )
    return replace(data, train=first, validation=second, test=third, parted=None)
