"""Nets that differ in any of their numbers train in one step, each as it would alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import load_or_skip
from tests.native import native_or_skip
from tests.problems import make_dataset, relative_distance
from xpmlp.errors import InputError
from xpmlp.runs.fitting import fit, fit_many
from xpmlp.training.config import Config
from xpmlp.training.setup import make_members, problems_for
from xpmlp.training.step import metric_names
from xpmlp.training.trainer import Trainer

BASE = Config(hidden=(6, 5), epochs=3, batch_size=8, dtype="float64", learning_rate=0.02)
EVERY_NUMBER = [
    {"beta1": 0.9, "dropout": 0.2, "clip_norm": 1.0, "l2": 0.1},
    {"beta1": 0.0, "beta2": 0.9, "dropout": (0.5, 0.1), "clip_norm": 0.1, "label_smoothing": 0.2},
    {"epsilon": 0.1, "dropout": 0.2, "clip_norm": 9.0, "l1": 0.01, "lr_schedule": "cosine"},
]


def assert_each_as_alone(configs, backend, atol=0.0):
    data = make_dataset()
    assert len({*map(id, problems_for(configs, data, backend))}) == 1
    for mine, config in zip(fit_many(configs, data, backend=backend), configs, strict=True):
        alone = fit(config, data, backend=backend)
        assert relative_distance(mine.model.params, alone.model.params) < 1e-10
        names = metric_names(alone.trainer.objective, 3)
        assert mine.history.metric_names == alone.history.metric_names == names
        np.testing.assert_allclose(mine.history.steps, alone.history.steps, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_members_that_differ_in_every_number(backend, optimizer):
    if (backend.name, optimizer) == ("jax", "adamw"):
        pytest.skip("JAX compiles each net anew, so one optimiser has to do")
    configs = [BASE.replace(optimizer=optimizer, seed=i, **n) for i, n in enumerate(EVERY_NUMBER)]
    assert_each_as_alone(configs, backend)


def test_compiled_for_the_processor():
    base = BASE.replace(optimizer="adam", compile="always")
    configs = [base.replace(seed=i, **numbers) for i, numbers in enumerate(EVERY_NUMBER)]
    assert_each_as_alone(configs, native_or_skip())


@st.composite
def numbers(draw):
    """Return numbers of a net, some of which are those of no penalty, and of no smoothing."""
    unit = st.floats(0.0, 0.95)
    return {
        "seed": draw(st.integers(0, 99)),
        "learning_rate": draw(st.floats(1e-4, 0.05)),
        "lr_schedule": draw(st.sampled_from(["constant", "cosine", "exponential"])),
        "l2": draw(st.sampled_from([0.0, 1e-4, 0.1])),
        "l1": draw(st.sampled_from([0.0, 1e-3])),
        "beta1": draw(unit),
        "beta2": draw(unit),
        "label_smoothing": draw(st.sampled_from([0.0, 0.1, 0.3])),
        "clip_norm": draw(st.floats(0.01, 10.0)),
        "dropout": (draw(st.floats(0.01, 0.9)), 0.0),
        "epochs": draw(st.integers(1, 3)),
    }


@settings(max_examples=15, deadline=None)
@given(st.lists(numbers(), min_size=2, max_size=4), st.sampled_from(["adam", "adamw"]))
def test_any_numbers(members, optimizer):
    configs = [BASE.replace(optimizer=optimizer, **own) for own in members]
    assert_each_as_alone(configs, load_or_skip("numpy"))


def test_what_all_share_is_a_constant_of_the_step():
    configs = [BASE.replace(optimizer="adam", dropout=0.5, beta2=b) for b in (0.9, 0.99)]
    problem, _ = problems_for(configs, make_dataset(), load_or_skip("numpy"))
    assert problem.objective.own == ("beta2",)
    assert problem.objective.dropout == (0.5, 0.5)


@pytest.mark.parametrize(
    "other",
    [{"hidden": (6,)}, {"activation": "tanh"}, {"dropout": 0.5}, {"clip_norm": 1.0}, {"freeze": 1}],
    ids=str,
)
def test_nets_of_other_kinds_have_steps_of_their_own(other):
    configs = [BASE, BASE.replace(**other)]
    assert len({*map(id, problems_for(configs, make_dataset(), load_or_skip("numpy")))}) == 2


@pytest.mark.parametrize("numbers", [{"l2": 0.1}, {"label_smoothing": 0.1}, {"hidden": (7, 5)}])
def test_a_problem_without_a_place_for_a_number_is_refused(numbers):
    one = Trainer(BASE, make_dataset(), load_or_skip("numpy"))
    with pytest.raises(InputError, match="of another net, or has no place for its numbers"):
        Trainer(BASE.replace(**numbers), one.data, one.backend, problem=one.problem)


def test_members_that_stay_together_are_not_parted_between_epochs():
    """Who asks for a state gets one of its own; the others stay where they are."""
    trainers = make_members(
        [BASE.replace(seed=i) for i in range(3)], make_dataset(), load_or_skip("numpy")
    )
    epochs = trainers.epochs()
    next(epochs)
    first, second, third = trainers.trainers
    joined = first.seat.joined
    assert joined.params[0].W.shape == (3, 4, 6)
    assert second.seat.joined is joined
    assert second.state.params[0].W.shape == (4, 6)
    second.state.params[0].W[:] = np.nan
    assert np.isfinite(joined.params[0].W).all()
    second.state = third.state
    next(epochs)
    assert second.seat.joined is first.seat.joined is not joined
    assert relative_distance(second.state.params[:1], third.state.params[:1]) > 0
    list(epochs)
    assert [trainer.seat.k for trainer in trainers.trainers] == [0, 1, 2]


def test_who_ends_before_the_others_lets_go_of_their_states():
    configs = [BASE.replace(seed=i, epochs=epochs) for i, epochs in enumerate((1, 2, 2))]
    members = make_members(configs, make_dataset(), load_or_skip("numpy"))
    list(members.epochs())
    first, second, third = (trainer.seat for trainer in members.trainers)
    assert first.k is None
    assert first.joined.params[0].W.shape == (4, 6)
    assert second.joined is third.joined
