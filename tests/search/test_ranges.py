"""Draws from stated ranges."""

import numpy as np
import pytest

from xpmlp.errors import InputError
from xpmlp.search.ranges import Ranges
from xpmlp.training.config import Config

BASE = Config(loss="softmax_cross_entropy")


def drawn(n, base=BASE, seed=0, **given):
    return Ranges.of(given).draw(base, n, np.random.default_rng(seed))


def test_each_part_of_a_span_has_a_net_of_its_own():
    configs = drawn(10, learning_rate=(1e-4, 1e-2), l2=(1e-3, 1.0), l2_zeros=0.3)
    exponents = np.sort(np.log10([config.learning_rate for config in configs]))
    assert np.floor((exponents + 4) / 0.2 + 1e-9).astype(int).tolist() == list(range(10))
    penalties = [config.l2 for config in configs]
    assert penalties.count(0.0) == 3
    assert all(1e-3 <= l2 <= 1.0 for l2 in penalties if l2)


def test_choices_come_equally_often():
    configs = drawn(12, dropout=(0.0, 0.2, 0.4), hidden=((8,), (16, 16)), activation=("relu",))
    assert sorted(config.dropout[0] for config in configs) == [0.0] * 4 + [0.2] * 4 + [0.4] * 4
    assert sorted(len(config.hidden) for config in configs) == [1] * 6 + [2] * 6


def test_the_same_generator_draws_the_same():
    assert drawn(5) == drawn(5)
    assert drawn(5) != drawn(5, seed=1)


def test_nets_differ_in_their_seed():
    assert len({config.seed for config in drawn(64)}) == 64


def test_labels_are_smoothed_of_classes_alone():
    values = drawn(4, Config(loss="mean_squared_error"), label_smoothing=(0.3,))
    assert all(config.label_smoothing == 0 for config in values)
    assert all(config.label_smoothing == 0.3 for config in drawn(4, label_smoothing=(0.3,)))


def test_a_linear_net_has_nothing_to_drop():
    assert all(c.dropout == (0.0,) for c in drawn(4, hidden=((),), dropout=(0.5,)))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"learning_rat": (1, 2)}, "learning_rate"),
        ({"learning_rate": (0.0, 1.0)}, "above 0, in order"),
        ({"l2": (1.0, 0.1)}, "above 0, in order"),
        ({"l2": 0.1}, "two numbers"),
        ({"l2_zeros": 1.5}, "a share"),
        ({"dropout": ()}, "one or more"),
        ({"activation": "relu"}, "must be a list"),
    ],
)
def test_what_is_no_range_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        Ranges.of(given)
