"""An epoch is taken as a whole or not at all, wherever Ctrl-C falls."""

import sys
from unittest import mock

import numpy as np
import pytest

from tests.conftest import load_or_skip
from tests.problems import make_dataset
from xpmlp.runs.fitting import fit
from xpmlp.training.config import Config
from xpmlp.training.epoch import train_epoch
from xpmlp.training.trainer import Trainer

CONFIG = Config(
    hidden=(3,), epochs=3, batch_size=8, dtype="float64", early_stopping=9, learning_rate=0.05
)


class CtrlC:
    """Raises KeyboardInterrupt before the n-th instruction of what is called, or counts them."""

    def __init__(self, at):
        self.at, self.seen = at, 0

    def __enter__(self):
        self.before = sys.gettrace()
        sys.settrace(self._enter)
        return self

    def __exit__(self, *error):
        sys.settrace(self.before)

    def _enter(self, frame, event, argument):
        if "/xpmlp/training/" not in frame.f_code.co_filename.replace("\\", "/"):
            return None
        frame.f_trace_opcodes = True
        return self._instruction

    def _instruction(self, frame, event, argument):
        if event == "opcode":
            self.seen += 1
            if self.seen == self.at:
                raise KeyboardInterrupt
        return self._instruction


@pytest.fixture(scope="module")
def data():
    return make_dataset()


@pytest.fixture(scope="module")
def whole(data):
    return fit(CONFIG, data, backend=load_or_skip("numpy"))


@pytest.fixture(scope="module")
def first_and_second(data):
    """A checkpoint after an epoch, and the plan and the result of the next."""
    trainer = Trainer(CONFIG, data, load_or_skip("numpy"))
    next(trainer.epochs())
    checkpoint = trainer.checkpoint()
    with mock.patch.object(Trainer, "accept", side_effect=trainer.accept) as accept:
        train_epoch([trainer])
    return checkpoint, accept.call_args.args


def accepted(data, first_and_second, at):
    """Return a trainer whose `accept` was cut short there, and how many instructions it saw."""
    checkpoint, (_, result) = first_and_second
    trainer = Trainer(CONFIG, data, load_or_skip("numpy"))
    trainer.resume(checkpoint)
    plan = trainer.plan()
    with CtrlC(at) as interrupt:
        try:
            trainer.accept(plan, result)
        except KeyboardInterrupt:
            assert interrupt.seen == at
    return trainer, interrupt.seen


def assert_same_state(one, other):
    """As two checkpoints, but for the seconds that the epochs took."""
    np.testing.assert_array_equal(one.state.params[0].W, other.state.params[0].W)
    np.testing.assert_array_equal(one.state.moments[0][0].W, other.state.moments[0][0].W)
    assert one.state.step == other.state.step
    assert one.generator == other.generator
    assert [e.validation_loss for e in one.epochs] == [e.validation_loss for e in other.epochs]
    np.testing.assert_array_equal(one.steps, other.steps)
    np.testing.assert_array_equal(one.rates, other.rates)
    assert (one.best_epoch, one.best_loss) == (other.best_epoch, other.best_loss)
    np.testing.assert_array_equal(one.best_params[0].W, other.best_params[0].W)


def test_ctrl_c_at_any_instruction_leaves_the_epoch_before_or_this_one(
    data, whole, first_and_second
):
    before = first_and_second[0]
    trainer, count = accepted(data, first_and_second, at=0)
    after = trainer.checkpoint()
    assert [len(before.epochs), len(after.epochs)] == [1, 2]
    found = []
    for at in range(1, count + 1):
        trainer, _ = accepted(data, first_and_second, at)
        saved = trainer.checkpoint()
        found.append(len(saved.epochs))
        assert_same_state(saved, [before, after][found[-1] - 1])
        if found[-2:] in ([1], [1, 2]) or at == count:
            list(trainer.epochs())
            np.testing.assert_array_equal(trainer.history.steps, whole.history.steps)
    assert found == sorted(found)
    assert set(found) == {1, 2}


def test_what_an_interrupt_left_in_the_history_is_gone_from_it(data):
    trainer = Trainer(CONFIG, data, load_or_skip("numpy"))
    next(trainer.epochs())
    history = trainer.history
    history.append(history.epochs[0], history.step_parts[0], history.rate_parts[0])
    assert len(trainer.history.epochs) == len(history.step_parts) == len(history.rate_parts) == 1
