"""From a data set's labels to the targets of a loss."""

from pathlib import Path
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from xpmlp.backends.base import Backend
from xpmlp.backends.registry import Selection
from xpmlp.data.dataset import Dataset, Rows, Scaling
from xpmlp.data.streamed import Streamed
from xpmlp.errors import InputError
from xpmlp.training.config import Config
from xpmlp.types import Array

ANYWHERE = ("mean_squared_error", "mean_absolute_error", "huber")
LOSSES_OF = {  # the first is what `auto` means
    "classification": ("softmax_cross_entropy", "binary_cross_entropy", *ANYWHERE),
    "multilabel": ("binary_cross_entropy", *ANYWHERE),
    "regression": (*ANYWHERE, "poisson"),
}
NUMBERS = "biuf"  # kinds of NumPy's dtypes
TARGETS_OF = {
    "classification": "one class for each row",
    "multilabel": "several labels for each row",
    "regression": "real values as its labels",
}


def require_config(config: Any) -> Config:
    """Return a config as it is. Raises InputError, with the right call, for anything else."""
    if isinstance(config, Config):
        return config
    kind = type(config).__name__
    if isinstance(config, Dataset):
        right = "xpmlp.fit(config, data), as xpmlp.fit(xpmlp.Config(), data)"
    elif isinstance(config, dict):
        right = "xpmlp.Config(**options) makes one of a dict"
    elif isinstance(config, str | Path):
        right = "xpmlp.Config.load(path) reads one, xpmlp.Config(dataset=NAME) names a data set"
    elif hasattr(config, "shape") or isinstance(config, list | tuple):
        right = "xpmlp.fit(config, x, y), as xpmlp.fit(xpmlp.Config(), x, y)"
    else:
        right = "xpmlp.fit(xpmlp.Config(), …)"
    raise InputError(f"a Config comes first, got {kind}: {right}")


def require_dataset(data: Any) -> Dataset:
    """Return a data set as it is. Raises InputError for anything else."""
    if isinstance(data, Dataset):
        return data
    raise InputError(
        f"data must be an xpmlp.Dataset, got {type(data).__name__}; xpmlp.load_dataset reads one "
        "by its name or from a file, and xpmlp.Dataset.from_arrays makes one of arrays"
    )


def require_backend(backend: Any) -> Backend:
    """Return a backend as it is. Raises InputError, with the right call, for anything else."""
    if isinstance(backend, Backend):
        return backend
    if isinstance(backend, Selection):
        raise InputError("backend is the Selection of select_backend; give its .backend")
    if isinstance(backend, str):
        raise InputError(
            f"backend is the name {backend!r}: xpmlp.fit(config.replace(backend={backend!r}), …), "
            f"or backend=xpmlp.select_backend({backend!r}).backend"
        )
    raise InputError(
        f"backend must be what xpmlp.select_backend().backend is, got {type(backend).__name__}"
    )


def check_dataset(data: Dataset) -> None:
    """Raise InputError where rows and labels of a data set can't belong together."""
    require_dataset(data)
    if len(data.train) == 0:
        raise InputError(f"{data.name} has no training rows")
    for part in ("train", "validation", "test"):
        check_rows(f"{data.name}, {part} rows", getattr(data, part), data)


def check_rows(where: str, rows: Any, data: Dataset) -> None:
    """Raise InputError for what are no rows like the training rows of a data set.

    where: what the message calls them.
    """
    if not isinstance(rows, Rows):
        part = "; give a part of it, as data.test" if isinstance(rows, Dataset) else ""
        raise InputError(f"{where} must be xpmlp.Rows(x, y), got {type(rows).__name__}{part}")
    if rows.x.ndim != 2 or rows.x.shape != (len(rows.y), data.train.x.shape[-1]):
        raise InputError(
            f"{where}: x has shape {tuple(rows.x.shape)}, y {rows.y.shape}; x must be (N, D) with "
            f"D = {data.train.x.shape[-1]}, and y have N rows"
        )
    _check_inputs(where, rows.x)
    if rows.weights is not None:
        _check_weights(where, rows.weights, len(rows))
    if data.task == "classification":
        _check_labels(where, rows.y, len(data.class_names))
    else:
        _check_values(where, rows.y, data)


