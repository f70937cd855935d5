import math
from datetime import UTC, datetime
from io import StringIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from xpmlp.data.tables.notation import (
    DATES,
    MISSING,
    NUMBERS,
    fits,
    read_dates,
    read_numbers,
    yes_or_no,
)

STRPTIME = {
    "YYYY-MM-DD": "%Y-%m-%d",
    "YYYY/MM/DD": "%Y/%m/%d",
    "DD.MM.YYYY": "%d.%m.%Y",
    "DD/MM/YYYY": "%d/%m/%Y",
    "MM/DD/YYYY": "%m/%d/%Y",
}


def by_float(text):
    """What Python takes for a finite number, without underscores, blanks and foreign digits."""
    if "_" in text or text != text.strip() or not text.isascii():
        return math.nan
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


@given(st.lists(st.text("0123456789+-.eE_xinfa ,٣", max_size=9), max_size=20))
def test_plain_numbers_are_what_python_takes(entries):
    found = read_numbers(pa.array(entries, pa.string()), "plain")
    np.testing.assert_array_equal(found, np.array([by_float(entry) for entry in entries]))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=20))
def test_plain_numbers_are_read_to_the_last_bit(values):
    found = read_numbers(pa.array([repr(value) for value in values], pa.string()), "plain")
    assert found.tobytes() == np.array(values, dtype=np.float64).tobytes()


@pytest.mark.parametrize("notation", NUMBERS)
@given(values=st.lists(st.decimals(-10_000_000, 10_000_000, places=3), min_size=1, max_size=10))
def test_notations_are_read_as_pandas_reads_them(notation, values):
    thousands, decimal, _ = NUMBERS[notation]
    signs = {",": thousands[:1], ".": decimal}
    entries = ["".join(signs.get(c, c) for c in f"{value:,.3f}") for value in values]
    found = read_numbers(pa.array(entries), notation)
    frame = pd.DataFrame({"a": entries})
    separators = {"thousands": thousands[0]} if thousands else {}
    expected = pd.read_csv(
        StringIO(frame.to_csv(index=False, sep=";")),
        sep=";",
        decimal=decimal,
        **separators,
    )["a"]
    np.testing.assert_allclose(found, expected.to_numpy(dtype=np.float64), rtol=1e-15)
    grouped = bool(thousands) and any(abs(value) >= 1000 for value in values)
    assert fits(pa.array(entries), notation) == (grouped or not thousands)


@pytest.mark.parametrize(
    ("entries", "notations"),
    [
        (["1", "-2.5", ".5", "1e-3"], {"plain"}),
        (["1", "2,5"], {"decimal comma"}),
        (["1,5", "12345,25"], {"decimal comma"}),
        (["1.234,5", "17"], {"thousands point"}),
        (["1.234.567", "890"], {"thousands point"}),
        (["1 234,5", "0,25"], {"thousands blank"}),
        (["1\u202f234\u00a0567", "5"], {"thousands blank", "thousands blank, decimal point"}),
        (["1 234.5"], {"thousands blank, decimal point"}),
        (["1,234", "1,234.5"], {"thousands comma"}),
        (["1,234,567"], {"thousands comma"}),
        (["1,234", "12,345"], {"thousands comma", "decimal comma"}),
        (["1,234", "12345"], {"decimal comma"}),
        (["1,234", "0,123"], {"decimal comma"}),
        (["1.234", "12.345"], {"plain", "thousands point"}),
        (["1.234", "1,5"], {"thousands point"}),
        (["1,5", "1.5"], set()),
        (["1,23,456"], set()),
        (["1.234,5", "1234,5"], set()),
        (["12", "0x1F"], set()),
        (["12", "1_000"], set()),
        (["12", "inf"], set()),
    ],
)
def test_a_notation_fits_the_whole_column_or_not(entries, notations):
    assert {notation for notation in NUMBERS if fits(pa.array(entries), notation)} == notations


def test_each_example_is_in_its_notation():
    for notation, signs in NUMBERS.items():
        assert read_numbers(pa.array([signs.example]), notation).tolist() == [1234.5]


def test_a_late_entry_that_does_not_fit_is_seen():
    assert not fits(pa.array(["1"] * 1000 + ["x"]), "plain")


