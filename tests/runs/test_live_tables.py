"""The command's tables while it trains: they grow with every epoch, and the mark is away."""

from pathlib import Path

import pytest

import xpmlp
from tests.commands import QUICK, run
from xpmlp.errors import InputError
from xpmlp.runs.directory import RunDirectory
from xpmlp.training.history import History

pytestmark = pytest.mark.usefixtures("away_without_gpu")


@pytest.fixture
def seen(monkeypatch):
    """What is in the folders of the nets after each epoch, as another program would see it."""
    found, save = [], RunDirectory.save_tables

    def looked_at(self, trainers):
        problems = save(self, trainers)
        histories = [History.read(place.path) for place in self.members]
        marks = sorted(str(path) for path in self.path.rglob("summary.json"))
        found.append(([len(history.epochs) for history in histories], marks))
        return problems

    monkeypatch.setattr(RunDirectory, "save_tables", looked_at)
    monkeypatch.setattr("xpmlp.train.LEAST_SHARE", 0.0)
    return found


def test_they_grow_with_every_epoch(seen, capsys):
    assert run(capsys, *QUICK, "--out", "one", "--quiet")[0] == 0
    assert seen == [([1], []), ([2], []), ([3], [])]
    assert len(xpmlp.load("one").history.epochs) == 3
    seen.clear()
    assert run(capsys, "--resume", "one", "--epochs", "5", "--no-plots", "--quiet")[0] == 0
    assert seen == [([4], []), ([5], [])]


def test_those_of_every_seed(seen, capsys):
    assert run(capsys, *QUICK, "--seeds", "2", "--out", "two", "--quiet")[0] == 0
    assert seen == [([1, 1], []), ([2, 2], []), ([3, 3], [])]


def test_they_take_little_time_from_the_training(seen, capsys, monkeypatch):
    """What takes long is done less often; the end has all."""
    monkeypatch.setattr("xpmlp.train.LEAST_SHARE", 1e9)
    assert run(capsys, *QUICK, "--out", "one", "--quiet")[0] == 0
    assert seen == [([1], [])]
    assert len(xpmlp.load("one").history.epochs) == 3


def test_a_table_that_can_not_be_written_costs_a_warning(capsys, monkeypatch):
    def full(self, history):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("xpmlp.training.live_tables.LiveTables.update", full)
    code, _, err = run(capsys, *QUICK, "--out", "one", "--quiet")
    assert code == 0
    expected = "warning: can't write one/history.csv and steps.csv: No space left on device"
    assert err.splitlines()[1:] == [expected]
    assert len(xpmlp.load("one").history.epochs) == 3


def test_a_resumed_run_that_is_killed_is_told_from_a_whole_one(capsys, monkeypatch):
    assert run(capsys, *QUICK, "--out", "one", "--quiet")[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr("xpmlp.runs.saving.save_results", lambda *_: 1 / 0)
        assert run(capsys, "--resume", "one", "--epochs", "4", "--no-plots", "--quiet")[0] == 1
    assert not Path("one/summary.json").exists()
    with pytest.raises(InputError, match="go on to its end: xpmlp train --resume one"):
        xpmlp.load("one")
    assert run(capsys, "--resume", "one", "--no-plots", "--quiet")[0] == 0
    assert len(xpmlp.load("one").history.epochs) == 4
