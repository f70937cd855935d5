from datetime import date, datetime
from decimal import Decimal
from io import StringIO
from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.data.tables.by_hand import line, refused, table, texts
from xpmlp.data.tables.notation import MISSING
from xpmlp.data.tables.typed import is_constant, read_as, typed_column, typed_columns
from xpmlp.errors import InputError


def typed(entries, name="a", **options):
    values = pa.chunked_array([entries]) if isinstance(entries, pa.Array) else texts(entries)
    return typed_column(name, values, line, **options)


def entries_of(column):
    """What a column of categories or texts says, None where it is missing."""
    return [column.levels[place] if place >= 0 else None for place in column.values]


NUMBER = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-10_000, 10_000).map(str),
)


@given(st.lists(st.one_of(NUMBER, st.sampled_from(MISSING)), min_size=1, max_size=30))
def test_numbers_are_those_of_pandas(entries):
    column = typed(entries)
    known = pd.read_csv(
        StringIO("a\n" + "\n".join(f'"{entry}"' for entry in entries)),
        na_values=MISSING,
        skip_blank_lines=False,
        dtype=np.float64,
    )["a"]
    assert column.kind == "number"
    assert column.notation == "plain"
    np.testing.assert_allclose(column.values, known, rtol=1e-15)
    np.testing.assert_array_equal(column.missing, known.isna())


CELL = st.one_of(
    st.text(max_size=6),
    st.text("0123456789.,-+eE/: TZ", max_size=12),
    st.sampled_from([*MISSING, "yes", "no", "00501", "1e999", "inf", "-nan", "nan(1)", "1,234"]),
    st.dates().map(str),
    NUMBER,
)


@given(
    cells=st.lists(CELL, min_size=1, max_size=4),
    rows=st.lists(st.integers(0, 3), max_size=60),
    cuts=st.sets(st.integers(0, 60)),
)
def test_any_column_gets_a_type_or_one_line(cells, rows, cuts):
    entries = [cells[row % len(cells)] for row in rows]
    bounds = [0, *sorted(cut for cut in cuts if cut < len(entries)), len(entries)]
    chunks = [pa.array(entries[a:b], pa.string()) for a, b in pairwise(bounds)]
    message, column = "", None
    try:
        column = typed_column("a", pa.chunked_array(chunks, pa.string()), line)
    except InputError as error:
        message = str(error)
    if column is None:
        assert "t.csv, line" in message
        assert "\n" not in message
        return
    assert len(column) == len(entries)
    missing = [entry.strip() in MISSING for entry in entries]
    np.testing.assert_array_equal(column.missing, missing)
    if column.kind in ("category", "text"):
        said = [None if entry.strip() in MISSING else entry.strip() for entry in entries]
        assert entries_of(column) == said
        assert sorted(column.levels) == sorted(set(said) - {None})
    else:
        assert column.values.dtype == np.float64
        assert not np.isinf(column.values).any()


@given(
    cells=st.lists(CELL, min_size=1, max_size=40),
    tail=st.lists(st.integers(0, 39), max_size=10),
)
def test_a_column_is_read_again_by_its_own_rule(cells, tail):
    try:
        first = typed(cells)
    except InputError:
        return
    if first.kind == "text":
        return
    again = texts([cells[i % len(cells)] for i in tail])
    second = read_as("a", first.kind, first.notation, first.levels, again, line)
    expected = first.values[[i % len(cells) for i in tail]] if tail else first.values[:0]
    np.testing.assert_array_equal(second.values, expected)
    assert second.values.dtype == first.values.dtype
    assert (second.kind, second.notation, second.levels) == (
        (first.kind, first.notation, first.levels)
    )


def test_nothing_but_missing_entries():
    column = typed([None, "NA", ""])
    assert column.kind == "number"
    assert column.missing.all()
    assert typed([]).kind == "number"
    assert typed(pa.nulls(3)).missing.all()


@pytest.mark.parametrize(
    "entries",
    [
        ["00501", "10001"],
        ["00501", None, "10001"],
        ["1234567890123456789", "1098765432109876543"],
        ["-1234567890123456789", "12"],
        ["9007199254740992", "9007199254740993", "12"],
        ["1" * 300, "2"],
        ["007", "12", "00501"] * 30,
    ],
)
def test_codes_stay_as_they_are_written(entries):
    column = typed(entries)
    assert column.kind == "category"
    assert entries_of(column) == entries
    assert column.levels == tuple(sorted({entry for entry in entries if entry}))


@pytest.mark.parametrize(
    "entries",
    [
        *(["0", "0.5"], ["00.5", "1"], ["1e20", "2"], ["12345678901234567890.0", "1"], ["0", "10"]),
        *(["9007199254740991", "1"], ["-05", "5.5"], ["12345678901234567890", "0.5"]),
    ],
)
def test_numbers_that_are_no_codes(entries):
    column = typed(entries)
    assert column.kind == "number"
    assert column.values.tolist() == list(map(float, entries))


