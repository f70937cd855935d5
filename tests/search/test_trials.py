"""Grids in their order, and trials that are drawn: seeded, different, evenly spread."""

import numpy as np
import pytest

from xpmlp.errors import InputError
from xpmlp.search.alternatives import read_options
from xpmlp.search.trials import DRAWS, make_trials, trials_text

GRID = read_options({"hidden": "4,8x8", "l2": "0,0.1,0.2", "optimizer": "sgd"})
RANGES = read_options(
    {"hidden": "4,8..80x8..80", "learning_rate": "1e-4..1", "batch_size": "8..64"}
)


def test_a_grid_has_every_combination_once_the_last_option_first():
    trials = make_trials(GRID)
    assert [(t["hidden"], t["l2"]) for t in trials] == [
        (hidden, l2) for hidden in ((4,), (8, 8)) for l2 in (0.0, 0.1, 0.2)
    ]
    assert all(t["optimizer"] == "sgd" for t in trials)
    assert trials_text(len(trials), GRID, "sobol", 0) == "6 trials, the whole grid"


def test_some_of_a_grid_are_different_and_depend_on_the_seed():
    some = [make_trials(GRID, 3, seed=seed) for seed in range(6)]
    for trials in some:
        assert len({tuple(t.items()) for t in trials}) == 3
        assert all(t in make_trials(GRID) for t in trials)
    assert some[0] == make_trials(GRID, 3, seed=0)
    assert any(trials != some[0] for trials in some)
    assert make_trials(GRID, 50) == make_trials(GRID)


@pytest.mark.parametrize("draw", DRAWS)
def test_what_is_drawn_depends_on_the_seed_alone(draw):
    trials = make_trials(RANGES, 9, draw, seed=5)
    assert trials == make_trials(RANGES, 9, draw, seed=5)
    assert trials != make_trials(RANGES, 9, draw, seed=6)
    assert make_trials(RANGES, 20, draw, seed=5)[:9] == trials
    for trial in trials:
        assert trial["hidden"] == (4,) or all(8 <= width <= 80 for width in trial["hidden"])
        assert 1e-4 <= trial["learning_rate"] <= 1
        assert type(trial["batch_size"]) is int


def test_sobols_points_put_one_trial_into_each_of_as_many_parts_of_a_range():
    rates = [t["learning_rate"] for t in make_trials(RANGES, 16)]
    parts = np.floor((np.log10(rates) + 4) / 4 * 16)
    assert sorted(parts) == list(range(16))


def test_none_comes_twice():
    options = read_options({"batch_size": "1..3"})
    sizes = [trial["batch_size"] for trial in make_trials(options, 40)]
    assert sorted(sizes) == [1, 2, 3]


@pytest.mark.parametrize(
    ("given", "number", "expected"),
    [
        ({"hidden": "4"}, None, "nothing to search"),
        ({"hidden": "4"}, 5, "nothing to search"),
        ({"l2": "0.1..1"}, None, "--l2 is a range, which has no grid"),
        ({"l2": "0,1"}, 0, "--trials is 0"),
        ({"l2": "0,1"}, -1, "--trials is -1"),
        ({"l2": ",".join(map(str, range(10_001)))}, None, "the grid has 10,001 combinations"),
    ],
)
def test_what_is_no_set_of_trials_is_told(given, number, expected):
    with pytest.raises(InputError, match=expected):
        make_trials(read_options(given), number)


def test_a_seed_below_zero_is_told():
    with pytest.raises(InputError, match="--search-seed is -1"):
        make_trials(RANGES, 4, seed=-1)
