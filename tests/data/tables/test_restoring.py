"""A matrix as the entries that it came from."""

from dataclasses import replace

from tests.made_columns import category, date, number, yes_or_no
from xpmlp.data.tables.preparing import fit_rules, fit_scaling, matrix
from xpmlp.data.tables.restoring import entries


def test_entries_come_back_through_the_scaling():
    columns = [
        number("age", 39.5, None, 226_802, 20),
        category("work", "state", None, "private", "private"),
        yes_or_no("member", "yes", "no", None, "yes"),
        date("since", "2024-02-29", "1960-01-02", None, "1970-01-01"),
    ]
    rules = fit_rules(columns)
    scaling = fit_scaling(rules, columns)
    raw = scaling.undo(matrix(rules, columns, scaling=scaling, dtype="float32"))
    assert entries(rules, raw) == [
        ["39.5", "state", "yes", "2024-02-29"],
        ["missing", "missing", "no", "1960-01-02"],
        ["226,802", "private", "missing", "missing"],
        ["20", "private", "yes", "1970-01-01"],
    ]


def test_rare_and_unknown_levels_and_the_day_of_a_time():
    names = [f"{i:02}" for i in range(70)]
    columns = [category("code", *names), number("day", *range(70))]
    rules = fit_rules(columns)
    new = [category("code", "00", "69", "new"), number("day", 0, 1, 2)]
    shown = entries(rules, matrix(rules, new))
    assert [row[0] for row in shown] == ["rare", "69", "unknown"]
    day = date("at", "1970-01-02")
    rules = fit_rules([day])
    for hours in (-0.1, 0, 6, 23.5):
        at = replace(day, values=day.values + hours / 24)
        assert entries(rules, matrix(rules, [at])) == [["1970-01-02"]]
