"""`xpmlp train` within a long epoch: Ctrl-C and checkpoints there, and results to the bit."""

import csv
import signal
from pathlib import Path

import pytest

import xpmlp
from tests.commands import run, runner
from xpmlp import evaluate
from xpmlp.runs.directory import CHECKPOINT, RunDirectory
from xpmlp.runs.progress import Lines

TRAIN = ["--dataset", "moons", "--hidden", "8", "--epochs", "3", "--no-plots"]
TRAIN += ["--backend", "numpy", "--dropout", "0.1"]


@pytest.fixture(autouse=True)
def short_pieces(away_without_gpu, monkeypatch):
    """Each of two steps, and all time for checkpoints."""
    monkeypatch.setattr("xpmlp.training.pieces.PIECE_SECONDS", 2e-4)
    monkeypatch.setattr("xpmlp.train.SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    monkeypatch.setattr("xpmlp.train.LEAST_SHARE", 0.0)


@pytest.fixture
def stopped(monkeypatch):
    """Send Ctrl-C after the fifth piece, once."""
    shown, show = [], Lines.show

    def stop(self, records):
        shown.append(records)
        if len(shown) == 5:
            signal.raise_signal(signal.SIGINT)
        show(self, records)

    monkeypatch.setattr(Lines, "show", stop)


def steps_of(folder):
    with (folder / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    timeless = [{k: v for k, v in r.items() if k[:6] not in ("second", "images")} for r in rows]
    return timeless, (folder / "steps.csv").read_bytes()


@pytest.mark.parametrize("seeds", [[], ["--seeds", "2"]], ids=["one net", "seeds"])
@pytest.mark.parametrize("compiled", ["never", "always"])
def test_ctrl_c_within_an_epoch_costs_nothing(stopped, capsys, seeds, compiled):
    options = [*TRAIN, *seeds, "--compile", compiled]
    code, _, err = run(capsys, *options, "--out", "one")
    assert code == 130
    assert "stopping within this epoch, which is a long one; press Ctrl-C again" in err
    assert "xpmlp train: interrupted after epoch " in err
    assert " of 6 and saved; go on with --resume one" in err
    assert run(capsys, "--resume", "one", "--no-plots", "--quiet") == (0, "", "")
    assert run(capsys, *options, "--out", "whole", "--quiet")[0] == 0
    for model in sorted(Path("whole").rglob("model.safetensors")):
        place = Path("one") / model.relative_to("whole")
        assert place.read_bytes() == model.read_bytes()
        assert steps_of(place.parent) == steps_of(model.parent)


def test_weights_that_no_epoch_has_trained_are_evaluated_with_a_word(capsys, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(Lines, "show", lambda self, records: signal.raise_signal(signal.SIGINT))
        assert run(capsys, *TRAIN, "--out", "one")[0] == 130
    assert xpmlp.load("one").summary["epochs"] == 0
    code, _, err = runner(evaluate.main)(capsys, "one", "--no-plots")
    said = "weights are those that it began with, drawn at random"
    assert (code, err) == (0, f"note: no epoch of one was trained to its end, so its {said}\n")
    assert run(capsys, "--resume", "one", "--no-plots", "--quiet") == (0, "", "")
    assert runner(evaluate.main)(capsys, "one", "--no-plots")[::2] == (0, "")


def test_a_checkpoint_is_written_after_each_piece(capsys, monkeypatch):
    places, save = [], RunDirectory.save_checkpoints

    def saved(self, trainers):
        problems = save(self, trainers)
        places.append(xpmlp.Checkpoint.load(self.path / CHECKPOINT).place)
        return problems

    monkeypatch.setattr(RunDirectory, "save_checkpoints", saved)
    assert run(capsys, *TRAIN, "--out", "one", "--quiet")[0] == 0
    every = [(epoch, step) for epoch in range(3) for step in (2, 4, 6)]
    assert places == [*((e, s) if s < 6 else (e + 1, 0) for e, s in every), (3, 0)]