def _check_inputs(where: str, x: Array) -> None:
    """Raise InputError where x is not finite numbers, computed where it lies.

    Rows that stay on disk were looked at when they were opened.
    """
    if isinstance(x, Streamed):
        return
    xp = array_namespace(x)
    if not xp.isdtype(x.dtype, ("bool", "integral", "real floating")):
        raise InputError(f"{where}: x must be float32 or float64, got dtype {x.dtype}")
    if not xp.all(xp.isfinite(x)):
        raise InputError(f"{where}: x contains NaN or infinity")


def _check_values(where: str, y: np.ndarray, data: Dataset) -> None:
    if y.ndim != 2 or y.dtype.kind not in NUMBERS or not np.isfinite(y).all():
        raise InputError(
            f"{where}: y must be (N, O) and finite numbers, got {y.dtype} of shape {y.shape}"
        )
    if y.shape[1] != data.train.y.shape[1]:
        raise InputError(
            f"{where}: y has {y.shape[1]} columns, and that of the training rows "
            f"{data.train.y.shape[1]}"
        )
    if data.task == "multilabel" and not np.isin(y, (0, 1)).all():
        raise InputError(f"{where}: y must be 0 or 1 for each label")


def _check_labels(where: str, y: np.ndarray, n_classes: int) -> None:
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise InputError(f"{where}: y must be class indices (N,), got {y.dtype} {y.shape}")
    if len(y) and not (y.min() >= 0 and y.max() < n_classes):
        raise InputError(
            f"{where}: labels from {y.min()} to {y.max()}, but there are {n_classes} classes, "
            f"numbered from 0"
        )


def _check_weights(where: str, weights: np.ndarray, n: int) -> None:
    fits = weights.shape == (n,) and weights.dtype.kind in NUMBERS
    if not fits or not (np.isfinite(weights) & (weights > 0)).all():
        raise InputError(
            f"{where}: weights must be ({n},), positive and finite, got {weights.dtype} of shape "
            f"{weights.shape}; leave out rows that don't count"
        )


def resolve_loss(loss: str, data: Dataset) -> str:
    """Return the loss that `auto` means: softmax for classes, binary for labels, MSE for values.

    Raises InputError for a loss that does not go with the data.
    """
    fitting = LOSSES_OF[data.task]
    if loss == "auto":
        return fitting[0]
    if loss not in fitting:
        raise InputError(
            f"loss {loss} can't be used: {data.name} has {TARGETS_OF[data.task]}; "
            f"use {', '.join(fitting[:-1])} or {fitting[-1]}"
        )
    if loss == "poisson":
        _check_counts(data)
    return loss


def _check_counts(data: Dataset) -> None:
    least = min(rows.y.min(initial=0.0) for rows in (data.train, data.validation, data.test))
    if least < 0:
        raise InputError(
            f"loss poisson needs labels of 0 or more, and the smallest of {data.name} is {least:g}"
        )


def output_size(loss: str, data: Dataset) -> int:
    """Return the width of the output layer: one node for two classes under the binary loss."""
    two_classes = data.task == "classification" and data.n_outputs == 2
    if loss == "binary_cross_entropy" and two_classes:
        return 1
    return data.n_outputs


def target_of(loss: str, data: Dataset) -> Scaling | None:
    """Return how values are standardised inside the model; counts never are."""
    return data.target if data.task == "regression" and loss in ANYWHERE else None


def make_targets(loss: str, data: Dataset, rows: Rows) -> np.ndarray:
    """Return t for the rows: class indices (N,), int64, for softmax; else (N, C), float64.

    Classes become a single 0/1 column where the output is one node, else one-hot rows; labels
    stay as they are, and values too, but for those of a table, which are learnt in units of their
    deviation where `target_of` says so.
    """
    if loss == "softmax_cross_entropy":
        return rows.y
    if data.task != "classification":
        target = target_of(loss, data)
        y = rows.y.astype(np.float64, copy=False)
        return y if target is None else (y - target.shift) / target.width
    if output_size(loss, data) == 1:
        return rows.y[:, None].astype(np.float64)
    one_hot: np.ndarray = np.eye(data.n_outputs)[rows.y]
    return one_hot
