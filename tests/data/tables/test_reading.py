"""Whole tables from text: entries, names, places, pieces, and what is refused."""

import csv
import gzip
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import csv as arrow_csv

from tests.thorough import examples
from xpmlp.data.tables.layout import Layout
from xpmlp.data.tables.notation import MISSING
from xpmlp.data.tables.parsing import parsed
from xpmlp.data.tables.reading import read_raw, stream_raw
from xpmlp.data.tables.text import chunks
from xpmlp.data.tables.text_tables import text_tables
from xpmlp.errors import InputError

REAL_DATA = Path(os.environ.get("XPMLP_DATA_DIR", "/none"))


def written(tmp_path, text, name="rows.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(tmp_path, text, **options):
    """Return the names, the rows and the lines of a table."""
    table = read_raw(written(tmp_path, text), **options)
    assert all(column.type == pa.string() for column in table.columns)
    places = [table.place(row) for row in range(len(table))]
    prefix = f"{tmp_path}/rows.csv, line "
    return table.names, rows_of(table), [int(place.removeprefix(prefix)) for place in places]


def rows_of(table):
    return [list(row) for row in zip(*(c.to_pylist() for c in table.columns), strict=True)]


def refused(path, **options):
    """Return the one line with which a source is refused, without the file's folder."""
    with pytest.raises(InputError) as caught:
        read_raw(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    with pytest.raises(InputError) as streamed:
        list(stream_raw(path, rows=2, **options))
    assert str(streamed.value) == message
    return message.replace(f"{path.parent}/", "") if isinstance(path, Path) else message


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", " ", "   ", ", ", " ; ", "\t "])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_separators(tmp_path, separator, header, end):
    lines = ["\ufeff# mine", "", "a,b,c", "1,-2e3,x", "", " # and", "3,4,?", "5,6,x"]
    if not header:
        lines.remove("a,b,c")
    text = end.join(line.replace(",", separator) for line in lines)
    names = ("a", "b", "c") if header else ("x1", "x2", "x3")
    rows = [["1", "-2e3", "x"], ["3", "4", None], ["5", "6", "x"]]
    assert read(tmp_path, text) == (names, rows, [n + header for n in (3, 6, 7)])


def test_the_form_is_told(tmp_path):
    table = read_raw(written(tmp_path, ";a\n1;2,5\n2;3,5\n"))
    assert (table.names, table.unnamed, table.header) == (("column 1", "a"), {0}, True)
    assert table.layout == "separated by semicolons"
    assert (table.origin, table.notes) == (f"{tmp_path}/rows.csv", ())
    table = read_raw(written(tmp_path, "1 2\n3 1\n"))
    assert (table.names, table.unnamed, table.header) == (("x1", "x2"), frozenset(), False)


def test_every_spelling_of_missing_with_blanks_or_quotes(tmp_path):
    forms = ("{}", " {}", "{} \t", '"{}"')
    entries = [form.format(text) for text in MISSING for form in forms]
    text = "a,b\n" + "".join(f"{entry},1\n" for entry in entries)
    _, rows, _ = read(tmp_path, text)
    assert rows == [[None, "1"]] * len(entries)


@pytest.mark.parametrize(
    "entry", ["00501", "1234567890123456789", "1e5", "Na", "--", "NEAR BAY", "é"]
)
def test_entries_stay_as_they_are_written(tmp_path, entry):
    assert read(tmp_path, f"a,b\n{entry},1\n2, {entry} \n")[1] == [[entry, "1"], ["2", entry]]


@pytest.mark.parametrize(
    ("text", "rows", "lines"),
    [
        ('a,b\n"x\ny",2\n5,6\n', [["x\ny", "2"], ["5", "6"]], [2, 4]),
        ('a,b\n"x\n\n#y",2\n\n5,6\n', [["x\n\n#y", "2"], ["5", "6"]], [2, 6]),
        ('# c\n"a\nA",b\n1,2\n', [["1", "2"]], [4]),
        ('a,b\n1, "x, y"\n2,z\n', [["1", "x, y"], ["2", "z"]], [2, 3]),
        ('a,b\n1,"he said ""no"""\n', [["1", 'he said "no"']], [2]),
        ('a,b\n1,5" pipe\n2,"6"" pipe"\n', [["1", '5" pipe'], ["2", '6" pipe']], [2, 3]),
        ('a,b\n1,"x"y\n', [["1", "xy"]], [2]),
        ('a b\n"x  y" 1\n z 2 \n', [["x  y", "1"], ["z", "2"]], [2, 3]),
        ("a,b\n1,2\n,\n , \n   \n3,4\n,,,,\n", [["1", "2"], ["3", "4"]], [2, 6]),
        ("a,b\n1,2\n?,NA\n,4\n", [["1", "2"], [None, None], [None, "4"]], [2, 3, 4]),
        ("a\n1\n\nNA\n 2 \n", [["1"], [None], ["2"]], [2, 4, 5]),
        ("body mass\n1.5\n2.5\n", [["1.5"], ["2.5"]], [2, 3]),
        ("a,b\n1,2", [["1", "2"]], [2]),
    ],
)
def test_quotes_and_empty_lines(tmp_path, text, rows, lines):
    assert read(tmp_path, text)[1:] == (rows, lines)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\n1\n\n2\n\n3\n", 3),
        ("1.5\n2.5\n \t\n3.5\n", 3),
        ('a\n1\n""\n2\n', 3),
        ("a\n\n1\n", 2),
        ("a\n" + "1\n" * 9 + "\n2\n", 11),
        ("a\n1\n# mine\n2\nNA\n\n\n", None),
        ("\n\na\n1\n2\n", None),
        ('a\n"x\n\ny"\nz\n', None),
        ("a,b\n1,2\n\n,\n3,4\n", None),
    ],
)
@pytest.mark.parametrize("size", [None, 1, 4])
def test_an_empty_line_of_a_single_column_is_told(tmp_path, text, line, size):
    path = written(tmp_path, text)
    if size:
        pieces = list(text_tables(str(path), size, None, ()))
        notes = [note for piece in pieces for note in piece.notes]
    else:
        notes = list(read_raw(path).notes)
        assert [n for piece in stream_raw(path, rows=1) for n in piece.notes] == notes
    told = [note for note in notes if "an empty line is no row" in note]
    assert [note.split(": ")[0] for note in told] == [f"{path}, line {line}"] * bool(line)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "rows.csv: holds no rows"),
        ("\n# nothing\n\n", "rows.csv: holds no rows"),
        ("a,b,label\n", "rows.csv: holds no rows"),
        (",\n,\n", "rows.csv: holds no rows"),
        ("a,b\n,\n", "rows.csv: holds no rows"),
        ("1,2,0\n3,4,1\n5,1\n", "rows.csv, line 3: expected 3 columns, got 2"),
        ("a,b\n\n# c\n1,2,3\n3,4\n5,6\n", "rows.csv, line 4: expected 2 columns, got 3"),
        ("of mine\na,b\n1,2\n", "rows.csv, line 1: expected 2 columns, got 1"),
        ("a b\n1 2\n3\n4 5\n6 7 8\n", "rows.csv, line 3: expected 2 columns, got 1"),
        ('1,2\n\n"3,4\n', "rows.csv, line 3: the quote that opens here doesn't close"),
        (b"a,b\n1,2\n3,\xe9\n", "rows.csv, line 3: expected UTF-8 text, got other bytes; save"),
        (b"a,\xe9\n1,2\n", "rows.csv, line 1: expected UTF-8 text, got other bytes; save"),
        (
            "a,b\n" + "1,2\n" * 300 + f"1, {'x' * 200_000}\n#\n",
            "rows.csv, line 302: field larger than field limit",
        ),
        ("x" * 200_000, "rows.csv: its lines are too long to find what separates the columns"),
    ],
)
def test_text_that_is_refused(tmp_path, text, message):
    assert refused(written(tmp_path, text)).startswith(message)


