"""Rows of `.csv` and `.dat` text in blocks, line by line, with or without a header and a label.

The format is that of `xpmlp.data.tabular`, from which one trains; here the label may be missing.
"""

import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from xpmlp.data.blocks import STDIN, Block, Columns, OnNote, are_telling, shown
from xpmlp.data.idx import opened
from xpmlp.data.text import ENCODING, Line, is_number, split_lines
from xpmlp.errors import InputError

_SHOWN = 40


class Layout(NamedTuple):
    """What the first line tells: whether it is a header, and which fields a row has.

    fields: how many each line has. order: the place of each feature, None for that of the file.
    """

    is_header: bool
    fields: int
    order: list[int] | None = None


def text_blocks(path: str, columns: Columns, batch_rows: int, on_note: OnNote) -> Iterator[Block]:
    """Yield the rows of a text file, gzipped or not, or of standard input, float64.

    Raises InputError, naming the line, for anything but the wanted columns, in any order where
    a header names them, with or without a label as the last.
    """
    name = shown(path)
    with _opened_text(path, name) as texts:
        lines = split_lines(texts, name, columns.names)
        first = next(lines, None)
        if first is None:
            return
        layout = _layout(first.fields, columns, name, on_note)
        rows = lines if layout.is_header else chain([first], lines)
        while chunk := list(islice(rows, batch_rows)):
            x = np.array([_values(line, layout.fields, columns.width, name) for line in chunk])
            yield Block(
                x if layout.order is None else x[:, layout.order],
                name,
                "line",
                [line.number for line in chunk],
            )


@contextmanager
def _opened_text(path: str, name: str) -> Iterator[Iterable[str]]:
    try:
        if path != STDIN:
            with opened(Path(path)) as stream:
                yield io.TextIOWrapper(stream, encoding=ENCODING)
        elif sys.stdin is None:
            raise InputError("standard input is closed")
        else:
            with open(sys.stdin.fileno(), encoding=ENCODING, closefd=False) as file:
                yield file
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: not a UTF-8 text file ({error.reason})") from error


def _layout(fields: list[str], columns: Columns, name: str, on_note: OnNote) -> Layout:
    """Understand the first line; raise InputError where it doesn't have the wanted columns."""
    names = fields if _is_header(fields, columns) else []
    if len(fields) - columns.width not in (0, 1):
        known = names and are_telling(columns.names)
        lacking = [f"{n!r}" for n in columns.names if n not in names] if known else []
        detail = f"; it lacks {_listed(lacking)}" if lacking else ""
        found = f"{len(fields)} column{'s' if len(fields) > 1 else ''}"
        raise InputError(f"{name} has {found}, {columns.wanted()}{detail}")
    order = _order(names, columns, name, on_note) if names else None
    if len(fields) > columns.width:
        label = f"last column, {names[-1]!r}," if names else "last column"
        on_note(f"{name}: its {label} is taken as the label and ignored")
    return Layout(bool(names), len(fields), order)


def _is_header(fields: list[str], columns: Columns) -> bool:
    """Tell whether the first line names columns.

    It does when it starts with the names that are wanted, when none of its features is a
    number, or when one isn't and all wanted names are there.
    """
    features = fields[: columns.width]
    texts = [field != "" and not is_number(field) for field in features]
    named = bool(columns.names) and {*columns.names} <= {*fields}
    return tuple(features) == columns.names or all(texts) or (named and any(texts))


def _order(names: list[str], columns: Columns, name: str, on_note: OnNote) -> list[int] | None:
    """Return the place of each wanted column in the file, None where they stand in order."""
    features, wanted = names[: columns.width], columns.names
    if not wanted or tuple(features) == wanted:
        return None
    if sorted(features) == sorted(wanted) and len({*wanted}) == len(wanted):
        on_note(f"{name}: its columns stand in another order and were matched by their names")
        return [features.index(one) for one in wanted]
    if not are_telling(wanted) and not {*names} & {*wanted}:
        on_note(
            f"{name}: the model was trained on columns without names, so these are taken in "
            f"their order: {_listed(features)}"
        )
        return None
    missing = [f"{one!r}" for one in wanted if one not in names]
    unknown = [f"{one!r}" for one in names if one not in wanted]
    wrong = [f"lacks {_listed(missing)}"] if missing else []
    wrong += [f"has {_listed(unknown)}, which the model doesn't know"] if unknown else []
    end = "" if missing else "; only a label may be added, as the last column"
    raise InputError(f"{name} {' and '.join(wrong or ['names a column twice'])}{end}")


def _values(line: Line, expected: int, width: int, name: str) -> list[float]:
    """Return the features of a line."""
    if len(line.fields) != expected:
        raise InputError(
            f"{name}, line {line.number}: expected {expected} columns, got {len(line.fields)}"
        )
    fields = line.fields[:width]
    try:
        if "_" not in "".join(fields):
            return list(map(float, fields))
    except ValueError:
        pass
    column = next(i for i, field in enumerate(fields) if not is_number(field))
    raise InputError(
        f"{name}, line {line.number}, column {column + 1}: expected a number, "
        f"got {_shortened(fields[column])!r}"
    )


def _listed(names: Sequence[str], most: int = 6) -> str:
    """Return names, the first few of many, in one line."""
    text = ", ".join(_shortened(name) for name in names[:most])
    return text if len(names) <= most else f"{text} and {len(names) - most} more"


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
