"""Arrays of your own: `.npz` archives, as `numpy.savez`, Keras and MedMNIST write them."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from xpmlp.data.array_targets import array_targets
from xpmlp.data.blocks import by, image_shape_of
from xpmlp.data.image_tables import pixel_scale
from xpmlp.data.source import Source
from xpmlp.errors import InputError

_TRAIN = (
    ("x", "y"),
    ("images", "labels"),
    ("x_train", "y_train"),
    ("train_images", "train_labels"),
)
_VALIDATION = (("x_val", "y_val"), ("val_images", "val_labels"))
_TEST = (("x_test", "y_test"), ("test_images", "test_labels"))


class Arrays(NamedTuple):
    """Features and labels of one part, and what they are called."""

    x: np.ndarray
    y: np.ndarray
    x_name: str
    y_name: str


def read_archive(path: Path, task: str | None = None) -> Source:
    """Read an `.npz` archive of features and labels, in the names that people give them.

    x and y, images and labels, x_train and y_train, or train_images and train_labels are the
    training rows; x_val and y_val, or val_images and val_labels, those that validate; x_test and
    y_test, or test_images and test_labels, those that test; in any case of letters.
    Features are (N, D), or images (N, H, W), also with an axis of one channel; of more axes or
    channels they are flattened, with a note. Labels are as `array_targets` has them.
    task: `classification` or `regression` where that is wished.

    Raises InputError, naming the file and the array, for anything that can't be trained on.
    """
    parts, unused = _read_parts(path)
    for arrays in parts.values():
        _check(arrays, path)
    _check_alike(parts, path)
    targets = array_targets(np.concatenate([arrays.y for arrays in parts.values()]), path, task)
    starts = np.cumsum([len(arrays.y) for arrays in parts.values()])[:-1]
    labels = dict(zip(parts, np.split(targets.y, starts), strict=True))
    row = parts["train"].x.shape[1:]
    features, full_scale, note = _features(parts, path)
    image_shape = image_shape_of(row)
    rows = {part: (features[part], labels[part]) for part in parts}
    return Source(
        str(path),
        targets.task,
        *rows["train"],
        targets.class_names,
        feature_names=tuple(f"x{i}" for i in range(1, row[0] + 1)) if len(row) == 1 else (),
        image_shape=image_shape,
        full_scale=full_scale,
        validation=rows.get("validation"),
        test=rows.get("test"),
        note="; ".join(filter(None, (targets.note, note, *_remarks(row, unused, path)))),
    )


def _read_parts(path: Path) -> tuple[dict[str, Arrays], list[str]]:
    """Return the parts that there are, `train` first, and the names of arrays of no part.

    Whatever goes wrong in a foreign archive is its fault.
    """
    parts = {}
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            every = sorted(archive.files)
            names = {name.lower(): name for name in every}
            for part, pairs in (("train", _TRAIN), ("validation", _VALIDATION), ("test", _TEST)):
                if pair := next((pair for pair in pairs if {*pair} <= {*names}), None):
                    x, y = names[pair[0]], names[pair[1]]
                    parts[part] = Arrays(archive[x], archive[y], x, y)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or 'damaged'}") from error
    except Exception as error:
        raise InputError(
            f"{path}: not a whole .npz archive of numbers and texts, as numpy.savez writes it"
        ) from error
    if "train" not in parts:
        found = ", ".join(every) or "nothing"
        raise InputError(
            f"{path}: expected arrays x and y, or images and labels, x_train and y_train, "
            f"train_images and train_labels; found {found}"
        )
    used = {name for arrays in parts.values() for name in (arrays.x_name, arrays.y_name)}
    return parts, [name for name in every if name not in used]


def _check(arrays: Arrays, path: Path) -> None:
    """Raise InputError for features or labels of a wrong kind, or not as many of both."""
    x, y, x_name, y_name = arrays
    if x.ndim < 2 or x.dtype.kind not in "buif" or not x.size:
        raise InputError(
            f"{path}: expected numbers of shape (N, D) or (N, H, W) as features, "
            f"got {x_name}, {x.dtype} of shape {x.shape}"
        )
    if y.ndim not in (1, 2) or y.dtype.kind not in "buifU" or not y.size:
        raise InputError(
            f"{path}: expected numbers or texts of shape (N,) or (N, O) as labels, "
            f"got {y_name}, {y.dtype} of shape {y.shape}"
        )
    if len(x) != len(y):
        raise InputError(f"{path}: {x_name} has {len(x):,} rows, but {y_name} {len(y):,} labels")
    for values, what, name in ((x, "features", x_name), (y, "labels", y_name)):
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
            row = int(np.argmin(finite))
            raise InputError(f"{path}: the {what} of row {row} of {name} contain NaN or inf")


def _check_alike(parts: dict[str, Arrays], path: Path) -> None:
    """Raise InputError where rows or labels of a part differ in form from the training rows'."""
    train = parts["train"]
    for arrays in parts.values():
        if arrays.x.shape[1:] != train.x.shape[1:]:
            raise InputError(
                f"{path}: rows of {arrays.x_name} are {by(arrays.x.shape[1:])}, "
                f"those of {train.x_name} {by(train.x.shape[1:])}"
            )
        text, train_text = (y.dtype.kind == "U" for y in (arrays.y, train.y))
        if arrays.y.shape[1:] != train.y.shape[1:] or text != train_text:
            raise InputError(
                f"{path}: {arrays.y_name}, {arrays.y.dtype} of shape {arrays.y.shape}, is not like "
                f"{train.y_name}, {train.y.dtype} of shape {train.y.shape}"
            )


def _features(
    parts: dict[str, Arrays], path: Path
) -> tuple[dict[str, np.ndarray], float | None, str]:
    """Return the rows (N, D) of each part, what counts as 1 in their pixels, and a note."""
    flat = {part: arrays.x.reshape(len(arrays.x), -1) for part, arrays in parts.items()}
    full_scale, note = None, ""
    if parts["train"].x.ndim > 2:
        lowest, highest = min(x.min() for x in flat.values()), max(x.max() for x in flat.values())
        full_scale, note = pixel_scale(float(lowest), float(highest), str(path))
    return {part: _stored(x, full_scale is not None) for part, x in flat.items()}, full_scale, note


def _stored(x: np.ndarray, pixels: bool) -> np.ndarray:
    """Return features in one of the two dtypes of `Source`."""
    return x.astype(np.uint8 if pixels and x.dtype.kind in "bui" else np.float64, copy=False)


def _remarks(row: tuple[int, ...], unused: list[str], path: Path) -> Iterable[str]:
    if len(row) > 1 and image_shape_of(row) is None:
        columns = int(np.prod(row))
        yield f"{path}: {by(row)} values a row are trained on as {columns:,} columns, and not shown"
    if unused:
        yield f"{path}: not used: {', '.join(unused)}"
