"""The bytes of text tables, from files and from standard input, cut where rows end."""

import re
import select
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any, NamedTuple

import numpy as np
import pyarrow as pa

from xpmlp.data.blocks import STDIN, shown
from xpmlp.errors import InputError

LONGEST_ROW = 1 << 26

_PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_NO_TEXT = {
    b"\xff\xfe": "UTF-16; save it as UTF-8",
    b"\xfe\xff": "UTF-16; save it as UTF-8",
    b"PK\x03\x04": "a zip archive or an Excel workbook; unpack it, or save the table as CSV",
    b"\x1f\x8b": "packed; unpack it first",
    b"\x28\xb5\x2f\xfd": "packed; unpack it first",
    b"BZh": "packed by bzip2; unpack it, or use gzip or zstd",
    b"\xfd7zXZ": "packed by xz; unpack it, or use gzip or zstd",
    b"PAR1": "a Parquet file; let its name end in .parquet",
    b"ARROW1": "an Arrow file; let its name end in .arrow",
}
_EXCELS_SEPARATOR = re.compile(rb"\A\"?sep=.\"?(?=\r?\n)")
_NEWLINE, _QUOTE, _BLANK = b'\n" '
_MOST_BLANKS = 4


class Chunk(NamedTuple):
    """Whole rows, each ended by a newline; the number of their first line, from 1; how many."""

    data: bytes
    line: int
    lines: int

    def behind(self, end: int) -> "Chunk":
        """Return what follows the row that ends at an offset."""
        skipped = self.data.count(b"\n", 0, end + 1)
        return Chunk(self.data[end + 1 :], self.line + skipped, self.lines - skipped)


class Rows(NamedTuple):
    """Where the rows of a chunk start and end, without their newlines, and their lines, (N,)."""

    starts: np.ndarray
    ends: np.ndarray
    lines: np.ndarray


class _Quoted(NamedTuple):
    """Offsets of the opening and closing quotes, (K,), the last that of the end if it is open."""

    starts: np.ndarray
    ends: np.ndarray
    is_open: bool


@contextmanager
def opened(path: str, size: int) -> Iterator[Iterator[bytes]]:
    """Open a text file, packed or not, or standard input, as its bytes, `size` at a time.

    Every line end is a newline, and a mark of UTF-8 at the start is left out. From standard
    input comes what is there, as soon as anything is.

    Raises InputError for what can't be read, is damaged, or is no text.
    """
    try:
        with _stream(path) as stream:
            pieces = _arriving(stream, size) if path == STDIN else _whole(stream, size)
            yield _with_newlines(_text(pieces, shown(path)))
    except OSError as error:
        reason = error.strerror or f"damaged or cut short ({error})"
        raise InputError(f"{shown(path)}: can't be read: {reason}") from error


def chunks(pieces: Iterable[bytes], separator: bytes, name: str) -> Iterator[Chunk]:
    """Cut pieces of text at the last line end outside of quotes that each has.

    Raises InputError, naming the line, for a quote that doesn't close.
    """
    rest, line = b"", 1
    for piece in pieces:
        data = rest + piece
        cut = _last_end(data, separator)
        if cut:
            whole = data[:cut]
            lines = int(np.count_nonzero(np.frombuffer(whole, np.uint8) == _NEWLINE))
            yield Chunk(whole, line, lines)
            line += lines
        rest = data[cut:]
        if len(rest) > LONGEST_ROW:
            _require_closed(rest, line, separator, name)
            raise InputError(f"{name}, line {line}: longer than {LONGEST_ROW:,} bytes")
    if rest:
        _require_closed(rest, line, separator, name)
        yield Chunk(rest + b"\n", line, rest.count(b"\n") + 1)


def rows_of(chunk: Chunk, separator: bytes) -> Rows:
    """Find the rows of a chunk, empty ones among them; a row with quotes may have many lines."""
    newlines = _offsets(chunk.data, _NEWLINE)
    ends = _outside(newlines, _quoted(chunk.data, separator))
    starts = np.append(0, ends + 1)[:-1]
    return Rows(starts, ends, chunk.line + np.searchsorted(newlines, starts))


def _stream(path: str) -> Any:
    """Open a file, unpacking it, or standard input, for reading bytes."""
    if path == STDIN:
        if sys.stdin is None:
            raise InputError("standard input is closed")
        return open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)
    file = open(path, "rb")  # noqa: SIM115
    magic = file.peek(4)
    for mark, codec in _PACKED.items():
        if magic.startswith(mark):
            file.close()
            return pa.CompressedInputStream(path, codec)
    return file


def _whole(stream: IO[bytes], size: int) -> Iterator[bytes]:
    while piece := stream.read(size):
        yield piece


