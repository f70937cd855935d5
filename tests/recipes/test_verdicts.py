"""Verdicts on hand-made figures, and how numbers are written."""

import math

import numpy as np
import pytest

from xpmlp.recipes.base import Golden, Property, Published, Results, Setting
from xpmlp.recipes.numbers import error_text, figure_text, plain
from xpmlp.recipes.verdicts import count, count_text, judge

FULL, QUICK = (Results(Setting(quick=quick), {}) for quick in (False, True))
ONE_TWO_THREE = (1.0, 2.0, 3.0)  # mean 2, sample standard deviation 1


def golden(published, ours, results=FULL):
    (row,) = judge([Golden("figure", published, lambda results: ours)], results)
    return row


def published(figure, ours, results=FULL):
    (row,) = judge([Published("figure", figure, lambda results: ours)], results)
    return row


def a_property(holds, quick=True):
    return Property("reason", lambda results: (holds, "seen"), quick=quick)


def test_a_golden_figure_is_exact_up_to_the_tolerance():
    assert golden(1e12, 1e12 + 1).verdict_text == "exact"
    row = golden(1e12, 1e12 + 2)
    assert row.verdict_text == "fails: largest relative error 2.0e-12"
    assert not row.is_good


def test_a_golden_array_is_judged_entry_by_entry():
    assert golden([[1.0, 0.0]], np.array([[1.0, 0.0]])).ours == "identical"
    row = golden([1.0, 3.0], [1.0, 3.0 + 2**-51])
    assert (row.verdict, row.ours) == ("exact", "largest relative error 1e-16")
    assert golden([1.0, 0.0], [1.0, 1e-300]).detail == "largest relative error inf"
    assert golden([1e9, 1.0], [1e9, 1.1]).detail == "largest relative error 1.0e-01"
    assert golden([1.0, 2.0], [1.0]).detail == "shape (1,) instead of (2,)"
    assert golden(1.0, math.nan).verdict == "fails"


def test_golden_figures_are_judged_in_a_quick_run_too():
    assert golden(0.5, 0.5, QUICK).verdict == "exact"
    assert golden(0.5, 0.6, QUICK).verdict == "fails"


@pytest.mark.parametrize("figure", [5.0, -1.0, 2.0])
def test_within_reaches_to_exactly_three_standard_deviations(figure):
    row = published(figure, ONE_TWO_THREE)
    assert row.verdict_text == "within"
    assert row.spread == (2.0, 1.0, 1.0, 3.0)


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (math.nextafter(5.0, 6.0), "outside: 3.00 sd above our mean"),
        (5.5, "outside: 3.50 sd above our mean"),
        (-2.0, "outside: 4.00 sd below our mean"),
    ],
)
def test_outside_says_how_far(figure, text):
    row = published(figure, ONE_TWO_THREE)
    assert row.verdict_text == text
    assert not row.is_good


def test_without_spread_only_the_same_figure_is_within():
    assert published(0.95, [0.95] * 10).verdict == "within"
    assert published(0.951, [0.95] * 10).verdict_text == "outside: ours has no spread"
    assert published(0.95, [0.95]).verdict == "within"
    assert published(0.951, [0.95]).verdict_text == "outside: ours has no spread"


def test_an_outlier_is_explained_by_a_property_that_holds():
    def judged(holds, explained_by, figure=9.0):
        check = Published("figure", figure, lambda results: ONE_TWO_THREE, explained_by)
        return judge([check, a_property(holds)], FULL)[0]

    row = judged(True, "reason")
    assert row.verdict_text == 'outside: 7.00 sd above our mean, explained by "reason"'
    assert row.is_good
    assert row.counted_as == "outside (explained)"
    for row in (judged(False, "reason"), judged(True, "another reason"), judged(True, "")):
        assert row.verdict_text == "outside: 7.00 sd above our mean"
        assert not row.is_good
    assert judged(True, "reason", figure=2.0).verdict_text == "within"


def test_properties_hold_or_fail():
    holds, fails = judge([a_property(True), a_property(False)], FULL)
    assert (holds.verdict, holds.ours, holds.is_good) == ("holds", "seen", True)
    assert (fails.verdict, fails.ours, fails.is_good) == ("fails", "seen", False)


def test_a_quick_run_judges_neither_published_figures_nor_what_needs_the_full_one():
    row = published(9.0, ONE_TWO_THREE, QUICK)
    assert (row.verdict_text, row.is_good) == ("not judged (quick)", True)
    assert row.ours == "2.0 ± 1.0 (1.0 to 3.0)"

    def unasked(results):
        raise AssertionError

    needs_full = Property("reason", unasked, quick=False)
    (row,) = judge([needs_full], QUICK)
    assert (row.verdict, row.ours, row.is_good) == ("not judged (quick)", "–", True)
    assert judge([a_property(False)], QUICK)[0].verdict == "fails"


def test_counts():
    rows = [
        golden(1.0, 1.0),
        golden(1.0, 1.0),
        golden(1.0, 2.0),
        published(2.0, ONE_TWO_THREE),
        published(9.0, ONE_TWO_THREE),
        *judge([a_property(True), a_property(False)], FULL),
    ]
    assert count_text(rows) == "2 exact, 1 within, 1 outside, 1 hold, 2 fail"
    assert count_text([]) == "0 fail"
    assert sum(count(rows).values()) == len(rows)


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (0.9393, "0.9393"),
        (1.1822479803941373, "1.1822479803941373"),
        (0.9660, "0.966"),
        (5, "5"),
        ((-0.5, 0.5), "(-0.5, 0.5), 2 numbers"),
        ([0, 1, 1, 0], "(0, 1, …), 4 numbers"),
        ([[0.1234567, 1.0], [2.0, 3.0]], "(0.1235, 1, …), 2×2 numbers"),
    ],
)
def test_published_figures_keep_their_digits(figure, text):
    assert figure_text(figure) == text


def test_no_error_at_all_is_a_plain_zero():
    assert [error_text(error) for error in (0.0, 2.2e-16, math.inf)] == ["0", "2e-16", "inf"]


def test_what_asks_for_a_missing_training_is_not_judged():
    def first_seed(results):
        return len(results.runs("lost"))

    checks = [
        Golden("golden", 1.0, first_seed),
        Published("published", 2.0, first_seed),
        Property("property", first_seed),
        Property("needs none", lambda results: (True, "seen")),
    ]
    rows = judge(checks, Results(Setting(), {}, missing=["lost"]))
    assert [row.verdict for row in rows] == 3 * ["not judged (no data)"] + ["holds"]
    assert [row.kind for row in rows[:3]] == ["golden", "published", "property"]
    assert [row.published for row in rows] == [1.0, 2.0, None, None]
    assert all(row.is_good for row in rows)
    assert count_text(rows) == "1 hold, 0 fail, 3 not judged (no data)"


def test_json_has_neither_arrays_nor_what_is_not_finite():
    found = plain([np.array([[1.0, np.nan]]), np.float32(0.5), (math.inf, 3), "text", None])
    assert found == [[[1.0, None]], 0.5, [None, 3], "text", None]
