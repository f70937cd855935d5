"""A table as its file has it, before its columns have types."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

Place = Callable[[int], str]


@dataclass(frozen=True)
class RawTable:
    """Columns as Arrow has them.

    origin: how messages call the table: its path as given, or `the table`.
    names: one for each column, all different; `column 3` where the file names none.
    columns: of a text file all of type string, stripped of blanks, null where the entry is a
        spelling of a missing value (those of fractions float64 where asked for); else of the
        types of the file.
    unnamed: places, from 0, of the columns that have no name in a file with a header.
    header: whether the names come from the file.
    layout: what was found of the form, in words, as `separated by semicolons`.
    notes: lines that a person should see.
    place: tells where a row, counted from 0, stands: `adult.csv, line 12`.
    """

    origin: str
    names: tuple[str, ...]
    columns: "tuple[pa.ChunkedArray, ...]"
    unnamed: frozenset[int]
    header: bool
    layout: str
    notes: tuple[str, ...]
    place: Place

    def __len__(self) -> int:
        return len(self.columns[0]) if self.columns else 0
