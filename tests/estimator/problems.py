"""Small problems for the estimators, and the distance of two fitted nets."""

import numpy as np
from sklearn.datasets import make_classification, make_multilabel_classification, make_regression

KINDS = ("binary", "multiclass", "multilabel", "regression", "several values")


def make(kind: str, rows: int = 90) -> tuple[np.ndarray, np.ndarray]:
    """Return X (N, 6) of about unit scale and y."""
    if kind == "multilabel":
        x, y = make_multilabel_classification(rows, 6, n_classes=3, random_state=0)
        return (x - x.mean(axis=0)) / x.std(axis=0), y
    if "value" in kind or kind == "regression":
        outputs = 1 if kind == "regression" else 3
        x, y = make_regression(rows, 6, n_targets=outputs, noise=1.0, random_state=0)
        return x, y / y.std()
    classes = 2 if kind == "binary" else 3
    x, y = make_classification(
        rows, 6, n_informative=4, n_classes=classes, flip_y=0.1, random_state=0
    )
    return x, np.array(["low", "middle", "up"])[y]


def estimator(module, kind, **parameters):
    """Return xpmlp's or scikit-learn's estimator for a kind of problem."""
    regression = kind in ("regression", "several values")
    return getattr(module, "MLPRegressor" if regression else "MLPClassifier")(**parameters)


def distance(ours, theirs) -> float:
    """Return the largest max|Δ| / max|W| over all weights and biases."""
    pairs = zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True)
    return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs)