@pytest.mark.parametrize("bad", ["<0.5", "12.3kg", "inf", "-Infinity", "1e999", "1,5", "1_0", "x"])
@pytest.mark.parametrize("at", [0, 250])
def test_one_unclean_number_is_refused_where_it_stands(bad, at):
    entries = [f"{i / 100}" for i in range(400)]
    entries[at] = bad
    price = {"name": "price"}
    message = refused(lambda: typed(entries, **price), f"t.csv, line {at + 2}, column 'price'")
    assert f"expected a number, got '{bad}'; correct it, or leave it empty" in message
    assert message.endswith("leave the column out: --drop price")
    assert "--drop" not in refused(lambda: typed(entries, label=True), repr(bad))


def test_an_unclean_number_among_decimal_commas():
    entries = [f"{i},5" for i in range(50)] + ["about 7"]
    refused(lambda: typed(entries), "line 52", "a number such as 1234,5, got 'about 7'")


@pytest.mark.parametrize(
    "entries",
    [
        ["1", "2", "3", "4", "5+"] * 20,  # few different ones, all whole
        [*map(str, range(30)), *["x"] * 40],  # too few numbers
        [f"{i:05}" for i in range(0, 60_000, 997)] * 3 + ["K1A 0B1"],  # codes
        ["192.168.0.1", "10.0.0.2"],
        ["1.5", "1,5"] * 20,
    ],
)
def test_other_columns_with_numbers_are_categories(entries):
    column = typed(entries)
    assert column.kind == "category"
    assert entries_of(column) == entries


def test_few_whole_numbers_and_a_text_are_categories_with_a_note():
    column = typed([*map(str, range(20, 35)), "4O"] * 2, name="age")
    assert column.kind == "category"
    assert column.note == "column 'age': '4O' is no number, so all entries are categories"
    assert typed(["1", "2", "low"] * 20).note == typed(["00501", "10001", "K1"] * 9).note == ""


@pytest.mark.parametrize(
    ("pair", "levels"),
    [
        (["no", "yes"], ("no", "yes")),
        (["Y", "N"], ("N", "Y")),
        (["TRUE", "FALSE"], ("FALSE", "TRUE")),
        (["t", "f"], ("f", "t")),
    ],
)
def test_yes_and_no(pair, levels):
    column = typed([pair[0], pair[1], None, pair[1]])
    assert column.kind == "yes/no"
    assert column.levels == levels
    first, second = (float(levels.index(text)) for text in pair)
    np.testing.assert_array_equal(column.values, [first, second, np.nan, second])


@pytest.mark.parametrize(
    ("entries", "notation", "days"),
    [
        (["1970-01-02", None], "YYYY-MM-DD", [1, np.nan]),
        (["1970-01-02 12:00", "1970-01-01"], "YYYY-MM-DD", [1.5, 0]),
        (["1970/01/03"], "YYYY/MM/DD", [2]),
        (["03.02.1970"], "DD.MM.YYYY", [33]),
        (["03/02/1970", "13/01/1970"], "DD/MM/YYYY", [33, 12]),
        (["03/02/1970", "01/13/1970"], "MM/DD/YYYY", [60, 12]),
        (["02/02/1970", "01/01/1970"], "DD/MM/YYYY", [32, 0]),
    ],
)
def test_dates(entries, notation, days):
    column = typed(entries)
    assert column.kind == "date"
    assert column.notation == notation
    np.testing.assert_array_equal(column.values, days)


def test_dates_that_tell_no_day_from_month():
    message = refused(lambda: typed(["01/01/2024", "03/04/2024"], name="when"), "t.csv, line 3")
    assert "column 'when'" in message
    assert "got '03/04/2024'; write dates as 2024-03-31" in message
    assert message.endswith("--drop when")


def test_dates_in_two_ways_are_none():
    assert typed(["13/01/2024", "01/13/2024"] * 5).kind == "category"


@pytest.mark.parametrize(
    ("different", "rows", "kind"),
    [(64, 64, "category"), (65, 65, "text"), (65, 129, "text"), (65, 130, "category")],
)
def test_categories_and_texts(different, rows, kind):
    entries = [f"t{different - i % different}" for i in range(rows)]
    column = typed([*entries, None, None])
    assert column.kind == kind
    assert entries_of(column) == [*entries, None, None]
    order = sorted if kind == "category" else list
    assert column.levels == tuple(order(dict.fromkeys(entries)))


def test_columns_that_are_not_asked_for_are_not_read():
    raw = table({"a": [f"{i}.5" for i in range(30)] + ["x"], "b": ["1"] * 31})
    assert list(typed_columns(raw, [1])) == [1]
    refused(lambda: typed_columns(raw, [0, 1]), "--drop a")
    assert "--drop" not in refused(lambda: typed_columns(raw, [0], labels=[0]), "line 32")


