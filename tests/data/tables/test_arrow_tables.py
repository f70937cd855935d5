"""Tables with types: Parquet and Arrow files, and those of pandas, polars and pyarrow."""

import datetime as dt
import decimal
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import feather, parquet

from xpmlp.data.tables.reading import read_raw, stream_raw
from xpmlp.errors import InputError

TABLE = pa.table(
    {
        "n": [1, 2, None],
        "x": [0.5, float("nan"), 2.5],
        "t": [" a ", "?", "b"],
        "d": [dt.date(2024, 5, 1), None, dt.date(2024, 5, 2)],
        "yes": [True, False, None],
    }
)


def save(path, table=TABLE):
    if path.suffix in (".parquet", ".pq"):
        parquet.write_table(table, path)
    elif path.suffix == ".feather":
        feather.write_feather(table, path)
    else:
        with pa.ipc.new_stream(path, table.schema) as writer:
            writer.write_table(table)
    return path


def refused(source):
    with pytest.raises(InputError) as caught:
        read_raw(source)
    assert "\n" not in str(caught.value)
    return str(caught.value)


FILES = ["t.parquet", "t.PQ".lower(), "t.feather", "t.arrow", "t.ipc"]


@pytest.mark.parametrize("name", FILES)
def test_files_keep_their_types_and_texts_are_stripped(tmp_path, name):
    path = save(tmp_path / name)
    table = read_raw(path)
    assert table.names == ("n", "x", "t", "d", "yes")
    assert [column.type for column in table.columns] == TABLE.schema.types
    assert table.columns[2].to_pylist() == ["a", None, "b"]
    assert table.columns[0].to_pylist() == [1, 2, None]
    assert (table.header, table.unnamed, table.notes) == (True, frozenset(), ())
    assert table.layout == ("Parquet" if name in FILES[:2] else "Arrow")
    assert table.place(2) == f"{path}, row 3"


@pytest.mark.parametrize("name", FILES)
def test_pieces(tmp_path, name):
    path = save(tmp_path / name, pa.table({"n": range(7)}))
    pieces = list(stream_raw(path, rows=3))
    assert [piece.columns[0].to_pylist() for piece in pieces] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [piece.place(0) for piece in pieces] == [f"{path}, row {row}" for row in (1, 4, 7)]


@pytest.mark.parametrize("name", FILES)
def test_every_truncated_file_is_refused(tmp_path, name):
    """A stream of Arrow has no end of its own: cut between batches it is whole."""
    path = save(tmp_path / name)
    content = path.read_bytes()
    for length in range(0, len(content) - 8, 11):
        path.write_bytes(content[:length])
        message = refused(path)
        assert message.startswith(f"{path}: not a whole ") or message.endswith("holds no rows")


@given(st.data())
def test_any_change_of_bytes_is_read_or_refused(tmp_path_factory, data):
    name = data.draw(st.sampled_from(FILES))
    path = save(tmp_path_factory.mktemp("any") / name)
    content = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        read_raw(path)
    except InputError:
        refused(path)


def test_files_of_no_rows(tmp_path):
    for name in FILES:
        path = save(tmp_path / name, TABLE.slice(0, 0))
        assert refused(path) == f"{path}: holds no rows"


def test_files_that_are_something_else(tmp_path):
    path = tmp_path / "t.parquet"
    path.write_text("a,b\n1,2\n")
    assert refused(path).startswith(f"{path}: not a whole Parquet file (")
    path = tmp_path / "t.feather"
    path.write_bytes(b"FEA1....")
    assert refused(path).startswith(f"{path}: Feather's first version; write it again")


@pytest.mark.parametrize(
    ("values", "kind"),
    [([[1, 2]], "list"), ([{"a": 1}], "struct"), ([[("a", 1)]], "map")],
)
def test_columns_of_more_than_one_value_are_refused_by_name(tmp_path, values, kind):
    types = {"map": pa.map_(pa.string(), pa.int64())}
    table = pa.table({"x": [1], "where": pa.array(values, types.get(kind))})
    path = save(tmp_path / "t.parquet", table)
    for source, name in ((path, str(path)), (table, "the table")):
        message = refused(source)
        assert message.startswith(f"{name}, column 'where': expected numbers, texts, dates or ")
        assert f"got {kind}<" in message


def test_bytes_are_texts_if_they_can_be():
    assert read_raw(pa.table({"a": [b" x", b"?"]})).columns[0].to_pylist() == ["x", None]
    assert refused(pa.table({"a": [b"\xff"]})).startswith("the table: expected UTF-8 texts, got ")


def test_other_types_are_kept():
    values = {
        "decimal": [decimal.Decimal("1.5")],
        "time": [dt.datetime(2024, 5, 1, 12)],
        "nothing": [None],
        "half": np.float16([1]),
        "bytes": np.uint8([1]),
    }
    table = pa.table(values)
    assert [column.type for column in read_raw(table).columns] == table.schema.types


def test_times_of_a_zone_that_nobody_knows_are_those_of_utc():
    times = pa.array([0, None], pa.timestamp("s", "Europe/Nowhere"))
    for values in (times, times.dictionary_encode()):
        (column,) = read_raw(pa.table({"when": values})).columns
        assert column.to_pylist() == [dt.datetime(1970, 1, 1), None]


