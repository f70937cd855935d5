"""Tables whose columns are known from a training: the columns that it asks for, by its rules."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from xpmlp.data.blocks import Columns, OnNote
from xpmlp.data.tables.columns import Column
from xpmlp.data.tables.matching import match
from xpmlp.data.tables.preparing import ColumnRule
from xpmlp.data.tables.raw import Place, RawTable
from xpmlp.data.tables.reading import stream_raw
from xpmlp.data.tables.typed import read_as
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


def stream_known(table: Any, known: Known, rows: int, on_note: OnNote) -> Iterator[Piece]:
    """Yield the rows of a table, up to `rows` at a time.

    on_note: is called with what a person should know. Raises InputError, with the place, for
    columns that are not there and entries that don't fit their rule.
    """
    order: list[int] = []
    for number, raw in enumerate(stream_raw(table, rows=rows, known=known.columns.names)):
        if number == 0:
            order, notes = match(raw, known.columns, known.label)
            for note in [*raw.notes, *notes]:
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
