"""Small problems that many tests train on."""

import numpy as np

from xpmlp.data.dataset import Dataset, Rows
from xpmlp.training import problem
from xpmlp.types import Affine, Params


def make_dataset(
    rows: int = 90, features: int = 4, classes: int = 3, seed: int = 0, dtype: str = "float64"
) -> Dataset:
    """Separable-ish classes from noisy centres; a third of the rows validate, a third test."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, rows).astype(np.int64)
    x = rng.standard_normal((classes, features))[y] * 2 + rng.standard_normal((rows, features))
    x = x.astype(dtype)
    parts = [Rows(x[i::3], y[i::3]) for i in range(3)]
    return Dataset("blobs", "classification", *parts, tuple("abcdefghij"[:classes]))


def make_regression(rows: int = 60, seed: int = 0) -> Dataset:
    """A linear map with two outputs and a little noise."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, 3))
    y = x @ rng.standard_normal((3, 2)) + 0.01 * rng.standard_normal((rows, 2))
    parts = [Rows(x[i::3], y[i::3]) for i in range(3)]
    return Dataset("plane", "regression", *parts, ())


def relative_distance(a: Params, b: Params) -> float:
    """Return the largest max|Δ| / max|W| over all arrays."""
    distances = []
    for one, other in zip(a, b, strict=True):
        for leaf in Affine._fields:
            p, q = (np.asarray(getattr(layer, leaf)) for layer in (one, other))
            distances.append(np.abs(p - q).max() / max(np.abs(p).max(), np.abs(q).max(), 1e-300))
    return float(max(distances))


def note_steps(monkeypatch) -> list:
    """Return a list to which every call of a step in Python adds its arguments."""
    seen, make_step = [], problem.make_step

    def noting(xp, objective, *across):
        step = make_step(xp, objective, *across)

        def noted(*arguments):
            seen.append(arguments)
            return step(*arguments)

        return noted

    monkeypatch.setattr(problem, "make_step", noting)
    return seen
