"""Tables of which a model knows the columns: in what order they are read, and what is refused."""

import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thorough import examples
from xpmlp.data.blocks import Columns
from xpmlp.data.tables.known import Known, stream_known
from xpmlp.errors import InputError

AB = Columns(2, ("a", "b"))
NAMELESS = Columns(2, ("x1", "x2"))


def read(path, columns, batch_rows=1024):
    """Return all rows, the sizes of the pieces, and the notes."""
    notes = []
    pieces = list(stream_known(path, Known.numbers(columns), batch_rows, notes.append))
    rows = [np.stack([column.values for column in piece.columns], axis=1) for piece in pieces]
    return np.concatenate(rows), list(map(len, rows)), notes


def table(tmp_path, text, columns=AB, name="rows.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    rows, _, notes = read(path, columns)
    return rows.tolist(), [note.removeprefix(f"{path}: ") for note in notes]


def refusal(path, columns, batch_rows=1024):
    """Return the one line with which a file is refused, without its folder."""
    with pytest.raises(InputError) as caught:
        read(path, columns, batch_rows)
    text = str(caught.value)
    assert "\n" not in text
    return text.replace(f"{path.parent}/", "")


def refused_text(tmp_path, text, columns=AB):
    path = tmp_path / "rows.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return refusal(path, columns)


@pytest.mark.parametrize("separator", [",", ";", "\t", " ", "   ", ", "])
def test_separators_header_comments_and_blank_lines(tmp_path, separator):
    lines = ["\ufeff# of mine", "", "a,b", "1,-2e3", "", "# and", "3,4"]
    text = "\n".join(line.replace(",", separator) for line in lines)
    assert table(tmp_path, text) == ([[1, -2000], [3, 4]], [])


@pytest.mark.parametrize("columns", [AB, NAMELESS, Columns(2)])
def test_a_last_column_more_is_the_label(tmp_path, columns):
    expected = [[1, 2], [3, 4]]
    assert table(tmp_path, "1,2,no\n3,4,\n", columns) == (
        expected,
        ["its last column is taken as the label and ignored"],
    )
    named = f"{','.join(columns.names or 'pq')},kind\n1,2,no\n3,4,\n"
    rows, notes = table(tmp_path, named, columns)
    assert rows == expected
    assert notes[-1] in (
        "the model doesn't need 'kind'",
        "its last column, 'kind', is taken as the label and ignored",
    )


def test_a_header_puts_the_columns_in_order(tmp_path):
    rows, notes = table(tmp_path, "b,a,label\n1,2,x\n3,4,y\n")
    assert rows == [[2, 1], [4, 3]]
    assert notes[0] == "its columns stand in another order and were matched by their names"
    assert len(notes) == 2


def test_a_model_that_knows_no_names_takes_the_columns_as_they_stand(tmp_path):
    rows, notes = table(tmp_path, "p,q\n1,2\n", NAMELESS)
    assert rows == [[1, 2]]
    assert notes == [
        "the model was trained on columns without names, so these are taken in their order: "
        "'p', 'q'"
    ]
    assert table(tmp_path, "p,q\n1,2\n", Columns(2))[0] == [[1, 2]]
    assert table(tmp_path, "x2,x1\n1,2\n", NAMELESS)[0] == [[2, 1]]


def test_names_that_are_numbers_are_a_header_only_in_their_order(tmp_path):
    numbers = Columns(2, ("0", "1"))
    assert table(tmp_path, "0,1\n5,6\n", numbers)[0] == [[5, 6]]
    assert table(tmp_path, "1,0\n5,6\n", numbers)[0] == [[1, 0], [5, 6]]


def test_one_column_whose_name_has_blanks(tmp_path):
    assert table(tmp_path, "petal length\n1\n2\n", Columns(1, ("petal length",)))[0] == [[1], [2]]


def test_quotes(tmp_path):
    columns = Columns(2, ("a, of x", "b"))
    assert table(tmp_path, '"a, of x",b\n"1","2"\n', columns)[0] == [[1, 2]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\n2\n", "rows.csv has 1 column, the model takes 2"),
        ("1,2,3,4\n", "rows.csv has 4 columns, the model takes 2"),
        ("a\n1\n", "rows.csv lacks 'b'"),
        ("a,c\n1,2\n", "rows.csv lacks 'b'; the model doesn't know 'c'"),
        ("1,2\n3\n", "rows.csv, line 2: expected 2 columns, got 1"),
        ("1,2\n\n3,x\n", "rows.csv, line 3, column 'b': expected a number, got 'x'"),
        ("1,2\n1_0,2\n", "rows.csv, line 2, column 'a': expected a number, got '1_0'"),
        (
            "1,2\n,2\n",
            "rows.csv, line 2, column 'a': the entry is missing, and the model was trained on",
        ),
        ("b,a\n1,2\nx,2\n", "rows.csv, line 3, column 'b': expected a number, got 'x'"),
        (f"1,2\n3,{'x' * 99}", f"line 2, column 'b': expected a number, got '{'x' * 40}…'"),
        ("1,2\n# no\nnan,2\n", "rows.csv, line 3, column 'a': the entry is missing"),
        ("a,b\n1,-inf\n", "rows.csv, line 2, column 'b': expected a number, got '-inf'"),
        ('1,2\n"3,4\n', "rows.csv, line 2: the quote that opens here doesn't close"),
        ("", "rows.csv: holds no rows"),
        ("\n# nothing\n", "rows.csv: holds no rows"),
        ("a,b\n", "rows.csv: holds no rows"),
        (b"1,2\n\xff,3\n", "rows.csv, line 2: expected UTF-8 text"),
    ],
)
def test_text_that_is_refused(tmp_path, text, message):
    assert message in refused_text(tmp_path, text)


