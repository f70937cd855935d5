"""Text tables in pieces: their form is found in the first lines, then chunk by chunk is read."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from xpmlp.data.blocks import shown
from xpmlp.data.tables.ahead import answers
from xpmlp.data.tables.header import (
    Names,
    Verdict,
    has_names,
    is_header,
    names_of,
    numbered,
    speaks_for_itself,
)
from xpmlp.data.tables.layout import BLANK, Layout, first_lines, fraction_columns, judged
from xpmlp.data.tables.parsing import Parsed, parsed, without_first_row
from xpmlp.data.tables.raw import Place, RawTable
from xpmlp.data.tables.text import LONGEST_ROW, Chunk, chunks, opened, rows_of
from xpmlp.errors import InputError

_NO_ENTRY = b' \t\n"'
_EMPTY = (
    "{}, line {}: an empty line is no row, there and further on; in a single column write NA for "
    "an entry that is missing"
)


def text_tables(
    path: str,
    size: int,
    header: bool | None,
    known: Sequence[str],
    fractions: bool = False,
    ahead: bool = False,
) -> Iterator[RawTable]:
    """Yield the rows of a text file, or of standard input, read in chunks of some `size` bytes.

    header, known, fractions: as of `read_raw`; but a chunk in which an entry of a column of
    fractions is no number has texts there. ahead: whether several chunks are read at once.

    Raises InputError, naming the line, for what can't be read as a table.
    """
    name = shown(path)
    with opened(path, size) as pieces:
        head, lines = _head(pieces, header, name)
        if not lines:
            return
        layout = judged(lines)
        if not layout.width:
            raise InputError(f"{name}: its lines are too long to find what separates the columns")
        found, notes = _header(layout, header, known)
        names = found or numbered(layout.width)
        table = RawTable(
            origin=name,
            names=names.names,
            columns=(),
            unnamed=names.unnamed,
            header=found is not None,
            layout=layout.words,
            notes=tuple(f"{name}: {note}" for note in (*notes, *names.notes)),
            place=str,
        )
        numbers = fraction_columns(layout) if fractions else frozenset()

        def read(chunk: Chunk) -> tuple[Parsed, list[int]]:
            return parsed(chunk, layout, name, numbers), _empty_lines(chunk, layout)

        found_chunks = _behind_header(chain([head], pieces), layout, name, header=table.header)
        empty: list[int] = []
        is_told = False
        for (columns, places), more in (answers if ahead else map)(read, found_chunks):
            empty += more
            if len(places):
                if not is_told and empty and empty[0] < places[-1]:
                    is_told = True
                    table = replace(table, notes=(*table.notes, _EMPTY.format(name, empty[0])))
                yield replace(table, columns=tuple(columns), place=_place(name, places))
                table = replace(table, notes=())


def _head(pieces: Iterator[bytes], header: bool | None, name: str) -> tuple[bytes, list[str]]:
    """Take as many bytes as tell the form, and return them and the lines that they hold.

    These are two lines; a single one where it is a row whatever follows, for a pipe may stay
    open behind it.
    """
    head = b""
    for piece in pieces:
        head += piece
        lines = first_lines(head, complete=False)
        if len(lines) > 1 or (lines and (header is False or _is_row(lines))):
            return head, lines
        if len(head) > LONGEST_ROW:
            raise InputError(f"{name}: a line of more than {LONGEST_ROW:,} bytes is no row")
    return head, first_lines(head, complete=True)


def _is_row(lines: Sequence[str]) -> bool:
    return speaks_for_itself(judged(lines).first)


def _header(
    layout: Layout, header: bool | None, known: Sequence[str]
) -> tuple[Names | None, tuple[str, ...]]:
    """Return the names in the first line, None where it is a row, and notes.

    A line with too many or too few entries goes to the reader as a row, which makes it an error.
    """
    first = _completed(layout)
    if len(first) != layout.width or header is False:
        return None, ()
    verdict = Verdict(header=True)
    if header is None and not has_names(first, known):
        verdict = is_header(first, layout.below)
    doubt = [verdict.note] if verdict.note and not known else []
    if not verdict.header:
        return None, tuple(doubt)
    notes = [*doubt]
    if len(layout.first) < layout.width:
        place = 1 if first[0] == "" else layout.width
        notes.append(f"its header has one name too few; column {place} is taken as the nameless")
    return names_of(first), tuple(notes)


def _completed(layout: Layout) -> list[str]:
    """Return the first line with an empty name more where it lacks one.

    Separators at the ends of the lines make the last column, with nothing in it; R gives no name
    to its names of rows, all different, in the first.
    """
    if len(layout.first) + 1 != layout.width:
        return layout.first
    rows = [row for row in layout.below if len(row) == layout.width]
    if not any(row[-1] for row in rows):
        return [*layout.first, ""]
    if len({row[0] for row in rows}) < len(rows) or is_header(rows[0], rows[1:]).header:
        return layout.first
    return ["", *layout.first]


def _behind_header(
    pieces: Iterator[bytes], layout: Layout, name: str, *, header: bool
) -> Iterator[Chunk]:
    """Yield whole rows, without the header where there is one."""
    if layout.separator == BLANK:
        pieces = (piece.replace(b"\t", b" ") for piece in pieces)
    for chunk in chunks(pieces, layout.separator.encode(), name):
        rows = without_first_row(chunk, layout, name) if header else chunk
        if rows is not None:
            header = False
            yield rows


def _empty_lines(chunk: Chunk, layout: Layout) -> list[int]:
    """Return the lines of a single column that have nothing, where an entry may be missing."""
    if layout.width > 1:
        return []
    rows = rows_of(chunk, layout.separator.encode())
    begins = np.isin(
        np.frombuffer(chunk.data, np.uint8)[rows.starts], np.frombuffer(_NO_ENTRY, "B")
    )
    return [
        int(rows.lines[row])
        for row in np.flatnonzero(begins)
        if not chunk.data[rows.starts[row] : rows.ends[row]].strip(_NO_ENTRY)
    ]


def _place(name: str, lines: Sequence[int] | np.ndarray) -> Place:
    return lambda row: f"{name}, line {lines[row]}"