def test_files_that_are_refused(tmp_path):
    assert refused(tmp_path / "rows.csv") == "rows.csv: there is no such file"
    (tmp_path / "folder.csv").mkdir()
    assert refused(tmp_path / "folder.csv") == "folder.csv: this is a folder; name a file in it"
    message = refused(written(tmp_path, "1,2\n", "rows.xlsx"))
    assert message.startswith("rows.xlsx: expected a file that ends in .csv, .tsv, .txt, .dat, ")
    assert message.endswith("text of another name can come through - (a pipe)")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_may_not_be_read(tmp_path):
    path = written(tmp_path, "1,2\n")
    path.chmod(0)
    assert refused(path) == "rows.csv: can't be read: Permission denied"


@pytest.mark.parametrize("name", ["rows.csv.gz", "rows.tsv", "ROWS.TXT", "rows.data.zst"])
def test_names_of_texts(tmp_path, name):
    content = b"a,b\n1,2\n"
    path = written(tmp_path, gzip.compress(content) if name.endswith("gz") else content, name)
    assert rows_of(read_raw(path)) == [["1", "2"]]
    assert rows_of(read_raw(str(path))) == [["1", "2"]]


@pytest.mark.parametrize("header", [None, False])
@pytest.mark.parametrize("start", [b"sep=;\n", b'\xef\xbb\xbf"sep=;"\r\n'])
def test_the_separator_that_excel_writes_first_is_no_row(tmp_path, start, header):
    path = tmp_path / "excel.csv"
    path.write_bytes(start + b"1;2\r\n4;1\r\n")
    raw = read_raw(path, header=header)
    assert [column.to_pylist() for column in raw.columns] == [["1", "4"], ["2", "1"]]
    assert raw.place(0) == f"{path}, line 2"


