"""Robust and quantile scaling, against scikit-learn, and what a scaling does and undoes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.preprocessing import QuantileTransformer, RobustScaler, StandardScaler

from tests.thorough import examples
from xpmlp.data.dataset import SCALES, Scaling
from xpmlp.data.scaling import loses_digits, scale_parts, statistics
from xpmlp.training.config import Config

FEW = st.integers(-40, 40).map(lambda tenths: tenths / 10)
TABLES = hnp.arrays(np.float64, st.tuples(st.integers(2, 300), st.integers(1, 3)), elements=FEW)


def varying(x):
    return x.min(axis=0) < x.max(axis=0)


@settings(max_examples=examples(100, few=12), deadline=None)
@given(st.integers(100, 400), st.integers(0, 2**32 - 1))
def test_quantile_is_scikit_learns_fitted_on_each_value_once(n, seed):
    """On the training rows, whose values come many times, between them and outside."""
    rng = np.random.default_rng(seed)
    different = np.unique(rng.lognormal(0, 3, n))
    train = rng.permutation(np.repeat(different, rng.integers(1, 5, n)))[:, None]
    x = np.vstack([train, rng.uniform(train.min() - 1, train.max() + 1, (50, 1))])
    known = QuantileTransformer(n_quantiles=100, subsample=None).fit(different[:, None])
    scaled = statistics(train, "quantile").apply(x, "float64")
    expected = (known.transform(x) - 0.5) * np.sqrt(12)
    np.testing.assert_allclose(scaled, expected, rtol=0, atol=1e-9)


@settings(max_examples=examples(50, few=8), deadline=None)
@given(TABLES, st.integers(0, 2**32 - 1))
def test_ranks_rise_with_the_values_from_end_to_end(train, seed):
    rng = np.random.default_rng(seed)
    x = np.sort(np.vstack([train, rng.uniform(-2, 2, (20, train.shape[1]))]), axis=0)
    scaled = statistics(train, "quantile").apply(x, "float64")
    kept = varying(train)
    assert (np.diff(scaled, axis=0) >= -1e-12).all()
    assert (np.abs(scaled[:, kept]) <= np.sqrt(3) + 1e-12).all()
    np.testing.assert_array_equal(scaled[:, ~kept], (x - train[0])[:, ~kept])


def test_different_values_have_mean_0_and_deviation_1_as_ranks():
    x = np.random.default_rng(0).lognormal(0, 3, (20_000, 2))
    scaled = statistics(x, "quantile").apply(x, "float64")
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(scaled.std(axis=0), 1, atol=1e-3)
    assert np.abs(scaled).max() == pytest.approx(np.sqrt(3))


def test_ranks_by_hand():
    """Of 0 to 99, each a quantile, 0 comes a thousand times: 3 has the rank 3/99, 3.5 3.5/99."""
    x = np.concatenate([np.zeros(1000), np.arange(100.0)])[:, None]
    given = np.array([[-5.0], [0.0], [3.0], [3.5], [99.0], [800.0]])
    ranks = np.array([0, 0, 3, 3.5, 99, 99])[:, None] / 99
    scaled = statistics(x, "quantile").apply(given, "float64")
    np.testing.assert_allclose(scaled, (ranks - 0.5) * 12**0.5, rtol=0, atol=1e-14)


@settings(max_examples=examples(50, few=8), deadline=None)
@given(TABLES)
def test_robust_is_scikit_learns_where_quartiles_differ_else_by_the_deviation(train):
    scaling = statistics(train, "robust")
    known = RobustScaler().fit(train)
    first, third = np.percentile(train, (25, 75), axis=0)
    wide, kept = first < third, varying(train)
    np.testing.assert_allclose(scaling.width[wide], known.scale_[wide], rtol=1e-12)
    np.testing.assert_allclose(scaling.shift[kept], known.center_[kept], rtol=1e-12)
    deviation = StandardScaler().fit(train).scale_
    np.testing.assert_allclose(scaling.width[kept & ~wide], deviation[kept & ~wide], rtol=1e-12)
    assert (scaling.width[~kept] == 1).all()


UNITS = ["standard", "robust", "quantile", "unit", "auto"]


@pytest.mark.parametrize("exponent", [-900, -600, -70, 600, 1010])
@pytest.mark.parametrize("scale", UNITS)
def test_the_unit_of_a_column_makes_no_difference(scale, exponent):
    """Other than for RobustScaler, which leaves a column in units of 1e-20 as it is."""
    x = np.random.default_rng(0).normal(size=(200, 2))
    other = np.ldexp(x, exponent)
    np.testing.assert_allclose(
        statistics(other, scale).apply(other, "float64"),
        statistics(x, scale).apply(x, "float64"),
        rtol=1e-9,
    )
    if exponent == -70:
        assert RobustScaler().fit(other).scale_.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("unit", [1e-310, 5e-324, 1e-300])
def test_differences_that_nothing_can_be_divided_by_are_none(scale, dtype, unit):
    """As of a constant column; a neighbour that has such values among others is scaled well."""
    rng = np.random.default_rng(0)
    tiny, usual = unit * rng.integers(-9, 9, 300), rng.normal(size=300)
    x = np.stack([tiny, usual, np.where(usual > 0.7, usual, tiny)], axis=1)
    (scaled, _), scaling = scale_parts([x, x[:5]], scale, None, dtype)
    scaled = scaled.astype(np.float64)
    assert (np.abs(scaled[:, 0]) < 1e-290).all()
    assert not scaling.are_ranked[0]
    assert scaling.width[0] == 1
    if scale in UNITS:
        zeros = x.copy()
        zeros[np.abs(x) < 1e-290] = 0
        ((expected,), _) = scale_parts([zeros], scale, None, dtype)
        np.testing.assert_allclose(scaled[:, 1], expected[:, 1], rtol=1e-6)
        if not scaling.are_ranked[2]:  # where 0 has a rank between those of its neighbours
            np.testing.assert_allclose(scaled[:, 2], expected[:, 2], rtol=1e-6, atol=1e-280)
        assert np.abs(scaled).max() < 20


@pytest.mark.parametrize("scale", SCALES)
def test_a_scaling_is_undone(scale):
    x = np.random.default_rng(0).normal(3, 2, (500, 3))
    scaling = statistics(x, scale)
    np.testing.assert_allclose(scaling.undo(scaling.apply(x, "float64")), x, rtol=1e-10)


@pytest.mark.parametrize("scale", SCALES)
def test_many_rows_are_scaled_as_few(scale):
    x = np.random.default_rng(0).normal(3, 2, (10_000, 2))
    parts, scaling = scale_parts([x, x[:7]], scale, None, "float32")
    np.testing.assert_array_equal(parts[0], scaling.apply(x, "float32"))
    np.testing.assert_array_equal(parts[1], scaling.apply(x[:7], "float32"))
    assert parts[0].dtype == np.float32


def test_some_columns_alone_may_be_ranked():
    """A column of NaN among the quantiles stands for one that is only shifted and divided."""
    quantiles = np.array([[np.nan, 0.0], [np.nan, 4.0], [np.nan, 6.0]])
    scaling = Scaling(np.array([1.0, 0.0]), np.array([2.0, 1.0]), quantiles)
    x = np.array([[5.0, 2.0], [0.0, 5.0]])
    scaled = scaling.apply(x, "float64")
    np.testing.assert_array_equal(scaled, [[2.0, 0.25], [-0.5, 0.75]])
    np.testing.assert_array_equal(scaling.undo(scaled), x)
    np.testing.assert_array_equal(x, [[5.0, 2.0], [0.0, 5.0]])


@pytest.mark.parametrize("scale", SCALES)
def test_every_scale_is_a_choice_of_a_run(scale):
    assert Config(scale=scale).scale == scale


@pytest.mark.parametrize(
    ("values", "lost"),
    [
        (1.7e9 + np.arange(600.0), True),
        (20_260_101.0 + np.arange(300), True),
        (np.arange(600.0), False),
        (np.random.default_rng(0).uniform(size=1_000_000), False),
        (np.full(9, 1e10 + 1), False),
        (1e300 * np.arange(1, 4), True),
    ],
)
def test_columns_whose_values_fall_together_in_float32_lose_their_digits(values, lost):
    assert loses_digits(values, "float32") is lost
    assert not loses_digits(values, "float64")


def test_auto_ranks_the_columns_with_a_long_tail_alone():
    rng = np.random.default_rng(0)
    x = np.stack([rng.normal(size=500), rng.lognormal(0, 2, 500), np.full(500, 3.0)], axis=1)
    auto, standard, ranks = (statistics(x, scale) for scale in ("auto", "standard", "quantile"))
    assert auto.are_ranked.tolist() == [False, True, False]
    scaled = auto.apply(x, "float64")
    np.testing.assert_array_equal(scaled[:, 0], standard.apply(x, "float64")[:, 0])
    np.testing.assert_array_equal(scaled[:, 1], ranks.apply(x, "float64")[:, 1])
    np.testing.assert_array_equal(scaled[:, 2], 0)
    np.testing.assert_allclose(auto.undo(scaled), x, rtol=1e-9)
    assert statistics(x[:, :1], "auto").quantiles is None
