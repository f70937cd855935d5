"""Tables that have types already: Parquet and Arrow files, and those of other libraries."""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import ipc, parquet
from pyarrow import types as kinds

from xpmlp.data.tables.entries import with_nulls
from xpmlp.data.tables.header import names_of
from xpmlp.data.tables.raw import Place, RawTable
from xpmlp.data.unpacking import require_justified
from xpmlp.errors import InputError

_ARROW_MARK, _FEATHER_1_MARK = b"ARROW1", b"FEA1"
_BUFFER_BYTES = 1 << 16  # else each group of rows is in memory as a whole
_SMALL_FILE = 1 << 24  # which is read so: a buffer is as large as a page says that it is
_TEXTS = (
    kinds.is_string,
    kinds.is_large_string,
    kinds.is_string_view,
    kinds.is_binary,
    kinds.is_large_binary,
    kinds.is_binary_view,
)
_OTHERS = (
    kinds.is_boolean,
    kinds.is_integer,
    kinds.is_floating,
    kinds.is_decimal,
    kinds.is_date,
    kinds.is_timestamp,
    kinds.is_time,
    kinds.is_duration,
    kinds.is_null,
)


def parquet_tables(path: str, rows: int, max_unpacked: float | None = None) -> Iterator[RawTable]:
    """Yield the rows of a Parquet file, up to `rows` at a time.

    max_unpacked: GiB, as of `load_dataset`; None: all that there is.
    Raises InputError for a file that isn't whole, or a column that can't be used.
    """
    buffer = _BUFFER_BYTES if Path(path).stat().st_size > _SMALL_FILE else 0
    options = {"pre_buffer": False, "buffer_size": buffer}
    with _reading(path, "Parquet"), parquet.ParquetFile(path, **options) as file:
        if max_unpacked:
            require_justified(path, _unpacked(file.metadata), max_unpacked)
        batches = (pa.Table.from_batches([batch]) for batch in file.iter_batches(rows))
        yield from _raw(file.schema_arrow, batches, path, "Parquet")


def _unpacked(about: parquet.FileMetaData) -> int:
    groups = (about.row_group(i) for i in range(about.num_row_groups))
    return sum(group.total_byte_size for group in groups)


def arrow_tables(path: str) -> Iterator[RawTable]:
    """Yield the batches of an Arrow file, as Feather's second version, or a stream of Arrow.

    Raises InputError for a file that isn't whole, or a column that can't be used.
    """
    with _reading(path, "Arrow"), pa.OSFile(path) as file:
        mark = file.read(len(_ARROW_MARK))
        if mark.startswith(_FEATHER_1_MARK):
            raise InputError(f"{path}: Feather's first version; write it again with a newer pandas")
        file.seek(0)
        reader = ipc.open_file(file) if mark == _ARROW_MARK else ipc.open_stream(file)
        yield from _raw(reader.schema, _sound_batches(reader), path, "Arrow")


def frame_tables(frame: Any, name: str) -> Iterator[RawTable]:
    """Yield a table of pandas, polars, pyarrow or whatever has Arrow's PyCapsule interface.

    Raises InputError for anything else, and for a column that can't be used.
    """
    kind = type(frame).__name__
    if not (hasattr(frame, "__arrow_c_stream__") or hasattr(frame, "__arrow_c_array__")):
        hint = "; call its collect() first" if hasattr(frame, "collect") else ""
        if hasattr(frame, "shape") or isinstance(frame, list | tuple):
            hint = "; xpmlp.Dataset.from_arrays(x, y) takes arrays and lists"
        raise InputError(
            f"expected a path or a table of pandas, polars or pyarrow, got a {kind}{hint}"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table = pa.table(frame)
    except (pa.ArrowException, ValueError, TypeError) as error:
        hint = "; its to_frame() is a table" if hasattr(frame, "to_frame") else ""
        reason = ": ".join(str(part) for part in reversed(error.args))
        raise InputError(f"{name}: a {kind} that is no table{hint} ({reason})") from error
    module = type(frame).__module__.partition(".")[0]
    yield from _raw(table.schema, [table], name, f"table of {module}")


def _raw(
    schema: pa.Schema, tables: Iterable[pa.Table], name: str, layout: str
) -> Iterator[RawTable]:
    """Yield consecutive tables of one schema as raw ones, without the index of pandas."""
    index = _index_columns(schema)
    places = [place for place, column in enumerate(schema.names) if column not in index]
    for place in places:
        _require_usable(schema.field(place), name)
    names = names_of([schema.names[place] for place in places])
    notes = tuple(f"{name}: {note}" for note in (*names.notes, *_index_notes(index)))
    start = 1
    for table in tables:
        yield RawTable(
            origin=name,
            names=names.names,
            columns=tuple(_plain(table.column(place), name) for place in places),
            unnamed=names.unnamed,
            header=True,
            layout=layout,
            notes=notes,
            place=_place(name, start),
        )
        start += len(table)
        notes = ()


def _place(name: str, start: int) -> Place:
    return lambda row: f"{name}, row {start + row}"


def _index_columns(schema: pa.Schema) -> list[str]:
    """Return the names of the columns that are the index of a table of pandas."""
    index = (schema.pandas_metadata or {}).get("index_columns", [])
    return [one for one in index if isinstance(one, str) and one in schema.names]


def _index_notes(index: list[str]) -> list[str]:
    if not index:
        return []
    named = ", ".join(repr(one) for one in index if not one.startswith("__index_level_"))
    return [
        f"its index{f', {named},' if named else ''} is left out; reset_index() in pandas keeps it "
        "as a column"
    ]


def _require_usable(field: pa.Field, name: str) -> None:
    kind = _decoded(field.type)
    if not any(is_kind(kind) for is_kind in (*_TEXTS, *_OTHERS)):
        raise InputError(
            f"{name}, column {field.name!r}: expected numbers, texts, dates or yes/no, got "
            f"{field.type}; save the table without this column, or with its parts as columns"
        )


def _decoded(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if kinds.is_dictionary(kind) else kind


def _plain(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Decode a dictionary; make texts strings without blanks around them, null where missing.

    Times are in UTC, as they are stored: their zone may be one that nobody here knows.
    """
    kind = _decoded(column.type)
    is_text = any(is_kind(kind) for is_kind in _TEXTS)
    if is_text:
        kind = pa.string()
    elif kinds.is_timestamp(kind):
        kind = pa.timestamp(kind.unit)

    def plain(values: pa.Array) -> pa.Array:
        return with_nulls(values.cast(kind)) if is_text else values.cast(kind)

    try:
        chunks = [
            plain(chunk.dictionary).take(chunk.indices)
            if kinds.is_dictionary(column.type)
            else plain(chunk)
            for chunk in column.chunks
        ]
    except pa.ArrowInvalid as error:
        raise InputError(f"{name}: expected UTF-8 texts, got other bytes ({error})") from error
    return pa.chunked_array(chunks, kind)


def _sound_batches(reader: Any) -> Iterator[pa.Table]:
    """Yield the batches of an Arrow file or stream, whose bytes are not to be trusted."""
    in_order = isinstance(reader, ipc.RecordBatchStreamReader)
    count = 0 if in_order else reader.num_record_batches
    for batch in reader if in_order else map(reader.get_batch, range(count)):
        batch.validate(full=True)
        yield pa.Table.from_batches([batch])


@contextmanager
def _reading(path: str, kind: str) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: not a whole {kind} file ({reason})") from error
