"""Classes as the caller named them: which labels can be classes, and what each class weighs."""

import math
from collections.abc import Iterable
from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import type_of_target, unique_labels

from xpmlp.errors import InputError
from xpmlp.estimator.arrays import dense


def named(classes: Iterable[Any]) -> list[Any]:
    """Return classes for a message: [True], where a list of NumPy's would say [np.True_]."""
    return [name.item() if isinstance(name, np.generic) else name for name in classes]


def sorted_classes(labels: Any, name: str) -> np.ndarray:
    """Return the classes among labels, (C,). Raises InputError where they are of several kinds.

    name: what the message calls the labels.
    """
    try:
        classes: np.ndarray = unique_labels(labels)
    except TypeError as error:
        raise InputError(_mixed(labels, name)) from error
    return classes


def several_labels(y: Any, name: str) -> bool:
    """Tell whether y is several 0/1 labels for each row, (N, O), and not a class for each, (N,).

    Raises InputError for what can't be either. name: what the message calls it.
    """
    try:
        kind = type_of_target(y, input_name=name)
    except TypeError as error:
        raise InputError(_mixed(y, name)) from error
    if kind in ("binary", "multiclass"):
        return False
    if kind == "multilabel-indicator":
        return True
    if kind.startswith("continuous"):
        given = f"real values, such as {np.ravel(y)[0]:g}: MLPRegressor predicts these"
    elif kind == "multiclass-multioutput":
        given = "several columns with other values than 0 and 1"
    else:
        given = f"objects of type {_types(y)}: try {name}.astype(int) or {name}.astype(str)"
    raise InputError(
        f"Unknown label type: {kind}. `{name}` must be a class for each row, (N,), all whole "
        f"numbers or all texts, or 0 or 1 for each label, (N, O), and has {given}"
    )


def weights_by_row(
    class_weight: Any, classes: np.ndarray | None, y: Any, weights: np.ndarray | None
) -> np.ndarray | None:
    """Return the weight of each row (N,), that of its class times its own; None where all are 1.

    class_weight: None, "balanced", a dict {class: weight}; of several labels a list of dicts.
    classes: (C,), None where y is several labels for each row. weights: the rows' own, or None.
    Raises InputError where weights are not finite, 0 or more.
    """
    if class_weight is None:
        return weights
    if class_weight == "balanced" or classes is None:
        by_class: np.ndarray = compute_sample_weight(class_weight, dense(y))
    else:
        by_class = weights_of(class_weight, classes)[np.searchsorted(classes, y)]
    if not (np.isfinite(by_class).all() and (by_class >= 0).all()):
        raise InputError(f"class_weight must be finite and 0 or more, got {class_weight}")
    return by_class if weights is None else by_class * weights


def weights_of(class_weight: Any, classes: np.ndarray) -> np.ndarray:
    """Return what each class weighs, (C,), float64: 1 where the dict leaves it out.

    Raises InputError for no dict, an unknown class, or a weight that is not finite, 0 or more.
    """
    if not isinstance(class_weight, dict):
        raise InputError(
            "class_weight must be 'balanced' or a dict {class: weight} where each row has one "
            "class; a list of dicts is for several labels"
        )
    known = named(classes)
    unknown = [name for name in class_weight if name not in known]
    if unknown:
        raise InputError(f"class_weight names {named(unknown)}; the classes are {known}")
    for name, weight in zip(named(class_weight), class_weight.values(), strict=True):
        if not (isinstance(weight, Real) and 0 <= float(weight) < math.inf):
            raise InputError(
                f"class_weight must be finite and 0 or more, got {weight!r} for class {name!r}"
            )
    return np.array([class_weight.get(name, 1.0) for name in known], dtype=np.float64)


def _mixed(labels: Any, name: str) -> str:
    return (
        f"`{name}` has classes of types {_types(labels)}, which have no common order; give all of "
        "them as texts, or all as numbers"
    )


def _types(labels: Any) -> str:
    names = {type(label).__name__ for label in np.asarray(labels, dtype=object).ravel()}
    return " and ".join(sorted(names))