def test_a_nameless_model_is_not_deaf_to_its_own_names(tmp_path):
    rows, notes = table(tmp_path, "label,x1,x2\n0,1,2\n", NAMELESS)
    assert (rows, notes) == ([[1, 2]], ["the model doesn't need 'label'"])


def test_columns_that_are_not_needed_are_named(tmp_path):
    assert table(tmp_path, "a,c,b\n1,2,3\n") == ([[1, 3]], ["the model doesn't need 'c'"])
    rows, notes = table(tmp_path, "a,a,b\n1,2,3\n")
    assert rows == [[1, 3]]
    assert notes[-1] == "the model doesn't need 'a (2)'"


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None, max_examples=examples(80, few=10))
@given(
    data=st.data(),
    separator=st.sampled_from([",", ";", "\t", " "]),
    width=st.integers(1, 4),
    batch_rows=st.integers(1, 5),
    header=st.booleans(),
    label=st.booleans(),
    packed=st.booleans(),
)
def test_text_round_trip(
    tmp_path_factory, data, separator, width, batch_rows, header, label, packed
):
    rows = data.draw(st.lists(st.tuples(*[NUMBERS] * width), min_size=1, max_size=12))
    names = tuple(f"f{i}" for i in range(width))
    order = data.draw(st.permutations(range(width))) if header else range(width)
    lines = [[repr(row[i]) for i in order] + ["ant"] * label for row in rows]
    if header:
        lines.insert(0, [names[i] for i in order] + ["kind"] * label)
    content = "\n".join(map(separator.join, lines)).encode()
    path = tmp_path_factory.mktemp("text") / ("rows.csv.gz" if packed else "rows.csv")
    path.write_bytes(gzip.compress(content, 1) if packed else content)
    found, sizes, _ = read(path, Columns(width, names), batch_rows)
    np.testing.assert_array_equal(found, rows)
    assert found.dtype == np.float64
    assert all(0 < size <= batch_rows for size in sizes)


@settings(deadline=None, max_examples=examples(100, few=12))
@given(st.binary(max_size=60) | st.text(alphabet='1,;"\n\t #ax_.-', max_size=30))
def test_any_text_is_read_or_refused_with_one_line(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "rows.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    try:
        rows = read(path, AB, 2)[0]
    except InputError:
        refusal(path, AB, 2)
    else:
        assert rows.shape[1] == 2
