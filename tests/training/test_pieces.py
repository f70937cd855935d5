"""Long epochs: cut into pieces, stopped within, saved, and gone on with to the bit."""

from contextlib import closing
from dataclasses import replace
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest

from tests.conftest import load_or_skip
from tests.problems import make_dataset
from xpmlp.errors import RunError
from xpmlp.training.callbacks import Callback
from xpmlp.training.checkpoint import Checkpoint
from xpmlp.training.config import Config
from xpmlp.training.pieces import piece_ends
from xpmlp.training.setup import make_members
from xpmlp.training.trainer import Trainer

CONFIG = Config(
    hidden=(5,), epochs=2, batch_size=8, dtype="float32", optimizer="adam", learning_rate=0.02
).replace(dropout=0.2, lr_schedule="cosine", early_stopping=2)
STEPS = 4  # of 30 rows


@pytest.fixture
def short_pieces(monkeypatch):
    """Each of two steps."""
    monkeypatch.setattr("xpmlp.training.pieces.PIECE_SECONDS", 2e-4)


def ends(steps, work, device="cpu", members=1, update=0):
    """The ends of the pieces of an epoch whose step has so many multiplications forward."""
    problem = SimpleNamespace(
        backend=SimpleNamespace(device=device),
        multiplications=lambda batch_size: work,
        update_multiplications=update,
    )
    return list(piece_ends(problem, 8, steps, members))


def test_pieces_take_five_seconds_by_the_work_of_their_steps():
    """2e9 forward are 0.3 s of a CPU: 100 steps are six pieces, and of three members eighteen."""
    assert ends(100, 2e9) == [17, 34, 51, 68, 85]
    assert ends(100, 2e9, members=3) == list(range(6, 100, 6))
    assert ends(100, 1e9, members=3, update=3e9) == list(range(6, 100, 6))
    assert ends(100, 2e9, device="cuda:1") == []
    assert ends(700_000, 1) == list(range(50_000, 700_000, 50_000))
    assert ends(3, 1e13) == [1, 2]
    assert ends(1, 1e13) == ends(24, 2e9) == []


@pytest.mark.parametrize("seeds", [1, 3], ids=["one net", "seeds"])
@pytest.mark.parametrize("compiled", ["never", "always"])
def test_a_run_that_is_stopped_anywhere_goes_on_to_the_bit(
    short_pieces, backend, compiled, seeds, tmp_path
):
    """Dropout, a schedule, early stopping and moments included; saved to a file and read back."""
    if compiled == "always" and (backend.name != "numpy" or backend.why_not_compiled()):
        pytest.skip("only NumPy's steps are compiled for the processor")
    data = make_dataset(dtype="float32")
    configs = CONFIG.replace(seeds=seeds, compile=compiled, backend=backend.name).members()

    def members():
        return make_members(configs, data, backend)

    whole = members()
    stops = len(list(whole.epochs()))
    assert stops >= 2 * CONFIG.epochs
    for stop in range(1, stops):
        begun, again = members(), members()
        with closing(begun.epochs()) as epochs:
            list(islice(epochs, stop))
        for old, new in zip(begun.trainers, again.trainers, strict=True):
            old.checkpoint().save(tmp_path / "saved")
            new.resume(Checkpoint.load(tmp_path / "saved"))
            assert new.place == old.place
        list(again.epochs())
        for new, expected in zip(again.trainers, whole.trainers, strict=True):
            assert_same(new.checkpoint(), expected.checkpoint())


