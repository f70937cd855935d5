"""The rows that an estimator is given: their weights, which are held out, what is drawn."""

import math
from itertools import chain, pairwise, repeat
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device
from sklearn.model_selection import train_test_split
from sklearn.utils import check_array
from sklearn.utils.validation import check_non_negative

from xpmlp.console import warn_outside
from xpmlp.data.dataset import Dataset, Rows
from xpmlp.errors import InputError
from xpmlp.estimator.arrays import to_host
from xpmlp.estimator.classes import named
from xpmlp.estimator.likeness import spread_rows, unlike_columns
from xpmlp.estimator.targets import Targets
from xpmlp.types import Affine, Params


def row_weights(sample_weight: Any, n: int) -> np.ndarray | None:
    """Return weights (N,), float64, of a number or of a list; None stays None.

    Raises ValueError where they are not (N,), not finite, negative, or all zero.
    """
    if sample_weight is None:
        return None
    if np.isscalar(sample_weight):
        sample_weight = np.full(n, sample_weight)
    weights: np.ndarray = check_array(
        sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
    )
    if weights.ndim != 1:
        raise InputError(
            f"Sample weights must be 1D array or scalar, got {weights.ndim}D array. "
            f"Expected either a scalar value or a 1D array of length {n}."
        )
    if weights.shape != (n,):
        raise InputError(f"sample_weight.shape == {weights.shape}, expected {(n,)}!")
    check_non_negative(weights, "`sample_weight`")
    if not weights.any():
        raise InputError("Sample weights must contain at least one non-zero number.")
    return weights


def take(rows: Rows, index: np.ndarray) -> Rows:
    """Return the rows of these numbers, on the device where they are."""
    weights = None if rows.weights is None else rows.weights[index]
    if isinstance(rows.x, np.ndarray):
        return Rows(rows.x[index], rows.y[index], weights)
    xp, place = array_namespace(rows.x), device(rows.x)
    return Rows(xp.take(rows.x, xp.asarray(index, device=place), axis=0), rows.y[index], weights)


def warn_of_unlike(train: Rows, validation: Rows) -> None:
    """Warn where most columns of the rows that validate look nothing like those that train."""
    x, x_val = (to_host(take(rows, spread_rows(len(rows))).x) for rows in (train, validation))
    columns, judged = unlike_columns(x, x_val)
    if 2 * len(columns) <= judged:
        return
    a, b = x[:, columns[0]], x_val[:, columns[0]]
    warn_outside(
        f"X_val looks nothing like the rows of X in {len(columns)} of {judged} columns: column "
        f"{columns[0]} goes from {a.min():.4g} to {a.max():.4g} in X, from {b.min():.4g} to "
        f"{b.max():.4g} in X_val. Scale X_val as X is; a Pipeline does so where it has "
        'transform_input=["X_val"] (https://scikit-learn.org/stable/metadata_routing.html)'
    )


def hold_out(
    rows: Rows, share: float, random: np.random.RandomState, classes: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Draw which rows train and which validate, as scikit-learn does, and return their numbers.

    classes: of which both parts get their share, None without. Raises InputError where fewer
    than two validate, or a class has one row.
    """
    if classes is not None:
        _refuse_single_rows(rows.y, classes)
    if math.ceil(share * len(rows)) < 2:
        raise InputError(
            "The validation set is too small. Increase 'validation_fraction' "
            "or the size of your dataset."
        )
    train, validation = train_test_split(
        np.arange(len(rows)),
        random_state=random,
        test_size=float(share),
        stratify=None if classes is None else rows.y,
    )
    return train, validation


def _refuse_single_rows(y: np.ndarray, classes: np.ndarray) -> None:
    """Raise InputError with scikit-learn's words, in which False and True stand for two classes."""
    few = np.flatnonzero(np.bincount(y) == 1)
    if len(few):
        raise InputError(
            "The least populated classes in y have only 1 member, and early stopping holds out "
            "rows of each class: give more of them, or X_val and y_val. Classes with too few "
            f"members are: {[str(bool(k)) for k in few]}, in y {named(classes[few])}"
        )


def make_dataset(targets: Targets, train: Rows, validation: Rows | None) -> Dataset:
    """Return what the trainer takes; there are no test rows."""
    none = take(train, np.arange(0))
    return Dataset(
        "X", targets.task, train, validation or none, none, class_names=targets.class_names
    )


def draw_params(
    random: np.random.RandomState, sizes: tuple[int, ...], activations: tuple[str, ...]
) -> Params:
    """Draw weights and biases from U[-r, r), float64, in scikit-learn's order.

    activations: one for all layers, or one per hidden layer, the last for the outputs too. r² is
    6, of a sigmoid layer 2, over the sum of its inputs and outputs (Glorot & Bengio 2010).
    """
    layers = []
    names = chain(activations, repeat(activations[-1] if activations else ""))
    for (fan_in, fan_out), name in zip(pairwise(sizes), names, strict=False):
        bound = np.sqrt((2.0 if name == "sigmoid" else 6.0) / (fan_in + fan_out))
        W = random.uniform(-bound, bound, (fan_in, fan_out))
        layers.append(Affine(W, random.uniform(-bound, bound, fan_out)))
    return tuple(layers)
