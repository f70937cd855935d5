"""Tables of your own: `.csv` and `.dat` text and `.npz` archives, features first, label last.

What the last column means: texts are classes; numbers that aren't whole are values to regress
on; whole numbers are classes, unless more than 50 of them differ and these are more than half
as many as the rows, when they are values too. Classes are sorted, numbers by value.
"""

from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from xpmlp.data.dataset import Task
from xpmlp.data.source import Source
from xpmlp.data.text import ENCODING, Line, is_number, split_lines
from xpmlp.errors import InputError

SUFFIXES = (".csv", ".dat", ".npz")

_MANY_VALUES = 50
_NPZ_NAMES = (("x", "y"), ("images", "labels"))


class Targets(NamedTuple):
    """A label column, understood: y is (N,) int64 classes or (N, O) float64 values."""

    task: Task
    y: np.ndarray
    class_names: tuple[str, ...] = ()
    note: str = ""


def read_table(path: str | Path) -> Source:
    """Read a `.csv`, `.dat` or `.npz` file.

    Text is UTF-8, separated by commas, semicolons, tabs or blanks, whichever the first line
    shows, with or without a header; empty lines and lines that start with # are skipped.
    An archive holds arrays x and y (or images and labels, in any case); x is (N, D), or
    (N, H, W) for images.

    Raises InputError, naming the file and the line, for anything that can't be trained on.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: expected a file that ends in {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    return _read_npz(path) if path.suffix.lower() == ".npz" else _read_text(path)


def _read_text(path: Path) -> Source:
    lines = list(_lines(path))
    header = lines.pop(0).fields if lines and _is_header(lines) else []
    if not lines:
        raise InputError(f"{path}: holds no rows")
    width = len(header) or len(lines[0].fields)
    if width < 2:
        raise InputError(
            f"{path}, line {lines[0].number}: expected at least one feature and a label, "
            f"got {width} column"
        )
    values = array("d")
    for line in lines:
        if len(line.fields) != width:
            raise InputError(
                f"{path}, line {line.number}: expected {width} columns, got {len(line.fields)}"
            )
        values.extend(_features(line, path))
    targets = _text_targets(lines, path)
    return Source(
        str(path),
        targets.task,
        np.frombuffer(values).reshape(len(lines), width - 1),
        targets.y,
        targets.class_names,
        feature_names=tuple(header[:-1]) or tuple(f"x{i}" for i in range(1, width)),
        note=targets.note,
    )


def _lines(path: Path) -> Iterator[Line]:
    """Yield the lines that hold something, split into stripped fields."""
    try:
        with path.open(encoding=ENCODING) as file:
            yield from split_lines(file, str(path))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a UTF-8 text file ({error.reason})") from error
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror}") from error


def _is_header(lines: Sequence[Line]) -> bool:
    """Tell whether the first line names columns instead of holding values.

    It does when none of its features is a number, or when its label isn't one although the
    labels of all other lines are.
    """
    *features, label = lines[0].fields
    if features and not any(field == "" or is_number(field) for field in features):
        return True
    others = [line.fields[-1] for line in lines[1:]]
    return bool(others) and not is_number(label) and all(map(is_number, others))


def _features(line: Line, path: Path) -> list[float]:
    values = []
    for column, field in enumerate(line.fields[:-1], start=1):
        place = f"{path}, line {line.number}, column {column}"
        if not is_number(field):
            raise InputError(f"{place}: expected a number, got {field!r}")
        values.append(float(field))
        if not np.isfinite(values[-1]):
            raise InputError(f"{place}: {field!r} can't be trained on; remove or replace it")
    return values


def _text_targets(lines: Sequence[Line], path: Path) -> Targets:
    labels = [line.fields[-1] for line in lines]
    for line, label in zip(lines, labels, strict=True):
        if not label:
            raise InputError(f"{path}, line {line.number}: the label, the last column, is empty")
    if not all(map(is_number, labels)):
        return _classes(np.array(labels), path)
    values = np.array(labels, dtype=np.float64)
    for line, value in zip(lines, values, strict=True):
        if not np.isfinite(value):
            raise InputError(f"{path}, line {line.number}: the label is {value}, not a number")
    return _number_targets(values, path)


def _number_targets(values: np.ndarray, path: Path) -> Targets:
    """Understand finite numbers (N,) as classes or as values, by the rule above."""
    if np.any(values != np.floor(values)):
        return Targets("regression", values[:, None].astype(np.float64))
    distinct = len(np.unique(values))
    if distinct > _MANY_VALUES and 2 * distinct > len(values):
        note = f"{path}: its {distinct} different whole-number labels are taken as values to fit"
        return Targets("regression", values[:, None].astype(np.float64), note=note)
    return _classes(values, path)


def _classes(labels: np.ndarray, path: Path) -> Targets:
    found, y = np.unique(labels, return_inverse=True)
    texts = [str(v) if labels.dtype.kind in "US" else str(int(v)) for v in found]
    if len(found) < 2:
        raise InputError(
            f"{path}: every label is {texts[0]!r}; classification needs at least two classes"
        )
    return Targets("classification", y.reshape(-1).astype(np.int64), tuple(texts))


def _read_npz(path: Path) -> Source:
    x, labels = _npz_arrays(path)
    if x.ndim not in (2, 3) or x.dtype.kind not in "buif" or not x.size:
        raise InputError(
            f"{path}: expected numbers of shape (N, D) or (N, H, W) as features, "
            f"got {x.dtype} of shape {x.shape}"
        )
    if labels.ndim not in (1, 2) or labels.dtype.kind not in "buifU":
        raise InputError(
            f"{path}: expected numbers or texts of shape (N,) as labels, "
            f"got {labels.dtype} of shape {labels.shape}"
        )
    if len(x) != len(labels):
        raise InputError(f"{path}: {len(x)} rows of features but {len(labels)} labels")
    image_shape = (x.shape[1], x.shape[2]) if x.ndim == 3 else None
    pixels = image_shape is not None and x.dtype == np.uint8
    x = x.reshape(len(x), -1)
    if not pixels:
        x = x.astype(np.float64)
        _require_finite(x, "features", path)
    targets = _array_targets(labels, path)
    return Source(
        str(path),
        targets.task,
        x,
        targets.y,
        targets.class_names,
        feature_names=() if image_shape else tuple(f"x{i}" for i in range(1, x.shape[1] + 1)),
        image_shape=image_shape,
        full_scale=255.0 if pixels else None,
        note=targets.note,
    )


def _npz_arrays(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return features and labels; whatever goes wrong in a foreign archive is its fault."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            names = {name.lower(): name for name in archive.files}
            for x, y in _NPZ_NAMES:
                if x in names and y in names:
                    return archive[names[x]], archive[names[y]]
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or 'damaged'}") from error
    except Exception as error:
        raise InputError(
            f"{path}: not a whole .npz archive of numbers and texts, as numpy.savez writes it"
        ) from error
    found = ", ".join(sorted(names.values())) or "nothing"
    raise InputError(f"{path}: expected arrays x and y (or images and labels), found {found}")


def _array_targets(labels: np.ndarray, path: Path) -> Targets:
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.dtype.kind == "U":
        if labels.ndim == 2:
            raise InputError(f"{path}: text labels must have shape (N,), got {labels.shape}")
        return _classes(labels, path)
    values = labels.astype(np.float64)
    _require_finite(values.reshape(len(values), -1), "labels", path)
    if values.ndim == 1:
        return _number_targets(values, path)
    one_hot = np.isin(values, (0.0, 1.0)).all() and (values.sum(axis=1) == 1.0).all()
    return _classes(values.argmax(axis=1), path) if one_hot else Targets("regression", values)


def _require_finite(values: np.ndarray, what: str, path: Path) -> None:
    bad = ~np.isfinite(values).all(axis=1)
    if bad.any():
        raise InputError(f"{path}: the {what} of row {int(np.argmax(bad))} contain NaN or inf")