def _arriving(stream: IO[bytes], size: int) -> Iterator[bytes]:
    """Yield what a stream has, at least one byte and up to `size`, without waiting for more."""
    ended = False
    while not ended:
        gathered = bytearray()
        while not ended and len(gathered) < size and (not gathered or _has_more(stream)):
            piece = stream.read(size - len(gathered))
            ended = piece == b""
            gathered += piece or b""
        if gathered:
            yield bytes(gathered)


def _has_more(stream: IO[bytes]) -> bool:
    """Tell whether a read would return at once; on Windows that isn't known of pipes."""
    try:
        return bool(select.select([stream], [], [], 0)[0])
    except OSError:
        return False


def _text(pieces: Iterable[bytes], name: str) -> Iterator[bytes]:
    """Yield pieces of text, without a mark of UTF-8. Raises InputError where they are none."""
    for number, piece in enumerate(pieces):
        if number == 0:
            for mark, what in _NO_TEXT.items():
                if piece.startswith(mark):
                    raise InputError(f"{name}: expected UTF-8 text, but this is {what}")
        if b"\0" in piece:
            raise InputError(f"{name}: expected UTF-8 text, but this has bytes of value 0")
        yield _unmarked(piece) if number == 0 else piece


def _unmarked(start: bytes) -> bytes:
    """Leave out a mark of UTF-8, and what Excel's `sep=;` has in the first line."""
    return _EXCELS_SEPARATOR.sub(b"", start.removeprefix(_BYTE_ORDER_MARK))


def _with_newlines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    held = b""
    for piece in pieces:
        piece = held + piece
        held = b""
        if b"\r" in piece:
            held = b"\r" if piece.endswith(b"\r") else b""
            piece = piece.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        yield piece
    if held:
        yield b"\n"


def _last_end(data: bytes, separator: bytes) -> int:
    """Return the offset behind the last line end outside of quotes, 0 where there is none."""
    if b'"' not in data:
        return data.rfind(b"\n") + 1
    ends = _outside(_offsets(data, _NEWLINE), _quoted(data, separator))
    return int(ends[-1]) + 1 if len(ends) else 0


def _require_closed(data: bytes, line: int, separator: bytes, name: str) -> None:
    quoted = _quoted(data, separator)
    if quoted.is_open:
        line += data.count(b"\n", 0, int(quoted.starts[-1]))
        raise InputError(f"{name}, line {line}: the quote that opens here doesn't close")


def _offsets(data: bytes, byte: int) -> np.ndarray:
    return np.flatnonzero(np.frombuffer(data, np.uint8) == byte)


def _outside(offsets: np.ndarray, quoted: _Quoted) -> np.ndarray:
    """Return those of the offsets that are not inside quotes."""
    if not len(quoted.starts):
        return offsets
    nearest = np.searchsorted(quoted.starts, offsets) - 1
    return offsets[(nearest < 0) | (offsets > quoted.ends[nearest])]


def _quoted(data: bytes, separator: bytes) -> _Quoted:
    """Find what stands in quotes, which open only where a field starts, after blanks or not.

    Two quotes in a row inside of quotes are one of the text. Where every quote is at the edge
    of a field or beside another quote, they open and close in turn.
    """
    quotes = _offsets(data, _QUOTE)
    opening, closing = quotes[0::2], quotes[1::2]
    if len(quotes) and not _take_turns(opening, closing, data, separator):
        opening, closing = _quotes_one_by_one(data, separator)
    is_open = len(opening) > len(closing)
    return _Quoted(opening, np.append(closing, len(data)) if is_open else closing, is_open)


def _take_turns(opening: np.ndarray, closing: np.ndarray, data: bytes, separator: bytes) -> bool:
    """Tell whether quotes that would open and close do, with at most some blanks beside them."""
    around = np.frombuffer(b"\n" + data + b"\n", np.uint8)
    edges = np.frombuffer(separator + b"\n", np.uint8)
    before, after = opening.copy(), closing + 2
    for _ in range(0 if separator == b" " else _MOST_BLANKS):
        before -= around[before] == _BLANK
        after += around[after] == _BLANK
    opens = np.isin(around[before], edges) | (around[opening] == _QUOTE)
    closes = np.isin(around[after], edges) | (around[closing + 2] == _QUOTE)
    return bool(opens.all() and closes.all())


def _quotes_one_by_one(data: bytes, separator: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Find opening and closing quotes where others stand inside of fields, as in 5" pipes."""
    opens = re.compile(rb'(?:^|%s) *"' % re.escape(separator), re.MULTILINE)
    closes = re.compile(rb'[^"]*(?:""[^"]*)*"(?!")')
    opening, closing = [], []
    place = 0
    while found := opens.search(data, place):
        opening.append(found.end() - 1)
        if not (end := closes.match(data, found.end())):
            break
        place = end.end()
        closing.append(place - 1)
    return np.array(opening, dtype=np.int64), np.array(closing, dtype=np.int64)
