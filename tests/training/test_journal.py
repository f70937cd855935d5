"""The history beside a checkpoint: it grows, and what is not its own is refused."""

import numpy as np
import pytest

from tests.conftest import load_or_skip
from tests.problems import make_dataset
from xpmlp.errors import InputError
from xpmlp.runs.fitting import fit
from xpmlp.training.checkpoint import Checkpoint
from xpmlp.training.config import Config
from xpmlp.training.history import History
from xpmlp.training.journal import Journal, Mark, read_journal

EPOCHS, STEPS = 4, 4


@pytest.fixture(scope="module")
def history():
    config = Config(hidden=(3,), epochs=EPOCHS, batch_size=8)
    return fit(config, make_dataset(dtype="float32"), backend=load_or_skip("numpy")).history


def first(history, epochs):
    """Return a history of so many of its epochs."""
    parts = history.epochs[:epochs], history.step_parts[:epochs], history.rate_parts[:epochs]
    return History(history.metric_names, *map(list, parts))


def marked(history, journal):
    """Return the mark of each epoch, as written one after the other."""
    return [journal.update(first(history, n), STEPS) for n in range(EPOCHS + 1)]


def test_it_grows_by_the_epochs_that_are_new(history, tmp_path):
    journal, seen = Journal(tmp_path / "j"), []
    for n in range(EPOCHS + 1):
        journal.update(first(history, n), STEPS)
        seen.append((tmp_path / "j").read_bytes())
    row = 8 * (8 + STEPS * (1 + len(history.metric_names)))
    assert [len(content) for content in seen] == [n * row for n in range(EPOCHS + 1)]
    assert all(seen[-1].startswith(content) for content in seen)


def test_more_epochs_than_are_written_at_once(history, tmp_path, monkeypatch):
    at_once, by_two = Journal(tmp_path / "j"), Journal(tmp_path / "two")
    at_once.update(history, STEPS)
    monkeypatch.setattr("xpmlp.training.journal.EPOCHS_AT_ONCE", 2)
    by_two.update(first(history, 1), STEPS)
    assert by_two.update(history, STEPS) == at_once.update(history, STEPS)._replace(file="two")
    assert (tmp_path / "two").read_bytes() == (tmp_path / "j").read_bytes()


def test_each_mark_has_its_own_epochs_to_the_bit(history, tmp_path):
    marks = marked(history, Journal(tmp_path / "j"))
    for n, mark in enumerate(marks):
        epochs, steps, rates = read_journal(tmp_path, mark)
        assert epochs == history.epochs[:n]
        np.testing.assert_array_equal(steps.reshape(-1, mark.metrics), history.steps[: n * STEPS])
        np.testing.assert_array_equal(rates.ravel(), history.learning_rates[: n * STEPS])


def test_what_a_kill_left_behind_its_end_is_overwritten(history, tmp_path):
    journal, path = Journal(tmp_path / "j"), tmp_path / "j"
    journal.update(first(history, 2), STEPS)
    path.write_bytes(path.read_bytes() + b"half a row")
    mark = journal.update(history, STEPS)
    assert read_journal(tmp_path, mark)[0] == history.epochs


@pytest.mark.parametrize("left", [None, b"", b"short"])
def test_it_is_written_anew_where_it_is_gone(history, tmp_path, left):
    journal, path = Journal(tmp_path / "j"), tmp_path / "j"
    journal.update(first(history, 3), STEPS)
    path.unlink()
    if left is not None:
        path.write_bytes(left)
    mark = journal.update(history, STEPS)
    assert read_journal(tmp_path, mark)[0] == history.epochs


@pytest.mark.parametrize("damage", ["gone", "cut", "changed"])
def test_a_damaged_one_is_refused_in_a_line(history, tmp_path, damage):
    path = tmp_path / "j"
    mark = marked(history, Journal(path))[-1]
    content = bytearray(path.read_bytes())
    path.unlink()
    if damage == "cut":
        path.write_bytes(content[:-1])
    elif damage == "changed":
        content[100] ^= 1
        path.write_bytes(content)
    says = "can't be read" if damage == "gone" else "is not the history of its 4 epochs"
    with pytest.raises(InputError, match=says):
        read_journal(tmp_path, mark)


@pytest.mark.parametrize(
    "mark",
    [
        ("../j", 1, 1, 1, 0),
        (3, 1, 1, 1, 0),
        ("j", -1, 1, 1, 0),
        ("j", 1, "1", 1, 0),
        ("j", 1, 2**70, 1, 0),
    ],
)
def test_a_mark_that_makes_no_sense_is_refused(tmp_path, mark):
    (tmp_path / "j").write_bytes(b"")
    with pytest.raises(InputError):
        read_journal(tmp_path, Mark(*mark))


def test_a_checkpoint_stays_as_small_as_its_net(tmp_path):
    """Of thirty epochs as of one; alone it has them all in one file."""
    data, backend = make_dataset(dtype="float32"), load_or_skip("numpy")
    sizes = []
    for epochs in (1, 30):
        trainer = fit(
            Config(hidden=(3,), epochs=epochs, batch_size=3), data, backend=backend
        ).trainer
        mark = Journal(tmp_path / "journal").update(trainer.history, trainer.steps_per_epoch)
        trainer.standing().save(tmp_path / "apart", mark)
        sizes.append((tmp_path / "apart").stat().st_size)
    assert abs(sizes[1] - sizes[0]) < 64
    trainer.checkpoint().save(tmp_path / "alone")
    assert (tmp_path / "alone").stat().st_size > 2 * sizes[1]
    apart, alone = Checkpoint.load(tmp_path / "apart"), Checkpoint.load(tmp_path / "alone")
    assert apart.epochs == alone.epochs == trainer.history.epochs
    np.testing.assert_array_equal(apart.steps, alone.steps)
    np.testing.assert_array_equal(apart.rates, alone.rates)
