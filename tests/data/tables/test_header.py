"""Is the first line a header: by hand, on known tables, and on random ones."""

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpmlp.data.tables.header import has_names, is_header, names_of, numbered, speaks_for_itself
from xpmlp.data.tables.notation import MISSING


def judged(text):
    """Return whether the first of some lines is taken as a header, and whether that is sure."""
    first, *below = [line.split(",") for line in text.strip().splitlines()]
    verdict = is_header(first, below)
    assert "\n" not in verdict.note
    return verdict.header, not verdict.note


SURE_HEADER, SURE_ROW = (True, True), (False, True)
GUESSED_HEADER, GUESSED_ROW = (True, False), (False, False)

OAKS = "0.21,0.35,0.47,oak\n0.72,0.26,0.33,birch\n0.11,0.52,0.61,oak\n0.44,0.12,0.58,birch\n"
COUNTS = "12,0,455\n7,31,2\n90,4,18\n33,25,71\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("width,height,depth,kind\n" + OAKS, SURE_HEADER),
        ("w1,w2,w3,kind\n" + OAKS, SURE_HEADER),
        (OAKS, SURE_ROW),
        (",a,b\n0,1,2\n1,3,4\n", SURE_HEADER),
        ("a,,b\n1,2,3\n", SURE_HEADER),
        ("age,when\n31,2024-05-01\n44,2024-05-02\n", SURE_HEADER),
        ("when\n2024-05-01\n2024-05-02\n", SURE_HEADER),
        ("2024-05-01\n2024-05-02\n2024-05-03\n", SURE_ROW),
        ("id,x\nA17,?\nA18,?\n", SURE_HEADER),
        ("A17,?\nA18,?\nA19,?\n", SURE_ROW),
        ("who,12\nAda,14\nBob,9\nCyd,30\n", SURE_ROW),
        ("text,label\nquite good,pos\nawful,neg\nnice,pos\nbad,neg\n", SURE_HEADER),
        ("quite good,pos\nawful,neg\nnice,pos\nbad,neg\n", SURE_ROW),
        ("name\nAda\nBob\n", GUESSED_HEADER),
        ("Ada,Ada\nBob,Cyd\n", GUESSED_ROW),
        ("12.3kg,1,oak\n4,5,oak\n6,7,birch\n", SURE_ROW),
        ("n/a,1,oak\n4,5,oak\n6,7,birch\n", SURE_ROW),
        ("1/22/20,1/23/20,place\n5,6,Lyon\n7,9,Lyon\n", SURE_HEADER),
        ("a,b\n", SURE_HEADER),
        ("1,2\n", SURE_ROW),
    ],
)
def test_texts(text, expected):
    assert judged(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("400,450,500,kind\n" + OAKS, SURE_HEADER),
        ("400.5,450.5,500.5,kind\n" + OAKS, SURE_HEADER),
        ("900,850,800,kind\n" + OAKS, SURE_HEADER),
        ("0,1,2,label\n" + OAKS, SURE_HEADER),
        ("0,1,2,oak\n" + OAKS, SURE_ROW),
        ("2019,2020,2021\n" + COUNTS, GUESSED_HEADER),
        ("country,2019,2020,2021\nChad,4000,3,1\nMali,5,6000,9\nPeru,8,1,7000\n", GUESSED_HEADER),
        ("400,450,500,550\n0.1,0.2,0.1,0\n", GUESSED_HEADER),
        ("0,1,2\n0.5,0.25,1.5\n0.75,1.5,0.5\n", GUESSED_HEADER),
        ("0,1,label\n5,6,1\n7,8,0\n", SURE_HEADER),
        ("0,1,2\n" + COUNTS, GUESSED_ROW),
        (",".join(map(str, range(9))) + "\n" + "3,1,4,1,5,9,2,6,5\n" * 3, GUESSED_HEADER),
        ("1,2,3\n4,5,6\n7,8,9\n", SURE_ROW),
        ("1,2\n3,4\n5,6\n", SURE_ROW),
        ("1,20,300\n2,19,310\n3,18,320\n", SURE_ROW),
        ("5,3,9\n" + COUNTS, SURE_ROW),
        ("3.5,4.5,5.5\n0.1,0.3,0.2\n0.1,0.3,0.2\n", SURE_ROW),
        ("5\n1.5\n2.5\n", SURE_ROW),
        ("1,5,9,oak\n2,4,8,oak\n9,3,1,birch\n", SURE_ROW),
        ("2019,kind\n1.5,oak\n2.5,oak\n3.5,birch\n0.5,birch\n", SURE_HEADER),
    ],
)
def test_numbers(text, expected):
    assert judged(text) == expected


