"""The matrix of a table: by hand, and against scikit-learn's transformers on random tables."""

import json
import tracemalloc
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from tests.made_columns import category, date, number, tables, yes_or_no
from tests.thorough import examples
from xpmlp.data.dataset import SCALES
from xpmlp.data.scaling import statistics
from xpmlp.data.tables import preparing
from xpmlp.data.tables.columns import Column
from xpmlp.data.tables.preparing import (
    feature_names,
    fit_rules,
    fit_scaling,
    lost_digits,
    matrix,
    too_large,
)
from xpmlp.data.tables.rules import ColumnRule
from xpmlp.errors import InputError

PEOPLE = [
    number("age", 39, None, 50, 20),
    category("work", "state", None, "private", "private"),
    yes_or_no("member", "yes", "no", None, "yes"),
    date("since", "1970-01-03", "1970-01-02", "1970-01-05", None),
]


def test_a_table_by_hand():
    rules = fit_rules(PEOPLE)
    assert feature_names(rules) == (
        *("age", "age missing", "work=private", "work=state", "work missing"),
        *("member", "member missing", "since", "since missing"),
    )
    np.testing.assert_array_equal(
        matrix(rules, PEOPLE),
        [
            [39, 0, 0, 1, 0, 1, 0, 2, 0],
            [39, 1, 0, 0, 1, 0, 0, 1, 0],
            [50, 0, 1, 0, 0, 1, 1, 4, 0],
            [20, 0, 1, 0, 0, 1, 0, 2, 1],
        ],
    )
    assert [rule.fill for rule in rules] == [39, 0, 1, 2]


def test_numbers_and_dates_are_scaled_and_nothing_else():
    rules = fit_rules(PEOPLE)
    scaling = fit_scaling(rules, PEOPLE)
    np.testing.assert_array_equal(scaling.shift, [37, 0, 0, 0, 0, 0, 0, 2.25, 0])
    assert (scaling.width != 1).tolist() == [True, *[False] * 6, True, False]
    ages = np.array([39.0, 39, 50, 20])
    np.testing.assert_allclose(
        matrix(rules, PEOPLE, scaling=scaling)[:, 0], (ages - 37) / ages.std(), rtol=1e-15
    )


def test_what_only_other_rows_have_is_unknown():
    columns = [number("age", 1, 3, None), category("work", "a", "b", "c")]
    rules = fit_rules(columns, np.array([0, 1]))
    assert feature_names(rules) == ("age", "work=a", "work=b")
    assert matrix(rules, columns).tolist() == [[1, 1, 0], [3, 0, 1], [2, 0, 0]]


def test_new_tables_have_levels_and_orders_of_their_own():
    """Texts are found by what they are, not by their place, and columns by their names."""
    rules = fit_rules([number("age", 1, 3), category("work", "a", "b")])
    other = [
        category("work", "new", "b", None, -2, "a", levels=("0", "a", "b", "new")),
        number("height", 1, 1, 1, 1, 1),
        number("age", 5, None, 6, 7, 8),
    ]
    expected = [[5, 0, 0], [2, 0, 1], [6, 0, 0], [7, 0, 0], [8, 1, 0]]
    assert matrix(rules, other).tolist() == expected


def by_scikit_learn(columns, n):
    """The matrix of all rows by transformers that are fitted on the first n."""
    frame = pd.DataFrame(
        {
            c.name: np.array([*c.levels, None])[c.values]
            if c.levels and c.kind != "yes/no"
            else c.values
            for c in columns
        }
    )
    parts = []
    for column in columns:
        name, training = column.name, frame[:n]
        known = training[name].notna()
        if column.kind == "category":
            if known.any():
                limit = preparing.MOST_LEVELS
                many = training[name][known].nunique() > limit
                encoder = OneHotEncoder(
                    handle_unknown="ignore", max_categories=limit if many else None
                )
                encoder.fit(training.loc[known, [name]])
                parts.append(encoder.transform(frame[[name]].fillna("?")).toarray())
        else:
            scaler = StandardScaler() if column.kind != "yes/no" else FunctionTransformer()
            imputer = SimpleImputer(strategy="median", keep_empty_features=True)
            steps = ColumnTransformer([(name, make_pipeline(imputer, scaler), [name])])
            parts.append(steps.fit(training).transform(frame))
        there = np.where(frame[[name]].isna(), np.nan, 1.0)
        indicator = MissingIndicator(error_on_new=False).fit(there[:n])
        parts.append(indicator.transform(there))
    return np.hstack(parts).astype(np.float64)


@settings(max_examples=examples(80, few=15), deadline=None)
@given(tables(), st.sampled_from([3, 64]))
def test_random_tables_are_as_scikit_learn_has_them(table, limit):
    columns, n = table
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preparing, "MOST_LEVELS", limit)
        rules = fit_rules(columns, np.arange(n))
        expected = by_scikit_learn(columns, n)
    scaling = fit_scaling(rules, columns, np.arange(n))
    found = matrix(rules, columns, scaling=scaling)
    assert found.shape == (len(columns[0]), len(feature_names(rules)))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    chosen = np.arange(len(columns[0]))[::-2]
    np.testing.assert_array_equal(matrix(rules, columns, chosen, scaling), found[chosen])
    np.testing.assert_array_equal(
        matrix(rules, columns, scaling=scaling, dtype="float32"), found.astype(np.float32)
    )


