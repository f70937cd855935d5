"""An epoch that diverges: its steps are kept; of weights that nobody trained nothing is told."""

import numpy as np
import pytest

from tests.conftest import load_or_skip
from tests.problems import make_dataset
from xpmlp.errors import DivergenceError
from xpmlp.runs.fitting import finish
from xpmlp.training.config import Config
from xpmlp.training.history import History
from xpmlp.training.trainer import Trainer

CONFIG = Config(
    hidden=(6,),
    epochs=4,
    batch_size=8,
    optimizer="sgd",
    lr_schedule="constant",
    learning_rate=0.05,
    dtype="float64",
)
STEPS = 4  # of an epoch of 30 rows


def diverged(backend, epochs):
    """Return a trainer whose rate is far too large after so many epochs."""
    trainer = Trainer(CONFIG, make_dataset(), backend)
    for _ in range(epochs):
        next(trainer.epochs())
    trainer.learning_rate = 1e200
    with pytest.raises(DivergenceError, match=f"at step . of epoch {epochs + 1}"):
        next(trainer.epochs())
    return trainer


@pytest.mark.parametrize("epochs", [0, 2])
def test_its_steps_are_kept_up_to_the_one_that_failed(backend, epochs):
    history = diverged(backend, epochs).history
    losses, done = history.metric("loss"), epochs * STEPS
    assert len(history.epochs) == len(history.step_parts) == epochs
    assert done + 1 < len(losses) <= done + STEPS
    assert np.isfinite(losses[:-1]).all()
    assert not np.isfinite(losses[-1])
    np.testing.assert_array_equal(history.learning_rates[done:], 1e200)
    assert len(history.learning_rates) == len(losses)


@pytest.mark.parametrize("epochs", [0, 2])
def test_they_are_written_and_read(tmp_path, epochs):
    history = diverged(load_or_skip("numpy"), epochs).history
    history.write(tmp_path)
    found = History.read(tmp_path)
    assert found.epochs == history.epochs
    np.testing.assert_array_equal(found.steps, history.steps)
    np.testing.assert_array_equal(found.learning_rates, history.learning_rates)
    assert len(found.step_parts) == epochs
    last = (tmp_path / "steps.csv").read_text().splitlines()[-1].split(",")
    assert last[:2] == [str(len(history.steps)), str(epochs + 1)]


def test_a_run_that_goes_on_begins_the_epoch_anew(backend):
    trainer = diverged(backend, 2)
    checkpoint = trainer.checkpoint()
    assert checkpoint.steps.shape[:2] == checkpoint.rates.shape == (2, STEPS)
    trainer.learning_rate = 0.05
    list(trainer.epochs())
    whole = Trainer(CONFIG, make_dataset(), backend)
    list(whole.epochs())
    np.testing.assert_array_equal(trainer.history.steps, whole.history.steps)
    assert not trainer.history.failed_steps


def test_untrained_weights_have_no_figures():
    backend = load_or_skip("numpy")
    first, third = finish(diverged(backend, 0)), finish(diverged(backend, 2))
    assert first.test is first.test_score is first.record is None
    assert third.test is not None
    known = Trainer(CONFIG, make_dataset(), backend, initial=third)
    assert finish(known).test.loss == third.test.loss
