"""`xpmlp train` on rows that stay on disk: said, stopped, gone on with, and files that go."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest

import xpmlp
from tests.commands import run, runner
from xpmlp import evaluate
from xpmlp.data import streamed
from xpmlp.runs.progress import Lines
from xpmlp.training import streaming

TRAIN = ["--dataset", "./rows", "--hidden", "8", "--epochs", "3", "--backend", "numpy"]
TRAIN += ["--batch-size", "32", "--no-plots"]


@pytest.fixture(autouse=True)
def rows(away_without_gpu, monkeypatch):
    """600 rows; pieces of two steps, and all time for checkpoints."""
    monkeypatch.setattr(streamed, "WINDOW_BYTES", 4000)
    monkeypatch.setattr(streaming, "CHUNK_BYTES", 4000)
    monkeypatch.setattr("xpmlp.training.pieces.PIECE_SECONDS", 2e-4)
    monkeypatch.setattr("xpmlp.train.SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    monkeypatch.setattr("xpmlp.train.LEAST_SHARE", 0.0)
    folder, rng = Path("rows"), np.random.default_rng(0)
    folder.mkdir()
    y = np.repeat(np.arange(3), 200)
    np.save(folder / "x.npy", rng.normal(size=(600, 4)) + 2 * y[:, None])
    np.save(folder / "y.npy", y)
    return folder


def weights_of(folder):
    return [leaf.tobytes() for layer in xpmlp.load(folder).model.params for leaf in layer]


def after(monkeypatch, times, act):
    """Act after so many pieces, once."""
    shown, show = [], Lines.show

    def then(self, records):
        shown.append(records)
        if len(shown) == times:
            act()
        show(self, records)

    monkeypatch.setattr(Lines, "show", then)


def test_ctrl_c_within_an_epoch_and_going_on_cost_nothing(capsys, monkeypatch):
    with monkeypatch.context() as patched:
        after(patched, 5, lambda: signal.raise_signal(signal.SIGINT))
        code, _, err = run(capsys, *TRAIN, "--out", "one")
    assert code == 130
    assert "note: ./rows: " in err
    assert " stay on disk " in err
    assert "interrupted after epoch " in err
    assert run(capsys, "--resume", "one", "--no-plots", "--quiet")[0] == 0
    assert run(capsys, *TRAIN, "--out", "whole", "--quiet")[0] == 0
    assert weights_of("one") == weights_of("whole")


@pytest.mark.parametrize("name", ["x.npy", "y.npy"])
def test_other_rows_are_not_gone_on_with(capsys, rows, name):
    assert run(capsys, *TRAIN, "--out", "one", "--quiet")[0] == 0
    array = np.load(rows / name)
    np.save(rows / name, array[::-1])
    code, _, err = run(capsys, "--resume", "one", "--epochs", "4")
    assert code == 2
    assert "are not those that the run began with" in err


def test_a_file_that_goes_ends_the_run_with_its_name_and_keeps_whole_epochs(
    capsys, monkeypatch, rows
):
    after(monkeypatch, 9, lambda: os.rename(rows / "x.npy", rows / "away.npy"))
    code, _, err = run(capsys, *TRAIN, "--out", "one")
    assert code == 1
    assert err.endswith("rows/x.npy: the file vanished while it was in use\n")
    assert len(xpmlp.load("one").history.epochs) >= 1
    os.rename(rows / "away.npy", rows / "x.npy")
    assert run(capsys, "--resume", "one", "--no-plots", "--quiet")[0] == 0
    assert run(capsys, *TRAIN, "--out", "whole", "--quiet")[0] == 0
    assert weights_of("one") == weights_of("whole")


@pytest.mark.thorough
def test_a_net_trained_from_disk_is_evaluated(capsys):
    assert run(capsys, *TRAIN, "--out", "one", "--quiet")[0] == 0
    code, out, _ = runner(evaluate.main)(capsys, "one", "--no-plots")
    assert code == 0
    assert f"{xpmlp.load('one').summary['test_accuracy']:.4f}" in out