def test_names_with_blanks_are_quoted():
    bad = [f"{i}.5" for i in range(30)] + ["x"]
    refused(lambda: typed(bad, name="total value"), "--drop 'total value'")


NOON = datetime(1970, 1, 2, 12)


@pytest.mark.parametrize(
    ("array", "kind", "values"),
    [
        (pa.array([1, None, 3], pa.int8()), "number", [1, np.nan, 3]),
        (pa.array([2**53 - 1], pa.uint64()), "number", [2**53 - 1]),
        (pa.array([0.5, None, np.nan], pa.float32()), "number", [0.5, np.nan, np.nan]),
        (pa.array([0.5], pa.float16()), "number", [0.5]),
        (pa.array([Decimal("1.25"), None]), "number", [1.25, np.nan]),
        (pa.array([True, None, False]), "yes/no", [1, np.nan, 0]),
        (pa.array([date(1970, 1, 2), None]), "date", [1, np.nan]),
        (pa.array([date(1970, 1, 2)], pa.date64()), "date", [1]),
        (pa.array([NOON, None], pa.timestamp("s")), "date", [1.5, np.nan]),
        (pa.array([NOON], pa.timestamp("ns", "Europe/Berlin")), "date", [1.5]),
        (
            pa.array([datetime(2600, 1, 1)], pa.timestamp("us")),
            "date",
            [(date(2600, 1, 1) - date(1970, 1, 1)).days],
        ),
        (pa.array(["1.5", " 2 ", "NA"], pa.large_string()), "number", [1.5, 2, np.nan]),
        (pa.array(["yes", "no "], pa.string_view()), "yes/no", [1, 0]),
        (pa.array(["b", "a", "b"]).dictionary_encode(), "category", [1, 0, 1]),
        (pa.array(["2", "10"]).dictionary_encode(), "category", [1, 0]),
        (pa.array([7, None]).dictionary_encode(), "category", [0, -1]),
        (pa.array([2**53 + 1, 2**60]), "category", [1, 0]),
        (pa.array([Decimal(2**60)]), "category", [0]),
    ],
)
def test_types_of_arrow(array, kind, values):
    column = typed(array)
    assert column.kind == kind
    np.testing.assert_array_equal(column.values, values)
    again = read_as(
        "a", kind, column.notation, column.levels, pa.chunked_array([array, array]), line
    )
    np.testing.assert_array_equal(again.values, [*values, *values])


def test_a_nan_that_signals_is_missing_like_any_other():
    signalling = np.array([0x7FF0000000000001, 0], np.uint64).view(np.float64)
    column = typed(pa.array(signalling, from_pandas=False))
    with np.errstate(invalid="raise"):
        assert np.floor(column.values)[1] == 0
    assert list(column.missing) == [True, False]


def test_levels_of_arrow_types():
    assert typed(pa.array([False, True])).levels == ("False", "True")
    assert typed(pa.array([2**60, 2**60 + 1])).levels == (str(2**60), str(2**60 + 1))
    assert typed(pa.array([20, 3]).dictionary_encode()).levels == ("20", "3")


def test_infinity_of_arrow():
    array = pa.array([1.0, -np.inf])
    refused(lambda: typed(array), "t.csv, line 3", "expected a number, got '-inf'", "--drop a")
    values = pa.chunked_array([array])
    refused(lambda: read_as("a", "number", "plain", (), values, line), "line 3", "'-inf'")


@pytest.mark.parametrize(
    "array",
    [
        pa.array([[1, 2]]),
        pa.array([{"x": 1}]),
        pa.array([b"x"]),
        pa.array([b"x"], pa.binary(1)),
        pa.array([b"x"], pa.large_binary()),
    ],
)
def test_other_types_of_arrow_are_refused(array):
    refused(lambda: typed(array), "column 'a'", str(array.type), "leave the column out")
    values = pa.chunked_array([array])
    refused(lambda: read_as("a", "number", "plain", (), values, line), "column 'a'")


def test_frames_come_in_through_arrow():
    frame = pd.DataFrame(
        {
            "number": [1.5, np.nan],
            "whole": pd.array([1, None], dtype="Int64"),
            "text": ["a", None],
            "category": pd.Categorical(["x", "y"]),
            "date": pd.to_datetime(["1970-01-02", None]),
            "flag": [True, False],
        }
    )
    kinds = ["number", "number", "category", "category", "date", "yes/no"]
    for arrow in (pa.table(frame), pa.table(pl.from_pandas(frame))):
        columns = [typed_column("a", values, line) for values in arrow.columns]
        assert [column.kind for column in columns] == kinds
        assert [column.missing.tolist() for column in columns] == (
            [[False, True]] * 3 + [[False, False], [False, True], [False, False]]
        )


@example([])
@given(st.lists(st.sampled_from(["a", "b", None]), max_size=5))
def test_is_constant(entries):
    assert is_constant(table({"x": entries}), 0) == (len(set(entries) - {None}) < 2)
