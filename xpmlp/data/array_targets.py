"""What an array of labels means: classes, several labels a row, or values.

Texts are classes. Numbers that aren't all whole are values; whole ones are classes, unless more
than 50 of them differ and these are more than half as many as the rows. Columns of 0 and 1 are
several labels a row, but classes where each row has a single 1. Classes are sorted, numbers by
value.
"""

from typing import NamedTuple

import numpy as np

from xpmlp.data.rows import Task
from xpmlp.errors import InputError

_MANY_VALUES = 50


class Targets(NamedTuple):
    """Labels, understood.

    y: (N,) int64 classes, (N, O) float64 values, or (N, O) float64 of 0 and 1 for multilabel.
    """

    task: Task
    y: np.ndarray
    class_names: tuple[str, ...] = ()
    note: str = ""


def array_targets(labels: np.ndarray, origin: str, task: str | None = None) -> Targets:
    """Understand labels (N,) or (N, O), finite numbers or texts, by the rules above.

    task: `classification` or `regression` where that is wished, for which the labels must do.

    Raises InputError, naming their origin, for labels that can't be used.
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.dtype.kind == "U":
        return _text_targets(labels, origin, task)
    if labels.ndim == 2:
        return _column_targets(labels, origin, task)
    return number_targets(labels, origin, task)


def number_targets(values: np.ndarray, origin: str, task: str | None = None) -> Targets:
    """Understand finite numbers (N,) as classes or as values."""
    fractions = values != np.floor(values)
    if task == "classification" and fractions.any():
        raise InputError(
            f"{origin}: {values[fractions][0]:g} among the labels can't number a class; classes "
            "are whole numbers or texts"
        )
    if task == "regression" or fractions.any():
        return _values(values[:, None])
    distinct = len(np.unique(values))
    if task is None and distinct > _MANY_VALUES and 2 * distinct > len(values):
        note = f"{origin}: its {distinct} different whole-number labels are taken as values to fit"
        return _values(values[:, None], note)
    return classes(values, origin)


def classes(labels: np.ndarray, origin: str) -> Targets:
    """Understand texts or whole numbers (N,) as classes."""
    found, y = np.unique(labels, return_inverse=True)
    texts = [str(v) if labels.dtype.kind == "U" else str(int(v)) for v in found]
    if len(found) < 2:
        raise InputError(
            f"{origin}: every label is {texts[0]!r}; classification needs at least two classes"
        )
    return Targets("classification", y.reshape(-1).astype(np.int64), tuple(texts))


def _text_targets(labels: np.ndarray, origin: str, task: str | None) -> Targets:
    if labels.ndim == 2:
        raise InputError(f"{origin}: text labels must have shape (N,), got {labels.shape}")
    if task == "regression":
        raise InputError(
            f"{origin}: the labels are texts, such as {str(labels[0])!r}; regression needs numbers"
        )
    return classes(labels, origin)


def _column_targets(labels: np.ndarray, origin: str, task: str | None) -> Targets:
    """Understand several columns of numbers."""
    binary = bool(((labels == 0) | (labels == 1)).all())
    if task == "regression" or (task is None and not binary):
        return _values(labels)
    if not binary:
        raise InputError(
            f"{origin}: {labels.shape[1]} columns of labels are classes only where each is 0 or 1"
        )
    if (labels.sum(axis=1) == 1).all():
        note = (
            f"{origin}: as each row of its labels has a single 1, they are taken as one-hot classes"
        )
        return classes(labels.argmax(axis=1), origin)._replace(note=note)
    return Targets("multilabel", labels.astype(np.float64))


def _values(values: np.ndarray, note: str = "") -> Targets:
    return Targets("regression", values.astype(np.float64), note=note)
