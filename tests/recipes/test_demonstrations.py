"""What recipes share, on runs whose figures are known."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.problems import make_dataset
from xpmlp.recipes.base import Results, Setting
from xpmlp.recipes.demonstrations import (
    Place,
    accuracy_within,
    all_correct,
    check_untrained,
    distance,
    ends_lower,
    epoch_curve,
    gradient_table,
    untrained,
)
from xpmlp.runs.fitting import fit
from xpmlp.training.config import Config
from xpmlp.training.gradient_check import ArrayCheck


def ended_with(**figures: float) -> SimpleNamespace:
    """A run that ended with these figures."""
    return SimpleNamespace(record=SimpleNamespace(**figures))


def results_of(*groups) -> Results:
    """The groups of runs as trainings a, b, ..."""
    return Results(Setting(), {name: {"": runs} for name, runs in zip("ab", groups, strict=False)})


@pytest.fixture
def run():
    data = make_dataset(rows=30, features=3, classes=2, dtype="float64")
    config = Config(hidden=(4,), epochs=2, dtype="float64", backend="numpy", device="cpu")
    return fit(config.replace(init_bias_std=0.1), data)


def test_untrained_is_the_net_before_the_first_step(run):
    start = untrained(run)
    again = fit(run.trainer.config, run.trainer.data, initial=start.params).model
    np.testing.assert_array_equal(again.params[0].W, run.model.params[0].W)
    assert (start.params[0].W != run.model.params[0].W).any()


def test_distance_is_relative_to_what_is_expected():
    assert distance(np.array([3.0, 8.0]), np.array([3.0, 4.0])) == 4 / 5


@pytest.mark.parametrize(
    ("low", "high", "holds"), [(0.9, 1.0, True), (0.91, 1, False), (0, 0.94, False)]
)
def test_accuracy_within_asks_every_seed(low, high, holds):
    results = results_of([ended_with(train_accuracy=0.9), ended_with(train_accuracy=0.95)])
    assert accuracy_within("", Place("a"), low, high).ours(results)[0] is holds


@pytest.mark.parametrize(("b", "holds"), [((2.0, 4.0), True), ((3.0, 3.0), False)])
def test_ends_lower_compares_seed_by_seed(b, holds):
    """1 < 2 and 3 < 4; but 3 is not below 3, although the mean of 1 and 3 is."""
    results = results_of(
        *([ended_with(train_loss=loss) for loss in group] for group in ((1.0, 3.0), b))
    )
    assert ends_lower("", Place("a"), Place("b"), "train_loss").ours(results)[0] is holds


def test_a_stopped_run_goes_on_with_the_figure_it_kept():
    def stopped(losses, kept, epochs):
        return SimpleNamespace(
            history=SimpleNamespace(epoch_values=lambda figure: np.array(losses)),
            record=SimpleNamespace(train_loss=kept),
            trainer=SimpleNamespace(config=SimpleNamespace(epochs=epochs)),
        )

    runs = [stopped([3.0, 1.0, 2.0], 1.0, 5), stopped([5.0, 4.0, 3.0, 2.0, 1.0], 1.0, 5)]
    curve = epoch_curve("loss", runs, "train_loss")
    np.testing.assert_array_equal(curve.values, [4, 2.5, 2.5, 1.5, 1])


def test_gradients_of_every_training_are_checked_before_training(run):
    results = results_of([run], [run])
    found = check_untrained(results, l2=0.1, epsilon=1e-4)
    assert [(name, [check.name for check in checks]) for name, checks in found.items()] == [
        ("a", ["W1", "b1", "W2", "b2"]),
        ("b", ["W1", "b1", "W2", "b2"]),
    ]
    assert all_correct(found)[0]
    assert gradient_table(found).count("CORRECT") == 8


def test_one_wrong_array_is_enough():
    good, wrong = ArrayCheck("W1", 1e-9, 4, 1), ArrayCheck("b1", 1e-3, 2, 0)
    assert all_correct({"net": [good]}) == (
        True,
        "1 arrays, largest error 1e-09, 1 of 4 entries skipped at a kink",
    )
    assert not all_correct({"net": [good], "other": [wrong]})[0]
    assert gradient_table({"net": [good, wrong]}).splitlines()[2].endswith("WRONG")
