"""Which trials go on, worked by hand."""

import math

import pytest

from xpmlp.errors import InputError
from xpmlp.search.halving import Halving, kept_so_far, kept_together, make_halving, ranked

LOSSES = {1: 0.9, 2: 0.3, 3: math.nan, 4: 0.3, 5: 0.7, 6: 0.1, 7: 0.8, 8: 0.6, 9: 0.5}


def test_nine_trials_of_nine_epochs_by_three():
    """9 → 3 after epoch 1, 3 → 1 after epoch 3: 9 + 2·3 + 6·1 epochs in place of 81."""
    assert make_halving("sync", 9, 9, 3) == Halving("sync", 3, (1, 3))
    first = kept_together(LOSSES, 9, 3, 0)
    assert first == {6, 2, 4}
    later = {2: 0.25, 4: 0.2, 6: 0.4}
    assert kept_together(later, 9, 3, 1) == {4}


@pytest.mark.parametrize(
    ("epochs", "trials", "eta", "first", "rungs"),
    [
        (81, 81, 3, None, (1, 3, 9, 27)),  # Hyperband's table 1, bracket s = 4
        (81, 27, 3, None, (3, 9, 27)),  # and s = 3
        (81, 9, 3, None, (9, 27)),
        (81, 100, 3, 20, (20, 60)),
        (16, 16, 2, None, (1, 2, 4, 8)),
        (10, 16, 3, None, (1, 3)),
        (100, 4, 4, None, (25,)),
    ],
)
def test_rungs(epochs, trials, eta, first, rungs):
    assert make_halving("sync", epochs, trials, eta, first).rungs == rungs


def test_hyperbands_numbers_of_trials():
    """n_i = ⌊n·η⁻ⁱ⌋: 81, 27, 9, 3, 1."""
    scores = dict(enumerate(range(81)))
    for rung, kept in enumerate((27, 9, 3, 1)):
        assert kept_together(scores, 81, 3, rung) == set(range(kept))


def test_one_always_goes_on_unless_all_failed():
    assert kept_together({1: 5.0, 2: 4.0}, 2, 3, 1) == {2}
    assert kept_so_far({1: 5.0}, 3) == {1}
    assert kept_together({1: math.nan}, 1, 3, 0) == kept_so_far({1: math.nan}, 3) == set()


def test_asynchronous_trials_are_judged_beside_those_before():
    scores = {1: 0.5}
    assert 1 in kept_so_far(scores, 2)
    assert 2 not in kept_so_far(scores | {2: 0.6}, 2)
    assert 3 in kept_so_far(scores | {2: 0.6, 3: 0.4}, 2)
    assert kept_so_far(scores | {2: 0.6, 3: 0.4, 4: 0.1}, 2) == {3, 4}


def test_of_equal_ones_the_first_comes_first_and_what_failed_nowhere():
    assert ranked(LOSSES) == [6, 2, 4, 9, 8, 5, 7, 1]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((1, 9, 3), "have no rung to drop any at"),
        ((9, 2, 3), "have no rung to drop any at"),
        ((9, 9, 1), "--eta is 1"),
        ((9, 9, 3, 9), "--first-rung is 9; it must be from 1 to 8"),
    ],
)
def test_what_is_no_halving_is_told(options, expected):
    with pytest.raises(InputError, match=expected):
        make_halving("sync", *options)
