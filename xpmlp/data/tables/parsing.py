"""Rows of text into columns of texts: by pyarrow, and by Python's csv where that must judge."""

import csv
import re
from collections.abc import Iterator, Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from xpmlp.data.tables.entries import stripped
from xpmlp.data.tables.layout import BLANK, Layout, is_content, split_rows
from xpmlp.data.tables.notation import MISSING
from xpmlp.data.tables.text import Chunk, rows_of
from xpmlp.errors import InputError

_COMMENT_LINE = re.compile(rb"^[ \t]*#", re.MULTILINE)
_NULLS = (*MISSING, *(f" {text}" for text in MISSING))  # pyarrow compares before it strips
_BLOCK_BYTES = 1 << 22
_COLUMN_BYTES = 1 << 13


class Parsed(NamedTuple):
    """Columns of texts, stripped, null where missing, and the line that each row starts at."""

    columns: list[pa.ChunkedArray]
    lines: Sequence[int] | np.ndarray


def parsed(
    chunk: Chunk, layout: Layout, name: str, numbers: frozenset[int] = frozenset()
) -> Parsed:
    """Read the rows of a chunk; lines that are empty, comments or only separators are none.

    numbers: the places of columns to read as float64 where pyarrow can.

    Raises InputError, naming the line, for another number of columns than the layout's, and for
    what is not UTF-8.
    """
    found = _parsed_by_arrow(chunk, layout, numbers) if numbers else None
    found = found or _parsed_by_arrow(chunk, layout, frozenset())
    return found or _parsed_with_care(chunk, layout, name)


def without_first_row(chunk: Chunk, layout: Layout, name: str) -> Chunk | None:
    """Leave out the first row and the lines before it; return None where there is no row."""
    for _, _, end in _contents(chunk, layout, name):
        return chunk.behind(end)
    return None


def _parsed_by_arrow(chunk: Chunk, layout: Layout, numbers: frozenset[int]) -> Parsed | None:
    """Read rows fast; return None where pyarrow refuses them or would read them otherwise."""
    separator = layout.separator.encode()
    if _needs_care(chunk.data, separator):
        return None
    if layout.separator == BLANK:
        chunk = chunk._replace(data=_squeezed(chunk.data))
    rows = rows_of(chunk, separator) if b'"' in chunk.data else None
    try:
        several_lines = rows is not None and len(rows.lines) < chunk.lines
        table = _read_csv(chunk.data, layout, numbers, several_lines=several_lines)
    except pa.ArrowInvalid:
        return None
    columns = table.columns
    if _may_have_blanks(chunk.data, layout.separator):
        columns = [
            column if place in numbers else stripped(column) for place, column in enumerate(columns)
        ]
    if _has_empty_row(columns):
        return None
    if len(table) == chunk.lines:
        return Parsed(columns, range(chunk.line, chunk.line + chunk.lines))
    rows = rows or rows_of(chunk, separator)
    lines = rows.lines[rows.ends > rows.starts]
    return Parsed(columns, lines) if len(lines) == len(table) else None


def _needs_care(data: bytes, separator: bytes) -> bool:
    """Look for comments, and for quotes that open where pyarrow sees none: after blanks."""
    if b"#" in data and _COMMENT_LINE.search(data):
        return True
    if b'"' not in data:
        return False
    if separator != BLANK.encode() and b' "' not in data:
        return False
    blanks = rb'(?:^|%s) +"' % re.escape(separator)
    return separator == BLANK.encode() or bool(re.search(blanks, data, re.MULTILINE))


def _may_have_blanks(data: bytes, separator: str) -> bool:
    """Tell whether there may be blanks around entries, in quotes also line ends."""
    if separator == BLANK:
        return False
    blanks = (b" ", b'"') if separator == "\t" else (b" ", b"\t", b'"')
    return not data.isascii() or any(blank in data for blank in blanks)


def _squeezed(data: bytes) -> bytes:
    """Put one blank for each run of blanks, none at the ends of lines."""
    while b"  " in data:
        data = data.replace(b"  ", b" ")
    return data.replace(b"\n ", b"\n").replace(b" \n", b"\n").removeprefix(b" ")


def _read_csv(
    data: bytes, layout: Layout, numbers: frozenset[int], *, several_lines: bool
) -> pa.Table:
    """Let pyarrow read rows as texts and numbers.

    Its own way with a signal, to stop the reading after the program's handler, is undone: where
    the handler only takes note, the reading goes on.
    """
    types = {
        str(place): pa.float64() if place in numbers else pa.string()
        for place in range(layout.width)
    }
    try:
        return arrow_csv.read_csv(
            pa.BufferReader(data),
            read_options=arrow_csv.ReadOptions(
                column_names=[*types], block_size=max(_BLOCK_BYTES, layout.width * _COLUMN_BYTES)
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=layout.separator, newlines_in_values=several_lines
            ),
            convert_options=arrow_csv.ConvertOptions(
                check_utf8=not data.isascii(),
                column_types=types,
                null_values=_NULLS,
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowCancelled:
        return _read_csv(data, layout, numbers, several_lines=several_lines)


def _has_empty_row(columns: list[pa.ChunkedArray]) -> bool:
    if not all(column.null_count for column in columns):
        return False
    return bool(pc.any(reduce(pc.and_, map(pc.is_null, columns))).as_py())


def _parsed_with_care(chunk: Chunk, layout: Layout, name: str) -> Parsed:
    """Read rows one by one."""
    lines, rows = [], []
    for line, text, _ in _contents(chunk, layout, name):
        try:
            entries = next(split_rows([text], layout.separator))
        except csv.Error as error:
            raise InputError(f"{name}, line {line}: {error}") from error
        if not any(entries):
            continue
        if len(entries) != layout.width:
            expected = f"{layout.width} column{'s' if layout.width > 1 else ''}"
            raise InputError(f"{name}, line {line}: expected {expected}, got {len(entries)}")
        lines.append(line)
        rows.append([None if entry in MISSING else entry for entry in entries])
    columns = zip(*rows, strict=True) if rows else [[]] * layout.width
    return Parsed([pa.chunked_array([column], pa.string()) for column in columns], lines)


def _contents(chunk: Chunk, layout: Layout, name: str) -> Iterator[tuple[int, str, int]]:
    """Yield line, text and end of each row that is more than blanks or a comment."""
    rows = rows_of(chunk, layout.separator.encode())
    for start, end, line in zip(*(part.tolist() for part in rows), strict=True):
        try:
            text = chunk.data[start:end].decode()
        except UnicodeDecodeError as error:
            raise InputError(
                f"{name}, line {line}: expected UTF-8 text, got other bytes; save it as UTF-8"
            ) from error
        if is_content(text):
            yield line, text, end
