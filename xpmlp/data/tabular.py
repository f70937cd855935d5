"""Tables of your own: `.csv` and `.dat` text and `.npz` archives, features first, label last.

What the last column means: texts are classes; numbers that aren't whole are values to regress
on; whole numbers are classes, unless more than 50 of them differ and these are more than half
as many as the rows, when they are values too. Classes are sorted, numbers by value.
"""

from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from xpmlp.data.archives import read_archive
from xpmlp.data.array_targets import Targets, classes, number_targets
from xpmlp.data.source import Source
from xpmlp.data.text import ENCODING, Line, is_number, split_lines
from xpmlp.errors import InputError

SUFFIXES = (".csv", ".dat", ".npz")


def read_table(path: str | Path, task: str | None = None) -> Source:
    """Read a `.csv`, `.dat` or `.npz` file.

    Text is UTF-8, separated by commas, semicolons, tabs or blanks, whichever the first line
    shows, with or without a header; empty lines and lines that start with # are skipped.
    Archives are those of `read_archive`, which heeds `task`.

    Raises InputError, naming the file and the line, for anything that can't be trained on.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: expected a file that ends in {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    return read_archive(path, task) if path.suffix.lower() == ".npz" else _read_text(path)


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
        return classes(np.array(labels), path)
    values = np.array(labels, dtype=np.float64)
    for line, value in zip(lines, values, strict=True):
        if not np.isfinite(value):
            raise InputError(f"{path}, line {line.number}: the label is {value}, not a number")
    return number_targets(values, path)