DAY = st.dates(datetime(1, 1, 1).date(), datetime(9999, 12, 31).date())


@pytest.mark.parametrize("notation", DATES)
@given(days=st.lists(DAY, min_size=1, max_size=10))
def test_dates_are_read_as_pandas_reads_them(notation, days):
    # The C library writes the years before 1000 without zeros.
    pattern = STRPTIME[notation].replace("%Y", "{:04}")
    entries = [day.strftime(pattern).format(day.year) for day in days]
    parsed = pd.to_datetime(entries, format=STRPTIME[notation])
    expected = np.asarray(parsed).astype("datetime64[D]").astype(np.float64)
    np.testing.assert_array_equal(read_dates(pa.array(entries), notation), expected)


TIMES = st.datetimes(datetime(1600, 1, 1), datetime(2600, 1, 1), timezones=st.just(UTC))


@given(st.lists(TIMES, min_size=1, max_size=10), st.sampled_from(["T", " "]), st.booleans())
def test_times_are_parts_of_days(times, between, without_the_quick_way):
    entries = [time.replace(tzinfo=None).isoformat(between) for time in times]
    more = ["2024-02-30"] if without_the_quick_way else []
    found = read_dates(pa.array(entries + more), "YYYY-MM-DD")
    expected = [time.timestamp() / 86_400 for time in times]
    np.testing.assert_allclose(found[: len(times)], expected, rtol=0, atol=1e-10)
    assert np.isnan(found[len(times) :]).all()


@pytest.mark.parametrize(
    ("entry", "days"),
    [
        ("1970-01-02", 1),
        ("1969-12-31", -1),
        ("2024-02-29", 19_782),
        ("1970-01-01T06", 0.25),
        ("1970-01-01 06:00", 0.25),
        ("1970-01-01 6:00", 0.25),
        ("1970-01-01T06:00:00.000000000", 0.25),
        ("1970-01-01T06:00Z", 0.25),
        ("1970-01-01T06:00+06:00", 0),
        ("1970-01-01 06:00:00-0600", 0.5),
    ],
)
def test_dates_worked_by_hand(entry, days):
    assert read_dates(pa.array([entry]), "YYYY-MM-DD").tolist() == [days]


@pytest.mark.parametrize(
    "entry",
    [
        *("2023-02-29", "2024-13-01", "2024-00-10", "2024-01-00", "2024-1-1", "24-01-01"),
        *("2024-01-01 24:00", "2024-01-01 10:60", "2024-01-01 10:00:60", "2024-01-01T", "x", ""),
        *("20240101", "2024-01-01Z", "2024-01-01 10:00 UTC", "٢٠٢٤-01-01"),
    ],
)
def test_what_is_no_date(entry):
    assert np.isnan(read_dates(pa.array([entry]), "YYYY-MM-DD")).all()


def test_dates_of_spreadsheets():
    assert read_dates(pa.array(["2.1.1970 9:00"]), "DD.MM.YYYY").tolist() == [1.375]
    assert read_dates(pa.array(["1/2/1970"]), "MM/DD/YYYY").tolist() == [1]
    assert read_dates(pa.array(["1/2/1970"]), "DD/MM/YYYY").tolist() == [31]


@given(st.text(), st.text())
def test_no_other_texts_mean_yes_and_no(first, second):
    known = {"no", "yes", "n", "y", "false", "true", "f", "t"}
    assume(not {first.lower(), second.lower()} <= known)
    assert yes_or_no([first, second]) is None


@pytest.mark.parametrize(
    ("entries", "pair"),
    [
        (["yes", "no"], ("no", "yes")),
        (["No", "YES"], ("No", "YES")),
        (["T", "F"], ("F", "T")),
        (["true", "false"], ("false", "true")),
        (["Y", "n"], ("n", "Y")),
        (["yes", "n"], None),
        (["yes", "Yes"], None),
        (["yes"], None),
        (["yes", "Yes", "no"], None),
    ],
)
def test_pairs(entries, pair):
    assert yes_or_no(entries) == pair


def test_missing_ones_are_stripped_texts():
    assert all(entry == entry.strip() for entry in MISSING)
    assert len(set(MISSING)) == len(MISSING)