@pytest.mark.parametrize(
    ("scale", "scaler"),
    [
        ("robust", RobustScaler()),
        ("quantile", QuantileTransformer(n_quantiles=100, subsample=None)),
    ],
)
def test_other_scales_are_scikit_learns_too(scale, scaler):
    rng = np.random.default_rng(0)
    columns = [
        number("age", *rng.normal(size=300)),
        category("work", *rng.choice(["a", "b"], 300)),
        number("hours", *rng.lognormal(size=300)),
    ]
    rules, rows = fit_rules(columns), np.arange(200)
    scaling = fit_scaling(rules, columns, rows, scale)
    found = matrix(rules, columns, scaling=scaling)
    raw = np.stack([columns[0].values, columns[2].values], axis=1)
    expected = scaler.fit(raw[:200]).transform(raw)  # of different values, where it rounds nothing
    if scale == "quantile":
        expected = (expected - 0.5) * np.sqrt(12)
    np.testing.assert_allclose(found[:, [0, 3]], expected, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(found[:, 1:3], matrix(rules, columns)[:, 1:3])


@pytest.mark.parametrize(("levels", "kept", "rare"), [(64, 64, 0), (65, 63, 2), (100, 63, 37)])
def test_rare_levels_share_a_column_beyond_64(levels, kept, rare):
    names = [f"{i:03}" for i in range(levels)]
    columns = [category("code", *names, *names[rare:], None)]
    (rule,) = fit_rules(columns)
    assert (rule.kept, len(rule.levels) - rule.kept, rule.rare) == (kept, rare, rare > 0)
    if rare:
        assert rule.levels == (*names[rare:], *names[:rare])
        assert rule.names[-2:] == ("code rare", "code missing")
    x = matrix([rule], columns)
    assert x.shape[1] == 65
    assert (x.sum(axis=1) == 1).all()
    assert x[:rare, 63].all()
    assert x[-1, -1] == 1


def test_columns_without_any_entry_and_of_one_level():
    columns = [
        number("empty", None, None),
        category("none", None, None, levels=("a",)),
        category("one", "a", "a"),
        yes_or_no("maybe", None, None),
    ]
    rules = fit_rules(columns)
    assert feature_names(rules) == (
        *("empty", "empty missing", "none missing", "one=a", "maybe", "maybe missing"),
    )
    x = matrix(rules, columns, scaling=fit_scaling(rules, columns))
    assert x.tolist() == [[0, 1, 1, 1, 0, 1]] * 2


def test_a_rule_is_json():
    for rule in fit_rules(PEOPLE):
        assert ColumnRule.from_dict(json.loads(json.dumps(rule.to_dict()))) == rule
    about = fit_rules(PEOPLE)[0].to_dict()
    for damage in ({"kind": "colour"}, {"kind": "text"}, {"notation": "a"}, {"kept": 1}):
        with pytest.raises(ValueError, match="the rule of its column 'age' can't be"):
            ColumnRule.from_dict(about | damage)
    for name, value in {"name": 1, "levels": "ab", "kept": True, "fill": None}.items():
        with pytest.raises(ValueError, match=f"its {name} is .*, expected"):
            ColumnRule.from_dict(about | {name: value})


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (number("height", 1), "there is no column 'age', which the model takes"),
        (category("age", "1"), "column 'age' is a category, and must be a number"),
    ],
)
def test_columns_of_another_table_are_refused(column, message):
    with pytest.raises(InputError, match=message):
        matrix(fit_rules([number("age", 1, 2)]), [column])


def test_another_yes_and_no_is_refused():
    rules = fit_rules([yes_or_no("member", "yes")])
    with pytest.raises(InputError, match="'member' has f and t, and must have no and yes"):
        matrix(rules, [yes_or_no("member", "t", levels=("f", "t"))])


def test_columns_that_lose_digits_unscaled_are_named():
    columns = [
        number("seconds", *(1.7e9 + np.arange(600))),
        number("age", *range(600)),
        category("work", *["a"] * 600),
    ]
    assert lost_digits(fit_rules(columns), columns) == ("seconds",)


def test_a_column_of_values_too_large_for_a_scale_is_named():
    columns = [number("small", 1, 2, 3), number("huge", 1e300, 1.7e308, -1.7e308)]
    rules = fit_rules(columns)
    found = {}
    for scale in SCALES:
        scaling = fit_scaling(rules, columns, scale=scale)
        x = matrix(rules, columns, scaling=scaling, dtype="float32")
        assert np.isfinite(x[:, 0]).all()
        found[scale] = too_large(rules, scaling, x)
    ranks = dict.fromkeys(("robust", "quantile", "auto"))
    assert found == dict.fromkeys(SCALES, "huge") | ranks


def test_little_memory_is_taken_beside_the_matrix():
    """Of 200,000 rows the matrix has 26 MB; what is computed at once are 4096 rows of float64."""
    rng, n = np.random.default_rng(0), 200_000
    columns = [Column(f"n{i}", "number", rng.normal(size=n)) for i in range(12)]
    places = rng.integers(0, 20, n).astype(np.int32)
    columns.append(Column("c", "category", places, tuple(f"{i:02}" for i in range(20))))
    rules, rows = fit_rules(columns), rng.permutation(n)
    scaling = fit_scaling(rules, columns, rows)
    tracemalloc.start()
    x = matrix(rules, columns, rows, scaling, "float32")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak - x.nbytes < 5 * 4096 * x.shape[1] * 8
    expected = statistics(columns[0].values[:, None], "standard").apply(
        columns[0].values[rows, None], "float32"
    )
    np.testing.assert_allclose(x[:, :1], expected, rtol=1e-5, atol=1e-6)


def test_rules_are_compared_by_what_they_say():
    rule = fit_rules(PEOPLE)[0]
    assert rule != replace(rule, fill=2.0)