FRAMES = [
    pd.DataFrame({"n": [1, 2, 3], "t": [" a", "?", "b"]}),
    pd.DataFrame({"n": [1, 2, 3], "t": pd.Categorical(["a", None, "b "])}),
    pd.DataFrame({"n": [1, 2, 3], "t": [" a", None, "b"]}, dtype=object),
    pl.DataFrame({"n": [1, 2, 3], "t": [" a", "?", "b"]}),
    pl.DataFrame({"n": [1, 2, 3], "t": pl.Series([" a", "?", "b"], dtype=pl.Categorical)}),
    pa.table({"n": [1, 2, 3], "t": pa.array([" a", "?", "b"]).dictionary_encode()}),
    pa.record_batch({"n": [1, 2, 3], "t": pa.array([" a", "?", "b"], pa.large_string())}),
]


@pytest.mark.parametrize("frame", FRAMES)
def test_tables_of_other_libraries(frame):
    table = read_raw(frame)
    assert (table.origin, table.names) == ("the table", ("n", "t"))
    assert [column.to_pylist() for column in table.columns] == [[1, 2, 3], ["a", None, "b"]]
    assert table.columns[1].type == pa.string()
    assert table.layout == f"table of {type(frame).__module__.split('.')[0]}"
    assert table.place(0) == "the table, row 1"
    assert [len(piece) for piece in stream_raw(frame, rows=2)] == [2, 1]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("index", "called"),
    [(pd.Index([5, 6], name="when"), ", 'when',"), (pd.Index(["p", "q"]), ""), (None, None)],
)
def test_the_index_of_pandas_is_left_out(tmp_path, index, called, packed):
    source = pd.DataFrame({"n": [1, 2]}, index=index)
    if packed:
        source.to_parquet(tmp_path / "t.parquet")
        source = tmp_path / "t.parquet"
    table = read_raw(source)
    assert table.names == ("n",)
    said = [note.partition(": ")[2] for note in table.notes]
    note = f"its index{called} is left out; reset_index() in pandas keeps it as a column"
    assert said == ([] if called is None else [note])


def test_names_that_are_no_texts_or_stand_twice():
    assert read_raw(pd.DataFrame([[1, 2]], columns=[0, "x"])).names == ("0", "x")
    table = read_raw(pa.table([[1], [2], [3]], names=["a", "a", ""]))
    assert (table.names, table.unnamed) == (("a", "a (2)", "column 3"), {2})
    assert table.notes == ("the table: names that stand twice are told apart: 'a (2)'",)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (pd.Series([1, 2]), ["a Series that is no table; its to_frame() is a table"]),
        (pl.Series([1, 2]), ["a Series that is no table; its to_frame() is a table"]),
        (pa.chunked_array([[1, 2]]), ["a ChunkedArray that is no table ("]),
        (pl.LazyFrame({"a": [1]}), ["expected a path or a table", "a LazyFrame; call its collect"]),
        (
            np.ones((2, 2)),
            ["expected a path or a table of pandas, polars or pyarrow, got a ndarray"],
        ),
        ({"a": [1]}, ["got a dict"]),
        (None, ["got a NoneType"]),
        (pd.DataFrame({"a": [1, "x"]}), ["column a", "Could not convert"]),
        (pd.DataFrame({"a": [1j]}), ["column a", "complex128"]),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), ["Duplicate column names found: ['a', 'a']"]),
        (pd.DataFrame({"a": []}), ["the table: holds no rows"]),
        (pl.DataFrame({"a": [[1]]}), ["the table, column 'a': expected numbers, texts, dates or"]),
    ],
)
def test_what_is_no_table(source, words):
    message = refused(source)
    for word in words:
        assert word in message


MEMORY = """
import sys
import pyarrow as pa
from xpmlp.data.tables.reading import stream_raw
print(sum(map(len, stream_raw(sys.argv[1], rows=1000))), pa.default_memory_pool().max_memory())
"""


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_memory_does_not_grow_with_the_file(tmp_path, kind):
    """One group of rows of 64 MB in Parquet; batches of 1,000 rows in Arrow."""
    numbers = np.random.default_rng(0).normal(size=(8, 1_000_000))
    table = pa.table({f"x{i}": column for i, column in enumerate(numbers)})
    path = tmp_path / f"t.{kind}"
    if kind == "parquet":
        parquet.write_table(table, path, use_dictionary=False)
    else:
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=1000)
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, path], capture_output=True, text=True, check=True
    )
    rows, peak = map(int, done.stdout.split())
    assert rows == 1_000_000
    assert peak < 32_000_000


LIE = """
import sys
import pyarrow as pa
from xpmlp.data.tables.reading import read_raw
from xpmlp.errors import InputError
try:
    read_raw(sys.argv[1])
except InputError as error:
    print(str(error).count("smaller"), pa.default_memory_pool().max_memory())
"""


def test_a_page_that_says_it_is_huge_takes_no_memory(tmp_path):
    path = tmp_path / "t.parquet"
    table = pa.table({"x": [0.5, 1.0, 2.0]})
    parquet.write_table(table, path, use_dictionary=False, compression="none")
    content = path.read_bytes()
    assert content[4:6] == b"\x15\x00"  # a page's type, in Thrift's notation
    assert content[6:8] == content[8:10]  # its bytes, and its bytes when packed
    huge = b"\x15" + bytes([0xFE, 0xFF, 0xFF, 0xFF, 0x07])  # 2**30 - 1
    path.write_bytes(content[:8] + huge + content[10:])
    done = subprocess.run(
        [sys.executable, "-c", LIE, path], capture_output=True, text=True, check=True
    )
    told, peak = map(int, done.stdout.split())
    assert told == 1
    assert peak < 32_000_000
