"""Means and their spread, by hand and by NumPy, and how they are written."""

import math

import numpy as np
import pytest

from xpmlp.training.spread import Spread, spread_of, spread_text


def test_spread_by_hand():
    spread = spread_of([0.90, 0.94, 0.92])
    assert spread.mean == pytest.approx(0.92)
    assert spread.sd == pytest.approx(0.02)
    assert spread.distance(0.97) == pytest.approx(2.5)
    assert str(spread) == "0.920 ± 0.020"


@pytest.mark.parametrize(
    ("mean", "deviation", "shown"),
    [
        (0.96607, 0.00063, "0.96607 ± 0.00063"),
        (77.614, 0.357, "77.61 ± 0.36"),
        (1234.5, 67.8, "1234 ± 68"),  # half to even
        (0.5, 0.0, "0.5"),
    ],
)
def test_two_digits_of_the_deviation(mean, deviation, shown):
    assert str(Spread(mean, deviation, mean, mean)) == shown


@pytest.mark.parametrize("ours", [[0.1], [0.1] * 3])
def test_without_a_deviation_all_else_is_infinitely_far(ours):
    spread = spread_of(ours)
    assert not spread.sd > 0
    assert spread.distance(0.1) == 0
    assert spread.distance(0.2) == math.inf
    assert spread.distance(0.0) == -math.inf


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((0.9, 0.94, 0.98), "0.940 ± 0.040 (0.900 to 0.980)"),
        ((0.98271, 0.98274, 0.98277), "0.982740 ± 0.000030 (0.982710 to 0.982770)"),
        ((100.0, 350.0, 600.0), "350 ± 250 (100 to 600)"),
        ((77.0, 79.0, 81.0), "79.0 ± 2.0 (77.0 to 81.0)"),
        ((1.0, 1.0, 1.00000003), "1 ± 1.7e-08 (1 to 1)"),
        ((0.123456789, 0.123456789), "0.123457 (the same for 2 seeds)"),
        ((0.5,), "0.5 (1 seed)"),
    ],
)
def test_means_have_the_digits_that_their_spread_allows(values, text):
    assert spread_text(values) == text
    assert spread_text(np.array(values)) == text


def test_the_spread_is_that_of_a_sample():
    rng = np.random.default_rng(0)
    values = rng.standard_normal(20)
    found = spread_of(values)
    expected = (values.mean(), values.std(ddof=1), values.min(), values.max())
    assert found == pytest.approx(expected, rel=1e-12)