def test_the_header_can_be_told(tmp_path):
    text = "1,2\n3,4\n"
    assert read(tmp_path, text, header=True) == (("1", "2"), [["3", "4"]], [2])
    assert read(tmp_path, "a,b\n3,4\n", header=False)[1] == [["a", "b"], ["3", "4"]]
    assert read(tmp_path, text)[1] == [["1", "2"], ["3", "4"]]
    assert read(tmp_path, text, known=("1", "2"))[1] == [["3", "4"]]


def test_a_guess_is_said_once(tmp_path):
    path = written(tmp_path, "400,450,500\n" + "0.1,0.3,0.2\n" * 5)
    note = f"{path}: its first line (400, 450, 500) is taken as the names of the columns; "
    assert [note in "".join(read_raw(path).notes)] == [True]
    assert [len(piece.notes) for piece in stream_raw(path, rows=2)] == [1, 0, 0]


def test_a_header_with_one_name_too_few(tmp_path):
    """As R's write.table leaves it, and with separators at the ends of the lines alone."""
    path = written(tmp_path, '"a" "b"\n"r1" 1 2\n"r2" 3 4\n', "rows.txt")
    table = read_raw(path)
    assert (table.names, table.unnamed) == (("column 1", "a", "b"), {0})
    assert rows_of(table) == [["r1", "1", "2"], ["r2", "3", "4"]]
    assert "one name too few; column 1 is taken as the nameless" in table.notes[0]
    table = read_raw(written(tmp_path, "a,b\n1,2,\n1,4,\n"))
    assert (table.names, table.unnamed) == (("a", "b", "column 3"), {2})
    message = refused(written(tmp_path, "a,b\n1,2,x\n1,4,y\n"))
    assert message == "rows.csv, line 1: expected 3 columns, got 2"


ENTRIES = st.text(alphabet='ab1",; #?\n\té', max_size=5)


@given(
    rows=st.lists(st.lists(ENTRIES, min_size=3, max_size=3), max_size=8),
    separator=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\n\n", "\n# c\n"]),
    size=st.integers(1, 40),
)
def test_what_csv_writes_is_read(rows, separator, end, size):
    """In chunks of any size, with every row at its line."""
    file = io.StringIO()
    writer = csv.writer(file, delimiter=separator, quoting=csv.QUOTE_ALL, lineterminator=end)
    expected = []
    for row in rows:
        line = file.getvalue().count("\n") + 1
        writer.writerow(row)
        stripped = [entry.strip() for entry in row]
        if any(stripped):
            expected.append((line, [None if one in MISSING else one for one in stripped]))
    data = file.getvalue().encode()
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    layout = Layout(separator, 3, [], [])
    found = []
    for chunk in chunks(pieces, separator.encode(), ""):
        columns, lines = parsed(chunk, layout, "")
        entries = [column.to_pylist() for column in columns]
        found += zip(map(int, lines), map(list, zip(*entries, strict=True)), strict=True)
    assert found == expected


PLAIN = st.text(alphabet="ab1.-é ", min_size=1, max_size=5).map(str.strip).filter(bool)


