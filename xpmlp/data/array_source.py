"""Arrays of features and labels as a source of rows, wherever they come from."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from xpmlp.data.array_targets import Targets, array_targets
from xpmlp.data.blocks import by, image_shape_of
from xpmlp.data.image_tables import pixel_scale
from xpmlp.data.source import Source
from xpmlp.errors import InputError


class Labels(NamedTuple):
    """The labels of one part, what they are called, and how many rows they must be for."""

    y: np.ndarray
    name: str
    rows: int
    rows_name: str


class Arrays(NamedTuple):
    """Features and labels of one part, and what they are called."""

    x: np.ndarray
    y: np.ndarray
    x_name: str
    y_name: str

    @property
    def labels(self) -> Labels:
        """The labels alone."""
        return Labels(self.y, self.y_name, len(self.x), self.x_name)


def array_source(parts: Mapping[str, Arrays], origin: str, task: str | None = None) -> Source:
    """Return the arrays of the parts `train` and, where there are some, `validation` and `test`.

    Features are (N, D), or images (N, H, W), also with an axis of one channel; of more axes or
    channels they are flattened, with a note. Labels are as `array_targets` has them.
    origin: what messages call the arrays. task: `classification` or `regression` where that is
    wished.

    Raises InputError, naming origin and array, for anything that can't be trained on.
    """
    _check_features(parts, origin)
    targets, y = split_targets(
        {part: arrays.labels for part, arrays in parts.items()}, origin, task
    )
    row = parts["train"].x.shape[1:]
    x, full_scale, note = _features(parts, origin)
    return Source(
        origin,
        targets.task,
        x["train"],
        y["train"],
        targets.class_names,
        feature_names=tuple(f"x{i}" for i in range(1, row[0] + 1)) if len(row) == 1 else (),
        image_shape=image_shape_of(row),
        full_scale=full_scale,
        validation=(x["validation"], y["validation"]) if "validation" in parts else None,
        test=(x["test"], y["test"]) if "test" in parts else None,
        note="; ".join(filter(None, (targets.note, note, *_flattened(row, origin)))),
    )


def split_targets(
    parts: Mapping[str, Labels], origin: str, task: str | None = None
) -> tuple[Targets, dict[str, np.ndarray]]:
    """Understand the labels of all parts together, and return them, and those of each part.

    Raises InputError where they can't be used, are not like those of `train`, or not as many as
    the rows.
    """
    for labels in parts.values():
        _check_labels(labels, parts["train"], origin)
    targets = array_targets(np.concatenate([labels.y for labels in parts.values()]), origin, task)
    starts = np.cumsum([len(labels.y) for labels in parts.values()])[:-1]
    return targets, dict(zip(parts, np.split(targets.y, starts), strict=True))


def _check_features(parts: Mapping[str, Arrays], origin: str) -> None:
    """Raise InputError for features of a wrong kind, or in another form than those of training."""
    train = parts["train"]
    for x, _, name, _ in parts.values():
        if x.ndim < 2 or x.dtype.kind not in "buif" or not x.size:
            raise InputError(
                f"{origin}: expected numbers of shape (N, D) or (N, H, W) as features, "
                f"got {name}, {x.dtype} of shape {x.shape}"
            )
        _check_finite(x, "features", name, origin)
        if x.shape[1:] != train.x.shape[1:]:
            raise InputError(
                f"{origin}: rows of {name} are {by(x.shape[1:])}, "
                f"those of {train.x_name} {by(train.x.shape[1:])}"
            )


def _check_labels(labels: Labels, train: Labels, origin: str) -> None:
    y, name, rows, rows_name = labels
    if y.ndim not in (1, 2) or y.dtype.kind not in "buifU" or not y.size:
        raise InputError(
            f"{origin}: expected numbers or texts of shape (N,) or (N, O) as labels, "
            f"got {name}, {y.dtype} of shape {y.shape}"
        )
    if rows != len(y):
        raise InputError(f"{origin}: {rows_name} has {rows:,} rows, but {name} {len(y):,} labels")
    _check_finite(y, "labels", name, origin)
    text, train_text = y.dtype.kind == "U", train.y.dtype.kind == "U"
    if y.shape[1:] != train.y.shape[1:] or text != train_text:
        raise InputError(
            f"{origin}: {name}, {y.dtype} of shape {y.shape}, is not like "
            f"{train.name}, {train.y.dtype} of shape {train.y.shape}"
        )


def _check_finite(values: np.ndarray, what: str, name: str, origin: str) -> None:
    if values.dtype.kind != "f":
        return
    if values.dtype.itemsize > 8:
        with np.errstate(over="ignore"):
            values = values.astype(np.float64)
    if not np.isfinite(values).all():
        finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
        row = int(np.argmin(finite))
        raise InputError(f"{origin}: the {what} of row {row} of {name} contain NaN or inf")


def _features(
    parts: Mapping[str, Arrays], origin: str
) -> tuple[dict[str, np.ndarray], float | None, str]:
    """Return the rows (N, D) of each part, what counts as 1 in their pixels, and a note."""
    flat = {part: arrays.x.reshape(len(arrays.x), -1) for part, arrays in parts.items()}
    full_scale, note = None, ""
    if parts["train"].x.ndim > 2:
        lowest, highest = min(x.min() for x in flat.values()), max(x.max() for x in flat.values())
        full_scale, note = pixel_scale(float(lowest), float(highest), origin)
    return {part: _stored(x, full_scale is not None) for part, x in flat.items()}, full_scale, note


def _stored(x: np.ndarray, pixels: bool) -> np.ndarray:
    """Return features in one of the two dtypes of `Source`."""
    return x.astype(np.uint8 if pixels and x.dtype.kind in "bui" else np.float64, copy=False)


def _flattened(row: tuple[int, ...], origin: str) -> Iterator[str]:
    if len(row) > 1 and image_shape_of(row) is None:
        columns = int(np.prod(row))
        yield (
            f"{origin}: {by(row)} values a row are trained on as {columns:,} columns, and not shown"
        )
