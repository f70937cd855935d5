"""Tables whose columns are known from a training: the columns that it asks for, by its rules."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from xpmlp.data.blocks import Columns, OnNote, are_telling
from xpmlp.data.tables.columns import Column
from xpmlp.data.tables.describing import values_of
from xpmlp.data.tables.different import Different
from xpmlp.data.tables.matching import listed, match
from xpmlp.data.tables.raw import Place, RawTable
from xpmlp.data.tables.reading import stream_raw
from xpmlp.data.tables.rules import ColumnRule
from xpmlp.data.tables.typed import read_as, typed_columns
from xpmlp.errors import InputError


class Known(NamedTuple):
    """What a model takes.

    rules: of each of its columns. columns: their count and names. label: the names of what it
    learnt, which a table may have too. gaps: whether entries may be missing.
    """

    rules: Sequence[ColumnRule]
    columns: Columns
    label: tuple[str, ...] = ()
    gaps: bool = True

    @classmethod
    def numbers(cls, columns: Columns) -> "Known":
        """Return that of a model which was trained on a matrix without gaps."""
        names = columns.names or tuple(f"x{i}" for i in range(1, columns.width + 1))
        return cls([ColumnRule(name, "number", "plain") for name in names], columns, gaps=False)


class Piece(NamedTuple):
    """Some consecutive rows of a table: the columns that were asked for, in their order."""

    columns: list[Column]
    place: Place


def stream_known(
    table: Any, known: Known, rows: int, on_note: OnNote, header: bool | None = None
) -> Iterator[Piece]:
    """Yield the rows of a table, up to `rows` at a time.

    on_note: is called with what a person should know. header: as of `read_raw`.
    Raises InputError, with the place, for columns that are not there and entries that don't fit
    their rule.
    """
    order: list[int] = []
    for number, raw in enumerate(
        stream_raw(table, rows=rows, header=header, known=known.columns.names)
    ):
        notes = raw.notes
        if number == 0:
            order, more = match(raw, known.columns, known.label)
            notes = (*notes, *more)
        for note in notes:
            on_note(note)
        yield Piece(read_known(raw, order, known), raw.place)


def read_known(raw: RawTable, order: Sequence[int], known: Known) -> list[Column]:
    """Return the columns that were asked for. Raises InputError as `stream_known` does."""
    columns = [
        read_as(rule.name, rule.kind, rule.notation, rule.levels, raw.columns[place], raw.place)
        for rule, place in zip(known.rules, order, strict=True)
    ]
    if not known.gaps:
        for column in columns:
            if column.missing.any():
                where = raw.place(int(np.argmax(column.missing)))
                raise InputError(
                    f"{where}, column {column.name!r}: the entry is missing, and the model was "
                    "trained on rows without gaps"
                )
    return columns


def label_places(raw: RawTable, order: Sequence[int], label: Sequence[str]) -> list[int]:
    """Return the places of the labels of a table: by their names, else what the features leave.

    Raises InputError where there are none.
    """
    if label and {*label} <= {*raw.names}:
        return [raw.names.index(name) for name in label]
    rest = [place for place in range(len(raw.names)) if place not in order]
    number = max(1, len(label))
    if len(rest) < number or (raw.header and label and are_telling(raw.names)):
        wanted = listed(label) if label else "a label behind the features"
        raise InputError(f"{raw.origin}: expected {wanted} to compare with; predict needs none")
    return rest[-number:]


def read_classes(
    raw: RawTable, place: int, class_names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes (M,), int64, of the rows that have a label, and which these are, (N,).

    A label is the class of its name, or of the same number. Raises InputError for others.
    """
    different = Different.of(raw.names[place], raw.columns[place], raw.place)
    texts = different.texts.to_pylist()
    by_name = {name: i for i, name in enumerate(class_names)}
    by_number = {_number(name): i for i, name in enumerate(class_names)}
    found = [by_name.get(text, by_number.get(_number(text))) for text in texts]
    unknown = [text for text, i in zip(texts, found, strict=True) if i is None]
    if unknown:
        raise InputError(
            f"{raw.origin} has {len(unknown)} label{'s' * (len(unknown) > 1)} that the model "
            f"doesn't know: {listed(unknown)}; its {len(class_names)} classes are "
            f"{listed(class_names)}"
        )
    keep = different.places >= 0
    return np.array(found, dtype=np.int64)[different.places[keep]], keep


def read_values(
    raw: RawTable, places: Sequence[int], on_note: OnNote
) -> tuple[np.ndarray, np.ndarray]:
    """Return the values (M, O), float64, of the rows that have them all, and which these are, (N,).

    They are read as a training reads labels. on_note: is called with what was assumed of commas
    and points. Raises InputError, with the place, for an entry that is no number.
    """
    typed = typed_columns(raw, places, labels=places)
    columns = [typed[place] for place in places]
    for column in columns:
        if column.note:
            on_note(f"{raw.origin}: {column.note}")
        if column.kind not in ("number", "yes/no"):
            raise InputError(
                f"the model predicts values, and column {column.name!r} of {raw.origin} holds "
                f"none: {values_of(column)}"
            )
    y = np.stack([column.values for column in columns], axis=1)
    keep = ~np.isnan(y).any(axis=1)
    return y[keep], keep


def _number(text: str) -> float | str:
    """Return a text as the number that it is, else as it is."""
    try:
        return float(text)
    except ValueError:
        return text