@given(st.lists(st.tuples(PLAIN, PLAIN, PLAIN), min_size=1, max_size=9), st.sampled_from(",;\t"))
def test_pandas_reads_the_same(tmp_path_factory, rows, separator):
    path = tmp_path_factory.mktemp("pandas") / "rows.csv"
    frame = pd.DataFrame(rows, columns=["p", "q", "r"])
    frame.to_csv(path, sep=separator, index=False)
    other = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False)
    table = read_raw(path, header=True)
    expected = [[None if e in MISSING else e for e in row] for row in other.to_numpy().tolist()]
    assert (rows_of(table), table.names) == (expected, ("p", "q", "r"))


@settings(max_examples=examples(300, few=37))
@given(
    st.binary(max_size=60) | st.text(alphabet='1,;"\n\t #ax_.-|\r', max_size=40),
    st.sampled_from([None, True, False]),
    st.integers(1, 30),
)
def test_any_text_is_read_or_refused_with_one_line(tmp_path_factory, content, header, size):
    path = written(tmp_path_factory.mktemp("any"), content)
    try:
        table = read_raw(path, header=header)
    except InputError:
        refused(path, header=header)
        return
    assert len({*table.names}) == len(table.columns) > 0
    lines = path.read_text("utf-8-sig").split("\n")
    assert 1 <= int(table.place(len(table) - 1).split()[-1]) <= len(lines)
    pieces = list(stream_raw(path, header=header, rows=2))
    assert [row for piece in pieces for row in rows_of(piece)] == rows_of(table)
    assert {len(piece) for piece in pieces} <= {1, 2}
    assert {piece.names for piece in pieces} == {table.names}


@pytest.mark.parametrize("size", [1, 10, 100])
def test_chunks_make_no_difference(tmp_path, size):
    rows = "".join(
        f'{i},"x{i}\n",{"?" if i % 3 else i}\n{"# c" if i % 5 else ""}\n' for i in range(50)
    )
    path = written(tmp_path, "a,b,c\n" + rows)
    whole = read_raw(path)
    parts = list(text_tables(str(path), size, None, ()))
    assert [row for part in parts for row in rows_of(part)] == rows_of(whole)
    places = [part.place(row) for part in parts for row in range(len(part))]
    assert places == [whole.place(row) for row in range(50)]
    assert places[7].endswith("line 23")


def test_pieces_know_their_places(tmp_path):
    path = written(tmp_path, "a,b\n" + "1,2\n\n" * 5)
    pieces = list(stream_raw(path, rows=2))
    assert [len(piece) for piece in pieces] == [2, 2, 1]
    assert pieces[1].place(1) == f"{path}, line 8"
    assert pieces[2].place(0) == f"{path}, line 10"


def test_what_comes_before_a_bad_row_is_read(tmp_path):
    path = written(tmp_path, "a,b\n" + "1.5,2.5\n" * 200_000 + "3\n")
    pieces = stream_raw(path, rows=1000)
    assert len(next(pieces)) == 1000
    with pytest.raises(InputError, match="line 200002: expected 2 columns, got 1"):
        list(pieces)


def test_columns_of_fractions_may_come_as_numbers(tmp_path):
    lines = ["a,b,c,d,e,f", "1.50,1.0,1.234,1,-2.5e3,0.5", "?,2.0,4.567,2,1.5,x"]
    path = written(tmp_path, "\n".join([*lines, " 1e2 ,3.0,7.899,3,0.5,0.25"]))
    columns = read_raw(path, fractions=True).columns
    assert [str(c.type) for c in columns] == ["double", *["string"] * 5]
    assert columns[0].to_pylist() == [1.5, None, 100.0]
    assert read_raw(path).columns[0].to_pylist() == ["1.50", None, "1e2"]
    columns = read_raw(written(tmp_path, "a, b\n1, 0.5\n2, ?\n"), fractions=True).columns
    assert columns[1].to_pylist() == [0.5, None]


