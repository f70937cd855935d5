"""What a divergence says of the steps before it, on histories worked by hand."""

import re

import numpy as np
import pytest

from tests.conftest import load_or_skip
from tests.problems import make_dataset
from xpmlp.errors import DivergenceError
from xpmlp.training.config import Config
from xpmlp.training.diverging import what_went_first
from xpmlp.training.history import EpochRecord, History
from xpmlp.training.members import Members
from xpmlp.training.trainer import Trainer

INF, NAN = np.inf, np.nan
NAMES = ("loss", *(f"norm_d{leaf}{i}" for i in (1, 2, 3) for leaf in "Wb"))
EPOCH = EpochRecord(1, 0.1, 1.0, None, None, None, 1.0, 1.0)


def history_of(*steps, names=NAMES, before=()):
    """Return a history that ends in a failed epoch of some steps, after one of others."""
    history = History(names)
    if before:
        history.append(EPOCH, np.array(before), np.ones(len(before)))
    history.fail(np.array(steps), np.ones(len(steps)))
    return history


def step(loss, first, second, third):
    """Return the metrics of a step whose layers have gradients of these norms (3 : 4 : 5)."""
    return [loss, *(part * norm for norm in (first, second, third) for part in (0.6, 0.8))]


def test_the_layer_is_named_whose_norm_was_lost_first():
    """Layer 2 is lost a step before the loss; the others follow with it."""
    history = history_of(
        step(1.0, 1, 2, 3),
        step(9.0, 10, 31_000, 30),
        step(1e9, 1e3, 2.2e19, 1e4),
        step(1e30, 1e9, INF, 1e8),
        step(NAN, NAN, NAN, NAN),
    )
    assert what_went_first(history, 10) == (
        ": the gradient of layer 2 was the first whose norm was not finite, at step 4 "
        "(norms up to there: 3.1e+04, 2.2e+19, inf)"
    )


def test_of_several_it_is_the_one_that_backpropagation_reaches_first():
    history = history_of(step(1.0, 1, 2, 4), step(9.0, INF, INF, 8), step(INF, 1, INF, INF))
    text = what_went_first(history, 10)
    assert text.startswith(": the gradient of layer 2 was the first")
    assert text.endswith("at step 2 (norms up to there: 2, inf)")


def test_one_of_weights_alone_or_of_biases_alone_counts():
    lost = [5.0, *(1, 1), *(1, 1), *(3, NAN)]
    assert "layer 3 was the first" in what_went_first(history_of(step(1, 1, 2, 3), lost), 10)


def test_gradients_that_are_lost_with_the_loss_tell_their_largest_before():
    history = history_of(
        step(1, 1, 2, 3), step(2, 5, 60, 7), step(4, 70, 800, 9), step(8, 9, 1e4, 3e5)
    )
    history.fail(np.array([*history.steps, step(NAN, NAN, NAN, NAN)]), np.ones(5))
    assert what_went_first(history, 10) == (
        ": all gradients were finite until then, that of layer 3 the largest "
        "(norms up to there: 7, 9, 3e+05)"
    )


def test_a_loss_that_overflows_alone_is_told_by_the_norms_of_its_own_step():
    history = history_of(step(1, 1, 2, 3), step(INF, 40, 5, 6))
    assert what_went_first(history, 10).endswith("layer 1 the largest (norms up to there: 1, 40)")


def test_all_that_are_lost_before_the_loss_are_told_of_the_last_layer():
    history = history_of(step(1, 1, 2, 3), step(2, NAN, NAN, NAN))
    assert "layer 3 was the first" in what_went_first(history, 10)


def test_a_step_of_an_earlier_epoch_says_so():
    """The optimiser bounds what it makes of it, so that the loss goes on for a while."""
    before = [step(1, 1, 2, 3), step(2, INF, 3, 4)]
    history = history_of(step(NAN, NAN, NAN, NAN), before=before)
    assert "layer 1 was the first whose norm was not finite, at step 2 of epoch 1 (" in (
        what_went_first(history, 2)
    )


def test_frozen_layers_have_no_norms_and_the_others_keep_their_numbers():
    names = ("loss", "penalty", "norm_dW3", "norm_db3")
    history = history_of([1, 0.1, 3, 4], [2, 0.1, INF, 1], names=names)
    assert "layer 3 was the first" in what_went_first(history, 10)
    assert "(norms up to there: 5, inf)" in what_went_first(history, 10)


@pytest.mark.parametrize("names", [NAMES, ("loss",)])
def test_without_norms_or_a_step_before_nothing_is_told(names):
    assert what_went_first(history_of([NAN] * len(names), names=names), 10) == ""


CONFIG = Config(
    hidden=(6,), epochs=4, batch_size=8, optimizer="sgd", lr_schedule="constant", dtype="float64"
)
TOLD = (
    r"the loss became (nan|inf) at step \d of epoch 1: (the gradient of layer \d was the first "
    r"whose norm was not finite, at step \d|all gradients were finite until then, that of layer "
    r"\d the largest) \(norms up to there: [^)]+\); try a smaller learning_rate than [^\n]+"
)


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
def test_runs_alone_and_in_company_tell_it():
    backend, data = load_or_skip("numpy"), make_dataset()
    wild = CONFIG.replace(learning_rate=1e200)
    with pytest.raises(DivergenceError) as caught:
        list(Trainer(wild, data, backend).epochs())
    assert re.fullmatch(TOLD, str(caught.value))
    calm = Trainer(CONFIG, data, backend)
    trainers = [calm, Trainer(wild, data, backend, problem=calm.problem)]
    members = Members(trainers)
    list(members.epochs())
    assert list(members.failures) == [1]
    assert re.fullmatch(TOLD, str(members.failures[1]))
    assert len(calm.history.epochs) == 4


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
def test_without_recorded_norms_a_run_tells_loss_and_step():
    config = CONFIG.replace(learning_rate=1e200, record="loss")
    with pytest.raises(DivergenceError, match=r"step \d of epoch 1; try a smaller"):
        list(Trainer(config, make_dataset(), load_or_skip("numpy")).epochs())
