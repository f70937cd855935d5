"""The bytes of texts: what comes from where, and where rows end."""

import csv
import gzip
import io
import os
from itertools import chain, repeat

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thorough import examples
from xpmlp.data.tables import text
from xpmlp.data.tables.text import Chunk, chunks, opened, rows_of
from xpmlp.errors import InputError


def written(tmp_path, content, name="rows.csv"):
    path = tmp_path / name
    path.write_bytes(content)
    return str(path)


def content_of(path, size=1 << 20):
    with opened(path, size) as pieces:
        return b"".join(pieces)


def refused(path, size=1 << 20):
    with pytest.raises(InputError) as caught:
        content_of(path, size)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(path)


ENDS = "a\r\nb\rc\n\r\n\r"


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_every_line_end_is_a_newline(tmp_path, size):
    path = written(tmp_path, ENDS.encode())
    assert content_of(path, size) == io.StringIO(ENDS, newline=None).read().encode()


@given(st.text(alphabet="a\r\n", max_size=12), st.integers(1, 5))
def test_line_ends_are_those_of_python(tmp_path_factory, content, size):
    path = written(tmp_path_factory.mktemp("ends"), content.encode())
    assert content_of(path, size) == io.StringIO(content, newline=None).read().encode()


@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz", "rows.csv.zst"])
def test_packed_or_not_whatever_the_name(tmp_path, name):
    plain = b"a,b\n1,2\n" * 1000
    for content in (
        plain,
        gzip.compress(plain),
        gzip.compress(plain[:99]) + gzip.compress(plain[99:]),
        packed_by_zstd(plain),
    ):
        assert content_of(written(tmp_path, content, name), 100) == plain


def test_a_mark_of_utf8_is_left_out(tmp_path):
    assert content_of(written(tmp_path, "\ufeffa\ufeff".encode())) == "a\ufeff".encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n".encode("utf-16"), ": expected UTF-8 text, but this is UTF-16; save it as UTF-8"),
        (b"a\0b", ": expected UTF-8 text, but this has bytes of value 0"),
        (b"PK\x03\x04...", "a zip archive or an Excel workbook; unpack it, or save the table as"),
        (b"PAR1...", "this is a Parquet file; let its name end in .parquet"),
    ],
)
def test_what_is_no_text(tmp_path, content, message):
    assert message in refused(written(tmp_path, content))


def packed_by_zstd(data):
    return pa.compress(data, "zstd", asbytes=True)


@pytest.mark.parametrize("pack", [gzip.compress, packed_by_zstd])
def test_packed_data_that_are_damaged(tmp_path, pack):
    whole = pack(",".join(map(str, range(3000))).encode())
    for content in (whole[:-1], whole[:-9], whole[: len(whole) // 2], whole + b"more"):
        assert ": can't be read: damaged or cut short" in refused(written(tmp_path, content))


def test_a_changed_byte_is_seen_by_gzip(tmp_path):
    whole = bytearray(gzip.compress(b"1,2\n" * 1000))
    whole[len(whole) // 2] ^= 1
    assert ": can't be read: damaged or cut short" in refused(written(tmp_path, whole))


def rows_in(data, separator=b","):
    found = rows_of(Chunk(data, 1, data.count(b"\n")), separator)
    texts = [data[start:end].decode() for start, end in zip(found.starts, found.ends, strict=True)]
    return list(zip(found.lines.tolist(), texts, strict=True))


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        ("a\nb\n", [(1, "a"), (2, "b")]),
        ("\n\na\n", [(1, ""), (2, ""), (3, "a")]),
        ('"a\nb",c\nd\n', [(1, '"a\nb",c'), (3, "d")]),
        ('a, "b\n""c\n"" ",d\n\ne\n', [(1, 'a, "b\n""c\n"" ",d'), (4, ""), (5, "e")]),
        ('5" pipe\n6" pipe\n', [(1, '5" pipe'), (2, '6" pipe')]),
        ('5" pipe,"a\nb"\n6"\n', [(1, '5" pipe,"a\nb"'), (3, '6"')]),
        ('"a"b"\n"\n"\n', [(1, '"a"b"'), (2, '"\n"')]),
        ('"",""\n"""\n"""\n', [(1, '"",""'), (2, '"""\n"""')]),
    ],
)
def test_rows_end_outside_of_quotes(data, rows):
    assert rows_in(data.encode()) == rows


@settings(max_examples=examples(500, few=62))
@given(st.text(alphabet='ab",  \n', max_size=30).map(str.encode), st.sampled_from([b",", b" "]))
def test_quotes_in_turn_are_those_found_one_by_one(data, separator):
    data = data + b"\n"
    quick = rows_in(data, separator)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "_take_turns", lambda *args: False)
        assert rows_in(data, separator) == quick


@given(
    st.lists(
        st.lists(st.text(alphabet='ab",; \n', max_size=5), min_size=2, max_size=3), max_size=6
    ),
    st.sampled_from(",;"),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.integers(1, 20),
)
def test_chunks_are_whole_rows_whatever_the_pieces(rows, separator, quoting, size):
    file = io.StringIO()
    csv.writer(file, delimiter=separator, quoting=quoting, lineterminator="\n").writerows(rows)
    data = file.getvalue().encode()
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    found = list(chunks(pieces, separator.encode(), "rows.csv"))
    assert b"".join(chunk.data for chunk in found) == data
    line, read = 1, []
    for chunk in found:
        assert (chunk.line, chunk.lines) == (line, chunk.data.count(b"\n"))
        line += chunk.lines
        read += csv.reader(io.StringIO(chunk.data.decode(), newline=""), delimiter=separator)
    assert read == rows


def test_a_last_line_without_an_end_gets_one():
    assert list(chunks([b"a\nb", b"c"], b",", "")) == [Chunk(b"a\n", 1, 1), Chunk(b"bc\n", 2, 1)]
    assert list(chunks([b"a\n"], b",", "")) == [Chunk(b"a\n", 1, 1)]


def test_a_quote_that_does_not_close_is_named_by_its_line(monkeypatch):
    message = "rows.csv, line 3: the quote that opens here doesn't close"
    start = b'a,b\n1,2\n3,"4'
    with pytest.raises(InputError, match=message):
        list(chunks([start, b"\n5,6\n"], b",", "rows.csv"))
    monkeypatch.setattr(text, "LONGEST_ROW", 100)
    endless = repeat(b"7,8\n")
    with pytest.raises(InputError, match=message):
        list(chunks(chain([start], endless), b",", "rows.csv"))
    with pytest.raises(InputError, match="rows.csv, line 1: longer than 100 bytes"):
        list(chunks(repeat(b"9"), b",", "rows.csv"))


def test_a_pipe_gives_what_is_there(monkeypatch):
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as stdin, open(writing, "wb", buffering=0) as pipe:
        monkeypatch.setattr("sys.stdin", stdin)
        with opened("-", 5) as pieces:
            pipe.write(b"1\n")
            assert next(pieces) == b"1\n"
            pipe.write(b"2\n")
            pipe.write(b"3\n")
            assert next(pieces) == b"2\n3\n"
            pipe.write(b"4\n5\n6\n")
            assert next(pieces) == b"4\n5\n6"
            pipe.close()
            assert list(pieces) == [b"\n"]


def test_standard_input_that_is_closed(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    assert refused("-") == "standard input is closed"