def assert_same(one, other):
    assert one.unfinished is other.unfinished is None
    assert one.best_epoch == other.best_epoch
    for name in ("steps", "rates"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for mine, theirs in zip(one.state.params, other.state.params, strict=True):
        np.testing.assert_array_equal(mine.W, theirs.W)
        np.testing.assert_array_equal(mine.b, theirs.b)
    assert [e.validation_loss for e in one.epochs] == [e.validation_loss for e in other.epochs]


def begun(config, stop):
    """Return a trainer that was stopped after so many pieces."""
    trainer = make_members([config], make_dataset(dtype="float32"), load_or_skip("numpy"))
    with closing(trainer.epochs()) as epochs:
        list(islice(epochs, stop))
    return trainer.trainers[0]


@pytest.mark.parametrize(("together", "place"), [(True, "within"), (False, "after")])
def test_where_a_stop_comes_is_said_of_nets_as_they_train(monkeypatch, together, place):
    """One net alone takes as long as a piece, three together more than two."""
    monkeypatch.setattr("xpmlp.training.pieces.PIECE_SECONDS", 1e-3)
    monkeypatch.setattr("xpmlp.training.pieces.CPU_SPEED", 5e6)
    monkeypatch.setattr(Trainer, "prefers_company", together)
    members = make_members(
        CONFIG.replace(seeds=3).members(), make_dataset(dtype="float32"), load_or_skip("numpy")
    )
    assert members.stopping_place.startswith(f"{place} this epoch")


def test_what_is_done_of_an_epoch_is_apart_from_the_whole_ones(short_pieces):
    trainer = begun(CONFIG, 3)
    assert trainer.place == (1, 2)
    assert trainer.place_text == "epoch 1 of 2 and step 2 of 4"
    assert int(trainer.state.step) == STEPS
    assert int(trainer.unfinished.state.step) == STEPS + 2
    assert len(trainer.history.epochs) == 1
    assert trainer.unfinished.metrics.shape == (2, len(trainer.history.metric_names))
    saved = trainer.checkpoint()
    np.testing.assert_array_equal(saved.state.params[0].W, trainer.model().params[0].W)
    assert not np.array_equal(saved.state.params[0].W, saved.unfinished.state.params[0].W)


def test_the_seconds_of_all_pieces_count_once(short_pieces, monkeypatch):
    monkeypatch.setattr("xpmlp.training.epoch.Clock.seconds", lambda clock: 2.0)
    trainer = begun(CONFIG, 3)
    assert trainer.unfinished.seconds == 2.0
    assert [record.seconds for record in trainer.epochs()] == [4.0]
    assert [record.seconds for record in trainer.history.epochs] == [2.0, 4.0]


def test_a_state_that_is_set_drops_what_is_done_of_an_epoch(short_pieces):
    trainer = begun(CONFIG, 1)
    trainer.state = trainer.state
    assert trainer.place == (0, 0)


def test_a_rate_that_is_set_on_the_way_is_of_the_steps_that_are_left(short_pieces):
    trainer = begun(CONFIG.replace(lr_schedule="constant"), 1)
    again = Trainer(trainer.config.replace(learning_rate=0.5), trainer.data, trainer.backend)
    again.resume(trainer.checkpoint())
    next(again.epochs())
    np.testing.assert_array_equal(again.history.learning_rates, [0.02, 0.02, 0.5, 0.5])


@pytest.mark.parametrize("stop", [1, 2, 3, 4, 5])
def test_a_rate_that_a_callback_sets_within_an_epoch_is_of_the_next_one(short_pieces, stop):
    """Set in the second epoch of three, after the first step of its first piece."""
    data, backend = make_dataset(dtype="float32"), load_or_skip("numpy")

    class Sets(Callback):
        every = 1

        def after_steps(self, steps):
            if steps.step == STEPS + 1:
                steps.trainer.learning_rate = 0.5

    def members():
        config = CONFIG.replace(lr_schedule="constant", epochs=3)
        return make_members([config], data, backend, callbacks=(Sets(),))

    begun, again = members(), members()
    with closing(begun.epochs()) as epochs:
        list(islice(epochs, stop))
    again.trainers[0].resume(begun.trainers[0].checkpoint())
    list(again.epochs())
    rates = again.trainers[0].history.learning_rates
    np.testing.assert_array_equal(rates, [0.02] * 2 * STEPS + [0.5] * STEPS)
    assert [(p.since, p.learning_rate) for p in again.trainers[0].plans] == [(0, 0.02), (2, 0.5)]


def test_a_divergence_is_told_at_the_end_of_its_piece(short_pieces):
    """Weights of 1e307 · 1e3 are infinite; nothing of it stays, so a smaller rate goes on."""
    data, backend = make_dataset(dtype="float32"), load_or_skip("numpy")
    data = replace(data, train=replace(data.train, x=data.train.x * np.float32(1e3)))
    wild = CONFIG.replace(hidden=(), dropout=0.0, optimizer="sgd", lr_schedule="constant")
    wild = wild.replace(dtype="float64")
    trainer = Trainer(wild.replace(learning_rate=1e307), data, backend)
    with pytest.raises(RunError, match="at step 2 of epoch 1"):
        list(trainer.epochs())
    assert trainer.unfinished is None
    assert len(trainer.history.steps) == 2
    again = Trainer(wild, data, backend)
    again.resume(trainer.checkpoint())
    assert len(list(again.epochs())) == 2
