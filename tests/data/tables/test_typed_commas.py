"""Commas and points that may be read in two ways, and what decides."""

import pytest

from tests.data.tables.by_hand import table
from xpmlp.data.tables.typed import typed_columns


def test_a_comma_that_may_be_both_is_said():
    columns = {"a": ["1,234", "12,345"], "b": ["1.5", "2"]}
    found = typed_columns(table(columns), [0, 1])
    assert found[0].values.tolist() == [1234, 12345]
    assert found[0].note == "column 'a': '1,234' is read as 1234 (thousands comma)"
    assert found[1].note == ""


@pytest.mark.parametrize(
    ("columns", "layout"),
    [
        ({"a": ["1,234", "12,345"]}, "separated by semicolons"),
        ({"a": ["1,234", "12,345"], "b": ["1,5", "2"]}, "separated by tabs"),
        ({"a": ["1,234", "12,345"], "b": ["1.234,5", "2"]}, "separated by tabs"),
    ],
)
def test_decimal_commas_elsewhere_decide(columns, layout):
    column = typed_columns(table(columns, layout=layout), range(len(columns)))[0]
    assert column.values.tolist() == [1.234, 12.345]
    assert column.note == "column 'a': '1,234' is read as 1.234 (decimal comma)"


@pytest.mark.parametrize("elsewhere", ["1,5", "1.234,5"])
def test_points_between_thousands_where_another_column_has_decimal_commas(elsewhere):
    columns = {"a": ["1.234", "950"], "b": [elsewhere, "2"], "c": ["0.5", "1.234"]}
    found = typed_columns(table(columns), [0, 1, 2])
    assert found[0].values.tolist() == [1234, 950]
    assert found[0].note == "column 'a': '1.234' is read as 1234 (thousands point)"
    assert found[2].values.tolist() == [0.5, 1.234]


def test_a_column_that_is_not_asked_for_decides_as_well():
    raw = table({"a": ["1.234", "9.500"], "b": ["1,5", "2"]})
    assert typed_columns(raw, [0])[0].values.tolist() == [1234, 9500]
    assert typed_columns(raw, [0])[0].note == typed_columns(raw, [0, 1])[0].note


def test_blanks_between_thousands_tell_nothing_of_decimals():
    found = typed_columns(table({"a": ["1.234", "9.500"], "b": ["1 234", "12 345"]}), [0, 1])
    assert found[0].values.tolist() == [1.234, 9.5]


def test_points_are_decimal_without_such_a_column():
    columns = {"a": ["1.234", "9.500"], "b": ["1,234", "12,345"], "c": ["1.5", "2"]}
    found = typed_columns(table(columns), [0, 1, 2])
    assert found[0].values.tolist() == [1.234, 9.5]
    assert found[0].note == ""
