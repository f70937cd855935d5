import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xpmlp.data.tabular import read_table

from xpmlp.errors import InputError


def table(tmp_path, text, name="rows.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return read_table(path)


def refused(path, *words):
    with pytest.raises(InputError) as caught:
        read_table(path)
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    for word in words:
        assert word in text


@pytest.mark.parametrize("separator", [",", ";", "\t", " ", "   ", ", "])
@pytest.mark.parametrize("header", [True, False])
def test_separators_and_header(tmp_path, separator, header):
    rows = [["1.5", "-2e3", "0"], ["0.25", "4", "1"], ["7", "8", "1"]]
    lines = ([["width", "height", "kind"]] if header else []) + rows
    found = table(tmp_path, "\n".join(separator.join(line) for line in lines))
    np.testing.assert_array_equal(found.x, [[1.5, -2000.0], [0.25, 4.0], [7.0, 8.0]])
    assert found.x.dtype == np.float64
    assert found.y.tolist() == [0, 1, 1]
    assert found.y.dtype == np.int64
    assert found.task == "classification"
    assert found.class_names == ("0", "1")
    assert found.feature_names == (("width", "height") if header else ("x1", "x2"))


@settings(deadline=None, max_examples=60)
@given(
    data=st.data(),
    separator=st.sampled_from([",", ";", "\t", " "]),
    header=st.booleans(),
    width=st.integers(1, 4),
)
def test_round_trip(tmp_path_factory, data, separator, header, width):
    number = st.floats(allow_nan=False, allow_infinity=False)
    row = st.tuples(*[number] * width, st.sampled_from(["ant", "bee", "cat"]))
    rows = data.draw(st.lists(row, min_size=2, max_size=8))
    names = sorted({row[-1] for row in rows})
    if len(names) == 1:
        rows.append((*rows[0][:-1], "dog"))
        names.append("dog")
    lines = [separator.join([*map(repr, row[:-1]), row[-1]]) for row in rows]
    if header:
        lines.insert(0, separator.join([f"f{i}" for i in range(width)] + ["label"]))
    found = table(tmp_path_factory.mktemp("csv"), "\n".join(lines) + "\n")
    np.testing.assert_array_equal(found.x, [row[:-1] for row in rows])
    assert list(found.class_names) == names
    assert [found.class_names[y] for y in found.y] == [row[-1] for row in rows]


def test_string_labels_quotes_comments_blank_lines_and_bom(tmp_path):
    found = table(
        tmp_path,
        '\ufeff# made by hand\n\n"length, cm",name\n1,"b, or not"\n\n2,a\n# the end\n3,a\n',
    )
    assert found.feature_names == ("length, cm",)
    assert found.class_names == ("a", "b, or not")
    assert found.y.tolist() == [1, 0, 0]
    assert found.x.tolist() == [[1], [2], [3]]


def test_header_of_numbers_is_known_by_its_label(tmp_path):
    found = table(tmp_path, "0,1,label\n5,6,1\n7,8,0\n")
    assert found.x.tolist() == [[5, 6], [7, 8]]
    assert found.feature_names == ("0", "1")


def test_whole_numbers_are_sorted_classes(tmp_path):
    found = table(tmp_path, "1,10\n1,9\n1,-1\n1,10.0\n")
    assert found.class_names == ("-1", "9", "10")
    assert found.y.tolist() == [2, 1, 0, 2]


def test_other_numbers_are_values(tmp_path):
    found = table(tmp_path, "1 2 0.5\n3 4 2\n", "rows.dat")
    assert found.task == "regression"
    assert found.y.tolist() == [[0.5], [2.0]]
    assert found.y.dtype == np.float64
    assert found.class_names == ()


@pytest.mark.parametrize(
    ("distinct", "rows", "task"),
    [
        (50, 50, "classification"),
        (51, 51, "regression"),
        (51, 101, "regression"),
        (51, 102, "classification"),
    ],
)
def test_many_different_whole_numbers_are_values(tmp_path, distinct, rows, task):
    text = "\n".join(f"0,{i % distinct}" for i in range(rows))
    found = table(tmp_path, text)
    assert found.task == task
    assert bool(found.note) == (task == "regression")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["holds no rows"]),
        ("\n# nothing\n\n", ["holds no rows"]),
        ("a,b,label\n", ["holds no rows"]),
        ("1,2,0\n3,4,1\n5,1\n", ["line 3", "expected 3 columns, got 2"]),
        ("1,2,0\n3,4,5,1\n", ["line 2", "expected 3 columns, got 4"]),
        ("a,b,label\n\n1,2,0\n1,x,1\n", ["line 4, column 2", "expected a number, got 'x'"]),
        ("1,oops,0\n3,4,1\n", ["line 1, column 2", "'oops'"]),
        ("1,2,0\n3,,1\n", ["line 2, column 2", "got ''"]),
        ("1,2,0\nnan,4,1\n", ["line 2, column 1", "'nan'"]),
        ("1,2,0\n1,-inf,1\n", ["line 2, column 2", "'-inf'"]),
        ("1,2,0\n1,1e999,1\n", ["line 2, column 2", "'1e999'"]),
        ("1,2,0\n3,4,\n", ["line 2", "label", "empty"]),
        ("1,2,0\n3,4,NaN\n", ["line 2", "label is nan"]),
        ("1,2,7\n3,4,7\n", ["every label is '7'", "two classes"]),
        ("1,2,cat\n3,4,cat\n", ["every label is 'cat'"]),
        ("1\n2\n", ["line 1", "at least one feature and a label, got 1 column"]),
        ('1,2,0\n3,"4,1\n', ["line 2", "unexpected end of data"]),
    ],
)
def test_refused_texts(tmp_path, text, words):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    refused(path, *words)


def test_refused_files(tmp_path):
    refused(tmp_path / "absent.csv", "no such file")
    (tmp_path / "a.xlsx").write_text("x")
    refused(tmp_path / "a.xlsx", ".csv, .dat, .npz")
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe1,2\n")
    refused(tmp_path / "a.csv", "UTF-8")
