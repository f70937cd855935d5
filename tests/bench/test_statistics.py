import math

import numpy as np
import pytest

from bench.statistics import Quartiles, fastest, odd_ones_out, quartiles, ratios


def test_quartiles_of_five_are_the_second_third_and_fourth():
    assert quartiles([5.0, 1.0, 4.0, 2.0, 3.0]) == Quartiles(2.0, 3.0, 4.0)


def test_quartiles_between_values_are_interpolated():
    assert quartiles([1.0, 2.0, 3.0, 4.0]) == Quartiles(1.75, 2.5, 3.25)
    assert quartiles([7.0]) == Quartiles(7.0, 7.0, 7.0)


def test_quartiles_are_those_of_numpy():
    rng = np.random.default_rng(0)
    for count in range(1, 12):
        values = rng.random(count)
        expected = np.percentile(values, [25, 50, 75])
        np.testing.assert_allclose(quartiles(values.tolist()), expected, rtol=1e-15)


def test_ratios_are_taken_round_by_round():
    # A machine that slows down fourfold in the last round: the ratio stays what it is.
    assert ratios([2.0, 2.0, 8.0], [1.0, 1.0, 4.0]) == Quartiles(2.0, 2.0, 2.0)
    # The ratio of the medians would be 3/2.
    assert ratios([1.0, 3.0, 9.0], [1.0, 2.0, 3.0]).median == 1.5
    assert ratios([1.0, 3.0, 4.0], [2.0, 1.0, 1.0]).median == 3.0


def test_a_round_that_is_missing_is_an_error():
    with pytest.raises(ValueError, match="shorter"):
        ratios([1.0, 2.0], [1.0])


def test_the_fastest_has_the_smallest_median():
    assert fastest({"steady": [2.0, 2.0, 2.0], "lucky": [0.1, 3.0, 3.0]}) == "steady"
    assert fastest({}) is None


def test_a_loss_may_differ_by_a_share_of_the_fall():
    # From 2.5 to 0.5: a fall of 2, of which 1 % is 0.02.
    losses = {"a": 0.5, "b": 0.519, "c": 0.481, "high": 0.521, "low": 0.479}
    assert odd_ones_out(losses, 2.5, 0.01) == {
        "high": "its loss ended at 0.521, that of the median row at 0.5",
        "low": "its loss ended at 0.479, that of the median row at 0.5",
    }


def test_rows_that_learnt_nothing_are_found():
    assert list(odd_ones_out({"a": 0.1, "b": 0.1, "idle": 2.3}, 2.3)) == ["idle"]


def test_rounding_late_in_training_is_no_other_loss():
    assert odd_ones_out({"a": 0.010, "b": 0.015, "c": 0.012}, 2.3) == {}


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_found(loss):
    assert odd_ones_out({"a": 0.1, "b": 0.1, "c": loss}, 2.3) == {"c": f"its loss ended as {loss}"}
    assert list(odd_ones_out({"only": loss}, 2.3)) == ["only"]


def test_nothing_to_compare_is_nothing_odd():
    assert odd_ones_out({}, 2.3) == {}
    assert odd_ones_out({"only": 0.3}, 2.3) == {}
    assert odd_ones_out({"a": 2.3, "b": 2.3}, 2.3) == {}
