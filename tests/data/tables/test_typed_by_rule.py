from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from tests.data.tables.by_hand import line, refused, texts
from xpmlp.data.tables.typed import read_as


def by_rule(kind, notation, levels, entries):
    return read_as("a", kind, notation, levels, texts(entries), line)


def test_a_new_file_is_read_by_the_rule():
    found = by_rule("number", "thousands comma", (), ["1,234", "1234", "5.5", None])
    np.testing.assert_array_equal(found.values, [1234, 1234, 5.5, np.nan])
    found = by_rule("number", "plain", (), ["00501", "NA", "9007199254740993"])
    np.testing.assert_array_equal(found.values, [501, np.nan, 2.0**53])
    found = by_rule("category", "", ("b", "a"), ["a", "new", None, "b"])
    assert found.values.tolist() == [1, -2, -1, 0]
    assert found.missing.tolist() == [False, False, True, False]
    assert found.levels == ("b", "a")
    found = by_rule("yes/no", "", ("No", "Yes"), ["YES", "no", None])
    np.testing.assert_array_equal(found.values, [1, 0, np.nan])
    found = by_rule("date", "DD.MM.YYYY", (), ["2.1.1970"])
    assert found.values.tolist() == [1]


@pytest.mark.parametrize(
    ("kind", "notation", "levels", "bad", "expected"),
    [
        ("number", "plain", (), "1,5", "a number"),
        ("number", "plain", (), "inf", "a number"),
        ("number", "decimal comma", (), "1.5", "a number such as 1234,5"),
        ("date", "DD.MM.YYYY", (), "30.02.2024", "a date as DD.MM.YYYY"),
        ("date", "YYYY-MM-DD", (), "19782", "a date as YYYY-MM-DD"),
        ("yes/no", "", ("no", "yes"), "maybe", "'no' or 'yes'"),
    ],
)
def test_entries_against_the_rule_are_refused(kind, notation, levels, bad, expected):
    message = refused(lambda: by_rule(kind, notation, levels, [None, bad]), "t.csv, line 3")
    assert f"column 'a': expected {expected}, got {bad!r}; correct it" in message


def test_arrow_types_against_the_rule():
    bools = pa.chunked_array([pa.array([True, None])])
    numbers = pa.chunked_array([pa.array([1.0, 2.5])])
    dates = pa.chunked_array([pa.array([date(1970, 1, 2)])])
    np.testing.assert_array_equal(
        read_as("a", "number", "plain", (), bools, line).values, [1, np.nan]
    )
    assert read_as("a", "category", "", ("1", "2.5"), numbers, line).values.tolist() == [0, 1]
    refused(lambda: read_as("a", "date", "YYYY-MM-DD", (), numbers, line), "got '1'")
    refused(lambda: read_as("a", "yes/no", "", ("n", "y"), numbers, line), "'n' or 'y', got '1'")
    refused(lambda: read_as("a", "number", "plain", (), dates, line), "got '1970-01-02'")