def test_the_note_says_what_was_taken_and_what_to_do():
    verdict = is_header(["2019", "2020", "2021", "2022", "2023"], [["0.5", "0.1", "2.5", "3", "4"]])
    assert verdict.note == (
        "its first line (2019, 2020, 2021, 2022, …) is taken as the names of the columns; "
        "if it is a row: `--header no`"
    )
    note = is_header(["0", "1", "2"], [["12", "0", "455"], ["7", "31", "2"]]).note
    assert note.endswith("is taken as a row; if it is names: `--header yes`")
    assert len(is_header(["x" * 999], [["y"], ["z"]]).note) < 150


MUSHROOMS = ["edible poisonous", "bell conical flat knobbed", "smooth scaly fibrous", "none foul"]


@given(st.integers(0, 10**6), st.integers(20, 100), st.booleans())
def test_tables_of_categories(seed, rows, header):
    """As of mushrooms: 20 columns of texts, of 2 to 4 kinds each."""
    rng = random.Random(seed)
    kinds = [rng.choice(MUSHROOMS).split() for _ in range(20)]
    table = [[rng.choice(some) for some in kinds] for _ in range(rows)]
    first = [f"{chr(97 + i)}-shape" for i in range(20)] if header else table.pop()
    assert is_header(first, table).header == header


LETTERS = st.text(string.ascii_letters + "éß", min_size=1, max_size=8).filter(
    lambda text: text not in MISSING and text.lower() not in ("inf", "infinity", "nan")
)
FLOATS = st.floats(allow_nan=False, allow_infinity=False).map(repr)
NUMBERS = FLOATS | st.integers().map(str)


@given(st.data(), st.integers(1, 5))
def test_letters_over_numbers_are_always_a_header(data, width):
    names = data.draw(st.lists(LETTERS, min_size=width, max_size=width))
    row = st.lists(NUMBERS, min_size=width, max_size=width)
    assert judged_rows(names, data.draw(st.lists(row, min_size=1, max_size=8))) == SURE_HEADER


@given(st.data(), st.integers(1, 5))
def test_a_row_of_floats_is_never_lost(data, width):
    row = st.lists(FLOATS, min_size=width, max_size=width)
    first, *below = data.draw(st.lists(row, min_size=1, max_size=8))
    assert judged_rows(first, below) == SURE_ROW


def judged_rows(first, below):
    verdict = is_header(first, below)
    return verdict.header, not verdict.note


@given(st.lists(st.lists(st.text(max_size=6), max_size=4), min_size=1, max_size=6))
def test_any_lines_have_a_verdict(lines):
    first, *below = lines
    assert is_header(first, below).header in (True, False)
    if speaks_for_itself(first):
        assert not is_header(first, below).header


@pytest.mark.parametrize(
    ("first", "known", "found"),
    [
        ("a b", "a b", True),
        ("b a", "a b", True),
        ("a b label", "a b", True),
        ("label b a", "a b", True),
        ("a", "a b", False),
        ("0 1", "0 1", True),
        ("1 0", "0 1", False),
        ("1 0 label", "0 1", True),
        ("a b", "", False),
    ],
)
def test_names_that_are_looked_for(first, known, found):
    assert has_names(first.split(), known.split()) == found


@pytest.mark.parametrize(
    ("first", "found"),
    [
        ("1.5", True),
        ("2.5,1", True),
        ("5,3", True),
        ("5,,3", True),
        ("3,5", False),
        ("0,1,2", False),
        ("1,a", False),
        ("", False),
    ],
)
def test_lines_that_need_no_others(first, found):
    assert speaks_for_itself(first.split(",")) == found


def test_names():
    names = names_of(["a", "", "a", "column 2", "b\n c", "a", "a (2)"])
    assert names.names == ("a", "column 2", "a (2)", "column 2 (2)", "b c", "a (3)", "a (2) (2)")
    assert names.unnamed == {1}
    assert names.notes == (
        "names that stand twice are told apart: 'a (2)', 'column 2 (2)', 'a (3)', 'a (2) (2)'",
    )
    assert names_of(["a", "b"]) == (("a", "b"), frozenset(), ())
    assert numbered(2).names == ("x1", "x2")


@given(st.lists(st.sampled_from(["", "a", "a (2)", "column 2", "a (2) (2)"]), max_size=8))
def test_names_are_always_different(header):
    assert len({*names_of(header).names}) == len(header)