@pytest.mark.parametrize("entry", ["x", "1,5", "1.2.3"])
def test_a_column_with_one_entry_that_is_no_number_is_one_of_texts(tmp_path, entry):
    rows = "0.5,0.25\n" * 800_000
    path = written(tmp_path, f'a,b\n{rows}0.5,"{entry}"\n')
    table = read_raw(path, fractions=True)
    assert [str(column.type) for column in table.columns] == ["string", "string"]
    assert rows_of(table)[-2:] == [["0.5", "0.25"], ["0.5", entry]]
    assert table.notes == ()


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=9))
def test_fractions_are_read_as_python_reads_them(tmp_path_factory, values):
    path = written(tmp_path_factory.mktemp("f"), "".join(f"0.5,{v!r}\n" for v in [0.5, *values]))
    column = read_raw(path, header=False, fractions=True).columns[1]
    if column.type == pa.float64():
        assert column.to_pylist() == [0.5, *values]
    else:
        assert column.to_pylist() == ["0.5", *map(repr, values)]


def test_a_signal_that_is_noted_does_not_end_the_reading(tmp_path, monkeypatch):
    path = written(tmp_path, "a,b\n1,2\n")
    read_csv, calls = arrow_csv.read_csv, []

    def cancelled_once(*args, **options):
        calls.append(args)
        if len(calls) == 1:
            raise pa.ArrowCancelled("Operation cancelled", signum=signal.SIGINT)
        return read_csv(*args, **options)

    monkeypatch.setattr(arrow_csv, "read_csv", cancelled_once)
    assert rows_of(read_raw(path)) == [["1", "2"]]
    assert len(calls) == 2


ECHO = """
from xpmlp.data.tables.reading import stream_raw
try:
    for piece in stream_raw("-", rows=2):
        print(piece.names, [c.to_pylist() for c in piece.columns], piece.place(0), flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="sends a signal")
def test_rows_come_out_of_an_open_pipe_as_they_come_in():
    command = [sys.executable, "-c", ECHO]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 0}
    with subprocess.Popen(command, **pipes) as process:
        process.stdin.write("2.5 1\n")
        assert process.stdout.readline() == "('x1', 'x2') [['2.5'], ['1']] standard input, line 1\n"
        process.stdin.write("\n3 4\n")
        assert process.stdout.readline() == "('x1', 'x2') [['3'], ['4']] standard input, line 3\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "interrupted\n"
    with subprocess.Popen(command, **pipes) as process:
        process.stdin.write("a,b\n")
        process.stdin.write("1,2\n")
        assert process.stdout.readline() == "('a', 'b') [['1'], ['2']] standard input, line 2\n"
        assert process.communicate("3,4\n5,6\n7,8\n")[0].count("line") == 2


MEMORY = """
import resource, sys
from xpmlp.data.tables.reading import stream_raw
list(stream_raw(sys.argv[2], rows=10))
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + 100_000_000
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
print(sum(map(len, stream_raw(sys.argv[1], rows=1000))))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_240_mb_are_read_with_room_for_100(tmp_path):
    """Packed, as are 400,000 rows of 600 bytes."""
    row = ",".join(["1.25"] * 119) + ",cat\n"
    part = gzip.compress(row.encode() * 10_000)
    large = written(tmp_path, part * 40, "large.csv.gz")
    small = written(tmp_path, row * 20_000, "small.csv")
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, large, small], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "400000\n"), done.stderr


@pytest.mark.skipif(not (REAL_DATA / "tables").is_dir(), reason="XPMLP_DATA_DIR has no tables")
@pytest.mark.parametrize(
    ("name", "shape", "header", "missing"),
    [
        ("tables/adult.csv", (32561, 15), True, 1836 + 1843 + 583),
        ("tables/housing.csv", (20640, 10), True, 207),
        ("ist597/iris_train.dat", (110, 5), False, 0),
        ("ist597/iris_test.dat", (40, 5), False, 0),
        ("ist597/spiral_train.dat", (300, 3), False, 0),
        ("ist597/xor.dat", (4, 3), False, 0),
    ],
)
def test_real_files(name, shape, header, missing):
    path = REAL_DATA / name
    table = read_raw(path)
    assert (len(table), len(table.columns)) == shape
    assert (table.header, table.layout, table.notes) == (header, "separated by commas", ())
    assert sum(column.null_count for column in table.columns) == missing
    other = pd.read_csv(
        path,
        dtype=str,
        header=0 if header else None,
        skipinitialspace=True,
        na_values="?",
    )
    assert [[None if pd.isna(e) else e for e in row] for row in other.to_numpy()] == rows_of(table)
    if header:
        assert table.names == tuple(other.columns)
