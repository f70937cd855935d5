"""Nets of several widths train in one step, each as it would alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import load_or_skip
from tests.native import native_or_skip
from tests.problems import make_dataset, relative_distance
from xpmlp.leaves import leaves
from xpmlp.runs.fitting import fit, fit_many
from xpmlp.training.config import Config
from xpmlp.training.setup import make_members, problems_for
from xpmlp.training.widths import PADDED_WORK, widened

BASE = Config(hidden=(6, 5), epochs=3, batch_size=8, dtype="float64", optimizer="adam", l2=0.01)
WIDTHS = [(6, 5), (4, 7), (6, 3)]


def of_widths(*hidden, **options):
    return [BASE.replace(hidden=h, seed=i, **options) for i, h in enumerate(hidden)]


def count_of_problems(configs, backend):
    return len({*map(id, problems_for(configs, make_dataset(), backend))})


@pytest.mark.parametrize(
    "options",
    [
        {"activation": ("relu", "tanh"), "clip_norm": 0.5},
        {"activation": "gelu", "optimizer": "adamw", "early_stopping": 1, "freeze": 1},
        {"activation": "relu", "optimizer": "nesterov", "l1": 0.001, "init_velocity": 0.01},
    ],
    ids=["adam", "adamw", "nesterov"],
)
def test_each_is_the_net_that_it_would_be_alone(backend, options):
    if backend.name == "jax" and "early_stopping" in options:
        pytest.skip("JAX compiles each net anew, so two optimisers have to do")
    data, configs = make_dataset(), of_widths(*WIDTHS, **options)
    assert count_of_problems(configs, backend) == 1
    for mine, config in zip(fit_many(configs, data, backend=backend), configs, strict=True):
        alone = fit(config, data, backend=backend)
        assert relative_distance(mine.model.params, alone.model.params) < 1e-10
        np.testing.assert_allclose(mine.history.steps, alone.history.steps, rtol=1e-9, atol=1e-12)


def test_units_that_a_net_does_not_have_stay_zero():
    members = make_members(of_widths(*WIDTHS), make_dataset(), load_or_skip("numpy"))
    epochs = members.epochs()
    for _ in range(2):
        next(epochs)
        joined = members.trainers[0].seat.joined
        assert joined.params[0].W.shape == (3, 4, 6)
        assert joined.params[1].W.shape == (3, 6, 7)
        for trainer in members.trainers:
            own = [leaf.shape for leaf in leaves(trainer.state[:2])]
            for leaf, shape in zip(leaves(joined[:2]), own, strict=True):
                rest = leaf[trainer.seat.k].copy()
                rest[tuple(map(slice, shape))] = 0.0
                assert not rest.any()


@pytest.mark.parametrize(
    "options",
    [{"activation": "sigmoid"}, {"optimizer": "muon"}, {"dropout": 0.2}],
    ids=str,
)
def test_where_such_units_would_have_an_effect_each_width_is_apart(options):
    assert count_of_problems(of_widths(*WIDTHS, **options), load_or_skip("numpy")) == 3


def test_one_layer_may_have_dropout():
    configs = of_widths((6,), (4,), dropout=0.3)
    backend = load_or_skip("numpy")
    assert count_of_problems(configs, backend) == 1
    for mine, config in zip(
        fit_many(configs, make_dataset(), backend=backend), configs, strict=True
    ):
        alone = fit(config, make_dataset(), backend=backend)
        assert relative_distance(mine.model.params, alone.model.params) < 1e-10


def test_a_processor_computes_each_net_on_its_own():
    assert count_of_problems(of_widths(*WIDTHS, compile="always"), native_or_skip()) == 3


@given(st.lists(st.integers(1, 500), min_size=1, max_size=12))
def test_what_is_computed_for_nothing_is_limited(widths):
    nets = [(10, width, 3) for width in widths]
    wide = widened(nets)
    for sizes in set(wide.values()):
        own = [net for net in nets if wide[net] == sizes]
        assert all(net[1] <= sizes[1] for net in own)
        assert len(own) * sizes[1] <= PADDED_WORK * sum(net[1] for net in own)


def test_near_widths_are_one_kind_and_far_ones_are_not():
    assert widened([(10, 64, 3), (10, 48, 3), (10, 2, 3)]) == {
        (10, 64, 3): (10, 64, 3),
        (10, 48, 3): (10, 64, 3),
        (10, 2, 3): (10, 64, 3),
    }
    assert set(widened([(10, 64, 3), (10, 2, 3), (10, 2, 3)]).values()) == {(10, 64, 3), (10, 2, 3)}
