"""What separates the columns of a text."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpmlp.data.tables.layout import first_lines, judged


def found(text):
    layout = judged(first_lines(text.encode(), complete=True))
    return layout.words.removeprefix("separated by "), layout.width


@pytest.mark.parametrize(
    ("text", "separator", "width"),
    [
        ("a,b\n1,2\n", "commas", 2),
        ("a, b\n1, 2\n", "commas", 2),
        ("a\tb c\n1\tx, y\n", "tabs", 2),
        ("a|b\n1|2\n", "bars", 2),
        ("1,5;2,3;a\n2,5;3,1;b\n", "semicolons", 3),
        ("a;b;c\n1,5;2,3;x\n2,5;3,1;y\n", "semicolons", 3),
        ("1,234.5;2\n1,000;3\n", "semicolons", 2),
        ("1,5\t2,5\t3\n", "tabs", 3),
        ("1,5 2,5\n-3,5 1,5e3\n", "blanks", 2),
        ("a  b\tc\n 1 2 3 \n", "blanks", 3),
        ("1,2020-01-01 10:00\n2,2020-01-02 11:00\n", "commas", 2),
        ("New York,5\nLos Angeles,6\n", "commas", 2),
        ("Smith, John;5\nDoe, Jane;6\n", "semicolons", 2),
        ("t;a,b\nu;c,d\n", "semicolons", 2),
        ("1,a;b,c\n2,d;e,f\n", "commas", 3),
        ('"1,5","2,5"\n"3,5","4,5"\n', "commas", 2),
        ('x,"a;b"\ny,"c;d"\n', "commas", 2),
        ("body mass\n1.5\n2.5\n", "one column", 1),
        ("5\n6\n", "one column", 1),
        ("a,b,c\n1,2,3\n4,5\n", "commas", 3),
        ("# a;b;c\n\n1 2\n", "blanks", 2),
    ],
)
def test_separators(text, separator, width):
    assert found(text) == (separator, width)


def test_entries_are_stripped():
    layout = judged(['a , "b, c" , ', "1, 2,3"])
    assert layout.first == ["a", "b, c", ""]
    assert layout.below == [["1", "2", "3"]]


def test_first_lines_are_whole_and_hold_something():
    assert first_lines(b"\n# c\na\n \nb\nc", complete=False) == ["a", "b"]
    assert first_lines(b"\n# c\na\n \nb\nc", complete=True) == ["a", "b", "c"]
    assert first_lines(b"a", complete=False) == []
    assert len(first_lines(b"a\n" * 1000, complete=False)) == 200
    assert len(first_lines((b"a" * 1_000_000 + b"\n") * 9, complete=False)) == 2


def test_lines_too_long_for_a_judgement():
    assert judged(["a" * 200_000]).width == 0


@given(
    st.lists(st.tuples(st.floats(), st.integers(), st.text("xyz ", min_size=1)), min_size=1),
    st.sampled_from(",;\t|"),
)
def test_what_csv_writes_is_found(rows, separator):
    file = io.StringIO()
    csv.writer(file, delimiter=separator, lineterminator="\n").writerows(rows)
    layout = judged(file.getvalue().splitlines())
    assert (layout.separator, layout.width) == (separator, 3)
