"""The learning rate in one's own hands: set between epochs, planned anew where a run goes on."""

import math

import numpy as np
import pytest

from tests.conftest import load_or_skip
from tests.problems import make_dataset
from xpmlp.errors import InputError
from xpmlp.runs.fitting import fit
from xpmlp.runs.run import Trainer as PublicTrainer
from xpmlp.training.callbacks import Callback
from xpmlp.training.checkpoint import Checkpoint
from xpmlp.training.config import Config
from xpmlp.training.trainer import Trainer

CONFIG = Config(hidden=(3,), epochs=4, batch_size=10, dtype="float64", learning_rate=0.08)
STEPS = 3  # of an epoch of 30 rows


@pytest.fixture
def trainer():
    return Trainer(CONFIG, make_dataset(), load_or_skip("numpy"))


def cosine(step, steps):
    return 0.5 * (1 + math.cos(math.pi * step / steps))


def train(trainer, epochs):
    for _, _ in zip(range(epochs), trainer.epochs(), strict=False):
        pass


def test_a_rate_that_is_set_counts_from_the_next_epoch_on(trainer):
    train(trainer, 1)
    trainer.learning_rate = 0.02
    assert trainer.learning_rate == 0.02
    train(trainer, 3)
    rates = [0.08] * STEPS + [0.02] * 3 * STEPS
    expected = [rate * cosine(i, 4 * STEPS) for i, rate in enumerate(rates)]
    np.testing.assert_allclose(trainer.history.learning_rates, expected, rtol=1e-14)
    assert trainer.history.epochs[1].learning_rate == trainer.history.learning_rates[STEPS]


def test_it_trains_with_that_rate():
    """The epoch after is that of a trainer with this rate from the same state."""
    config, backend = CONFIG.replace(lr_schedule="constant"), load_or_skip("numpy")
    orders = [np.random.default_rng(i).permutation(30) for i in range(2)]
    trainer = Trainer(config, make_dataset(), backend, order=lambda epoch: orders[epoch])
    train(trainer, 1)
    slower = config.replace(learning_rate=0.02)
    other = Trainer(slower, make_dataset(), backend, order=lambda _: orders[1])
    other.state = trainer.state
    trainer.learning_rate = 0.02
    train(trainer, 1)
    train(other, 1)
    np.testing.assert_array_equal(trainer.model().params[0].W, other.model().params[0].W)


def test_a_checkpoint_keeps_the_rate(trainer, tmp_path):
    train(trainer, 1)
    trainer.learning_rate = 0.02
    trainer.checkpoint().save(tmp_path / "half")
    again = Trainer(CONFIG, make_dataset(), load_or_skip("numpy"))
    again.resume(Checkpoint.load(tmp_path / "half"))
    assert again.learning_rate == 0.02
    train(trainer, 4)
    train(again, 4)
    np.testing.assert_array_equal(again.history.learning_rates, trainer.history.learning_rates)
    np.testing.assert_array_equal(again.model().params[0].W, trainer.model().params[0].W)


@pytest.mark.parametrize("rate", [0, -0.1, math.nan, math.inf, True, "0.1", None])
def test_what_is_no_rate_is_refused(trainer, rate):
    with pytest.raises(InputError, match="learning_rate is .*; it must be a number above 0"):
        trainer.learning_rate = rate
    assert trainer.learning_rate == 0.08


@pytest.mark.parametrize("name", ["hyper", "learning_rat", "config", "lr"])
def test_nothing_else_is_taken(trainer, name):
    with pytest.raises(AttributeError, match=f"^{name} of a trainer can't be set; learning_rate"):
        setattr(trainer, name, 1)


def resumed(checkpoint, changes, **options):
    config = CONFIG.replace(**changes)
    trainer = Trainer(config, make_dataset(), load_or_skip("numpy"))
    trainer.resume(checkpoint, **options)
    train(trainer, config.epochs)
    return trainer


def test_another_rate_plans_the_epochs_that_are_left_anew(trainer):
    train(trainer, 1)
    checkpoint = trainer.checkpoint()
    rates = resumed(checkpoint, {"learning_rate": 0.5, "epochs": 3}).history.learning_rates
    expected = [0.5 * cosine(i, 2 * STEPS) for i in range(2 * STEPS)]
    np.testing.assert_allclose(rates[STEPS:], expected, rtol=1e-14)
    np.testing.assert_array_equal(rates[:STEPS], checkpoint.rates[0])


def test_the_same_rate_is_planned_anew_where_that_is_asked_for(trainer):
    train(trainer, 2)
    again = resumed(trainer.checkpoint(), {}, replan=True)
    expected = [0.08 * cosine(i, 2 * STEPS) for i in range(2 * STEPS)]
    np.testing.assert_allclose(again.history.learning_rates[2 * STEPS :], expected, rtol=1e-14)
    assert [(plan.since, plan.begins) for plan in again.plans] == [(0, 0), (2, 2)]


def test_without_a_change_the_plan_goes_on_as_if_it_had_never_stopped(trainer):
    whole = fit(CONFIG, make_dataset(), backend=load_or_skip("numpy"))
    train(trainer, 2)
    again = resumed(trainer.checkpoint(), {})
    np.testing.assert_array_equal(again.history.learning_rates, whole.history.learning_rates)


def test_more_epochs_after_a_new_plan_count_from_where_it_begins(trainer):
    train(trainer, 1)
    middle = Trainer(CONFIG.replace(learning_rate=0.5), make_dataset(), load_or_skip("numpy"))
    middle.resume(trainer.checkpoint())
    train(middle, 1)
    last = resumed(middle.checkpoint(), {"learning_rate": 0.5, "epochs": 6})
    expected = [0.5 * cosine(i, 5 * STEPS) for i in range(STEPS, 5 * STEPS)]
    np.testing.assert_allclose(last.history.learning_rates[2 * STEPS :], expected, rtol=1e-14)


def test_a_run_tells_which_rates_it_had():
    trainer = PublicTrainer(CONFIG, make_dataset(), load_or_skip("numpy"))
    assert "rates" not in str(trainer.run())
    train(trainer, 2)
    trainer.learning_rate = 0.02
    assert "rates       0.08, from epoch 3 on 0.02\n" in str(trainer.run())


def test_a_rate_that_is_set_within_an_epoch_counts_from_the_next():
    """So its plan says, too, and the first one is not forgotten."""

    class Setting(Callback):
        every = 2

        def after_steps(self, steps):
            if steps.epoch == 1:
                steps.trainer.learning_rate = 0.02

    trainer = fit(CONFIG, make_dataset(), callbacks=Setting()).trainer
    assert [(plan.learning_rate, plan.since) for plan in trainer.plans] == [(0.08, 0), (0.02, 1)]
    rates = [0.08 if step < STEPS else 0.02 for step in range(4 * STEPS)]
    expected = [rate * cosine(step, 4 * STEPS) for step, rate in enumerate(rates)]
    np.testing.assert_allclose(trainer.history.learning_rates, expected, rtol=1e-14)
