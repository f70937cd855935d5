"""Tables as they are: from text, Parquet and Arrow files, and from other libraries' tables."""

from bisect import bisect_right
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from xpmlp.data.blocks import STDIN, shown
from xpmlp.data.tables.arrow_tables import arrow_tables, frame_tables, parquet_tables
from xpmlp.data.tables.endings import ARROW, PACKED, PARQUET, TEXT
from xpmlp.data.tables.raw import Place, RawTable
from xpmlp.data.tables.text_tables import text_tables
from xpmlp.data.unpacking import USUAL_GIB, require_justified
from xpmlp.errors import InputError

_STREAMED_BYTES = 1 << 20
_READ_BYTES = 1 << 22
_READ_ROWS = 1 << 17


class _Manner(NamedTuple):
    """How to read: as `read_raw` says; in chunks of some `size` bytes, or of up to `rows` rows.

    ahead: whether several chunks are read at once. max_unpacked: GiB, as of `load_dataset`, of
    what is held whole; None: of what is not.
    """

    size: int
    rows: int
    header: bool | None
    known: Sequence[str]
    fractions: bool = False
    ahead: bool = False
    max_unpacked: float | None = None


def read_raw(
    source: Any,
    *,
    header: bool | None = None,
    known: Sequence[str] = (),
    fractions: bool = False,
    max_unpacked: float = USUAL_GIB,
) -> RawTable:
    """Read a whole table.

    source: the path of a text file (.csv .tsv .txt .dat .data, packed by gzip or zstd or not),
        of Parquet (.parquet .pq) or Arrow (.feather .arrow .ipc); `-` for text from standard
        input; or a table of pandas (without its index), polars, pyarrow or whatever else has
        Arrow's PyCapsule interface.
    header: whether the first line of a text names the columns; None: by what stands below it.
    known: names that make a line a header where header is None.
    fractions: read columns of text files that only have numbers with a point, and not only whole
        ones, as float64: faster, in less memory, but 1.50 is no longer told from 1.5.
    max_unpacked: as of `load_dataset`.

    Raises InputError, with the file and mostly the line, for what can't be read.
    """
    manner = _Manner(_READ_BYTES, _READ_ROWS, header, known, fractions, True, max_unpacked)
    pieces = list(_pieces(source, manner))
    if any(len({*map(_type, parts)}) > 1 for parts in _by_column(pieces)):
        pieces = list(_pieces(source, manner._replace(fractions=False)))
    return _together(pieces)


def read_first(source: Any, rows: int, *, header: bool | None = None) -> RawTable:
    """Read so many rows of a table from its begin, or a few more, as `stream_raw` does."""
    pieces: list[RawTable] = []
    with closing(stream_raw(source, rows=rows, header=header)) as all_pieces:
        for piece in all_pieces:
            pieces.append(piece)
            if sum(map(len, pieces)) >= rows:
                break
    return _together(pieces)


def _together(pieces: Sequence[RawTable]) -> RawTable:
    """Return pieces, one below the other, as one table."""
    columns = (
        pa.chunked_array([chunk for part in parts for chunk in part.chunks], parts[0].type)
        for parts in _by_column(pieces)
    )
    notes = tuple(note for piece in pieces for note in piece.notes)
    return replace(pieces[0], columns=tuple(columns), notes=notes, place=_place_in(pieces))


def stream_raw(
    source: Any, *, rows: int, header: bool | None = None, known: Sequence[str] = ()
) -> Generator[RawTable, None, None]:
    """Yield a table, read as by `read_raw`, in pieces of 1 to `rows` rows, in order.

    Memory doesn't grow with a file. From standard input rows come as soon as they are there.
    A piece has the notes that it gives rise to, the first those of the whole.
    """
    for piece in _pieces(source, _Manner(_STREAMED_BYTES, rows, header, known)):
        for start in range(0, len(piece), rows):
            yield _sliced(piece, start, rows)


def _pieces(source: Any, manner: _Manner) -> Iterator[RawTable]:
    """Yield pieces of at least one row."""
    name = shown(str(source)) if isinstance(source, str | Path) else "the table"
    rows = size = 0
    packed = isinstance(source, str | Path) and name == str(source)
    for piece in _tables(source, name, manner):
        size += sum(column.nbytes for column in piece.columns)
        if packed and manner.max_unpacked:
            require_justified(name, size, manner.max_unpacked)
        rows += len(piece)
        if len(piece):
            yield piece
    if not rows:
        raise InputError(f"{name}: holds no rows")


def _tables(source: Any, name: str, manner: _Manner) -> Iterator[RawTable]:
    """Choose the reader that the source asks for."""
    if not isinstance(source, str | Path):
        return frame_tables(source, name)
    if str(source) == STDIN:
        return text_tables(STDIN, manner.size, manner.header, manner.known)
    path = Path(source)
    _require_file(path)
    lower = path.name.lower()
    if lower.endswith(PARQUET):
        return parquet_tables(name, manner.rows, manner.max_unpacked)
    if lower.endswith(ARROW):
        return arrow_tables(name)
    for ending in PACKED:
        lower = lower.removesuffix(ending)
    if not lower.endswith(TEXT):
        endings = ", ".join((*TEXT, *PARQUET, *ARROW))
        raise InputError(
            f"{name}: expected a file that ends in {endings}, the texts also with "
            f"{' or '.join(PACKED)} behind; text of another name can come through - (a pipe)"
        )
    return text_tables(
        name, manner.size, manner.header, manner.known, manner.fractions, manner.ahead
    )


def _by_column(pieces: Sequence[RawTable]) -> Iterator[tuple[pa.ChunkedArray, ...]]:
    return zip(*(piece.columns for piece in pieces), strict=True)


def _type(column: pa.ChunkedArray) -> pa.DataType:
    return column.type


def _require_file(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"{path}: this is a folder; name a file in it")
    if not path.exists():
        raise InputError(f"{path}: there is no such file")


def _sliced(piece: RawTable, start: int, rows: int) -> RawTable:
    return replace(
        piece,
        columns=tuple(column.slice(start, rows) for column in piece.columns),
        notes=piece.notes if start == 0 else (),
        place=lambda row: piece.place(start + row),
    )


def _place_in(pieces: Sequence[RawTable]) -> Place:
    """Return the place of a row of all pieces together."""
    places = [piece.place for piece in pieces]
    starts = list(accumulate(map(len, pieces), initial=0))

    def place(row: int) -> str:
        part = bisect_right(starts, row) - 1
        return places[part](row - starts[part])

    return place
