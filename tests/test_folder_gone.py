"""The folder of a run goes away while it trains: its results are where its last line says."""

import json
import shutil
import sys
from pathlib import Path

import pytest

import xpmlp
from tests.commands import QUICK, run
from xpmlp.runs.lock import FolderLock
from xpmlp.training.trainer import Trainer

pytestmark = [
    pytest.mark.usefixtures("away_without_gpu"),
    pytest.mark.skipif(sys.platform == "win32", reason="Windows lets no folder in use go away"),
]
FILES = {"config.toml", "checkpoint.safetensors", "checkpoint.history", "history.csv", "steps.csv"}
FILES |= {"model.safetensors", "summary.json"}
MADE_ANEW = "had gone away or lost its config.toml; it was made anew, with what is written from"


@pytest.fixture
def after_an_epoch(monkeypatch):
    """Return what has something done while the second epoch is trained."""

    def plant(act, name="accept"):
        real, done = getattr(Trainer, name), []

        def accept(self, *arguments):
            if len(self.history.epochs) == 1 and not done:
                done.append(act())
            return real(self, *arguments)

        monkeypatch.setattr(Trainer, name, accept)

    return plant


@pytest.mark.parametrize("between", [0.0, 1e9], ids=["at a checkpoint", "at the end"])
@pytest.mark.parametrize("away", [shutil.rmtree, lambda path: Path(path).rename("elsewhere")])
def test_it_is_made_anew(away, between, after_an_epoch, capsys, monkeypatch):
    monkeypatch.setattr("xpmlp.train.SECONDS_BETWEEN_CHECKPOINTS", between)
    after_an_epoch(lambda: away("one"))
    code, out, err = run(capsys, *QUICK, "--out", "one")
    assert code == 0
    assert f"warning: one {MADE_ANEW} here on\n" in err
    assert out.splitlines()[-1] == "results in one"
    assert {path.name for path in Path("one").iterdir()} == FILES
    assert len(xpmlp.load("one").history.epochs) == 3
    assert run(capsys, "--resume", "one", "--epochs", "4", "--no-plots")[0] == 0


def test_the_folder_of_a_seed_too(after_an_epoch, capsys):
    after_an_epoch(lambda: shutil.rmtree("many/seed-1"))
    code, _, err = run(capsys, *QUICK, "--seeds", "2", "--out", "many")
    assert code == 0
    assert f"warning: many/seed-1 {MADE_ANEW}" in err
    assert [len(opened.history.epochs) for opened in xpmlp.open_runs("many")] == [3, 3]


def test_where_another_run_has_its_place_it_goes_on_beside(after_an_epoch, capsys):
    """The other is in progress in the folder of this name, or was finished there."""
    others = FolderLock()

    def replace():
        Path("one").rename("elsewhere")
        shutil.copytree("other", "one")
        shutil.copytree("other", "one-2")
        others.take(Path("one"))

    assert run(capsys, *QUICK, "--epochs", "2", "--out", "other", "--quiet")[0] == 0
    after_an_epoch(replace)
    with others:
        code, out, err = run(capsys, *QUICK, "--out", "one")
    assert code == 0
    assert "warning: one is another run's by now, so this one goes on in one-3\n" in err
    assert out.splitlines()[-1] == "results in one-3"
    assert json.loads(Path("one-3/summary.json").read_text())["run_dir"] == "one-3"
    for path, epochs in {"one": 2, "one-2": 2, "one-3": 3}.items():
        assert len(xpmlp.load(path).history.epochs) == epochs


def test_a_lock_that_was_taken_away_alone_is_taken_again(after_an_epoch, capsys):
    after_an_epoch(Path("one/.lock").unlink)
    code, _, err = run(capsys, *QUICK, "--out", "one", "--quiet")
    assert (code, len(err.splitlines())) == (0, 1)
    assert {path.name for path in Path("one").iterdir()} == FILES


def test_it_goes_away_while_pictures_are_drawn(capsys, monkeypatch):
    def drawn(run, path):
        shutil.rmtree(path)
        return []

    monkeypatch.setattr("xpmlp.runs.drawing.write_pictures", drawn)
    monkeypatch.setattr("xpmlp.pages.html_report.save_report", lambda *_: None)
    code, _, err = run(capsys, *QUICK[:-1], "--out", "one")
    assert code == 0
    assert f"warning: one {MADE_ANEW}" in err
    assert {path.name for path in Path("one").iterdir()} == FILES


def test_where_it_can_not_be_made_anew_that_is_said(after_an_epoch, capsys, tmp_path):
    def blocked():
        shutil.rmtree("within")
        Path("within").touch()

    after_an_epoch(blocked)
    code, _, err = run(capsys, *QUICK, "--out", "within/one", "--quiet")
    assert code == 1
    assert err.splitlines()[-1].startswith("xpmlp train: can't write within")
    assert "Traceback" not in err
