"""Runs that are killed at any write: nothing is half, nobody is misled, and `--resume` mends all.

A child process trains; it is killed just before a file takes its name.
"""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

import xpmlp
from tests.commands import run
from xpmlp.errors import InputError
from xpmlp.runs.directory import (
    CHECKPOINT,
    CONFIG,
    JOURNAL,
    MODEL,
    NEXT,
    SUMMARY,
    TABLES,
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no fork on Windows")

FLAGS = ["--dataset", "moons", "--hidden", "4", "--backend", "numpy", "--lr-schedule", "constant"]
FLAGS += ["--no-plots", "--quiet"]
RESULTS = (MODEL, *TABLES, SUMMARY)
OF_A_RUN = (CONFIG, JOURNAL, CHECKPOINT, *RESULTS)
KILLS = (*OF_A_RUN, NEXT)
OF_SEEDS = ("seed-1/config.toml", f"seed-0/{NEXT}", f"seed-1/{NEXT}", f"seed-0/{CHECKPOINT}")
OF_SEEDS += (f"seed-1/{CHECKPOINT}",)
OF_SEEDS += ("seed-1/model.safetensors", "seed-0/summary.json", "many/summary.json")
CHILD = f"""
import os, signal, shutil
from pathlib import Path
from xpmlp import train

replace = Path.replace

def killed_at(end, *arguments):
    def kill(self, target):
        if str(target).endswith(end):
            os.kill(os.getpid(), signal.SIGKILL)
        return replace(self, target)
    child = os.fork()
    if child == 0:
        Path.replace = kill
        train.main([*arguments, *{FLAGS[-2:]}])
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL, end

flags = {FLAGS}
assert train.main([*flags, "--epochs", "3", "--out", "base"]) == 0
for name in {KILLS}:
    killed_at(f"/{{name}}", *flags, "--epochs", "3", "--out", f"new/{{name}}")
    shutil.copytree("base", f"more/{{name}}")
    killed_at(f"/{{name}}", "--resume", f"more/{{name}}", "--epochs", "6")
for name in {OF_SEEDS}:
    out = f"seeds/{{name}}/many"
    killed_at(f"/{{name}}", *flags, "--epochs", "3", "--seeds", "3", "--out", out)
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The folders that the kills have left, and whole runs beside them."""
    folder = tmp_path_factory.mktemp("killed")
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CHILD], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def away(killed, tmp_path, monkeypatch):
    """Work in a copy of them."""
    shutil.copytree(killed, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def names_in(folder):
    return {path.name for path in folder.iterdir()}


def same_weights(one, other):
    for mine, theirs in zip(one.model.params, other.model.params, strict=True):
        np.testing.assert_array_equal(mine.W, theirs.W)
        np.testing.assert_array_equal(mine.b, theirs.b)


def opened(path):
    """Return the run, or what is said instead."""
    try:
        return xpmlp.load(path)
    except InputError as error:
        return str(error)


def is_told_or_whole(path, epochs):
    """Tell which: a line that names the way on, or results that belong together."""
    found = opened(path)
    if isinstance(found, str):
        assert found.endswith(f"xpmlp train --resume {path}")
        return "told"
    assert len(found.history.epochs) == found.summary["epochs"] == epochs
    assert found.record.train_loss == found.summary["train_loss"]
    return "whole"


@pytest.mark.parametrize("name", KILLS)
def test_a_new_run(name, away, capsys):
    path = away / "new" / name
    assert name == CHECKPOINT or any(".partial" in held for held in names_in(path))
    if name == CONFIG:
        assert all(held == ".lock" or held.endswith(".partial") for held in names_in(path))
        way_on = [*FLAGS, "--epochs", "3", "--out", path]
    else:
        assert is_told_or_whole(path, 3) == "told"
        code, _, err = run(capsys, *FLAGS, "--out", path)
        assert code == 2
        assert "holds config.toml; choose another --out, or go on with that run: --resume" in err
        way_on = ["--resume", path, "--no-plots", "--quiet"]
    code, _, err = run(capsys, *way_on)
    assert code == 0, err
    assert ("starts anew" in err) == (name in (JOURNAL, NEXT))
    at_the_end = name in (MODEL, SUMMARY)  # the tables are begun after the first epoch
    assert ("nothing left to train; its results are written anew" in err) == at_the_end
    assert names_in(path) == set(OF_A_RUN)
    assert is_told_or_whole(path, 3) == "whole"
    same_weights(xpmlp.load(path), xpmlp.load("base"))


@pytest.mark.parametrize("name", KILLS)
def test_a_run_that_went_on(name, away, capsys):
    """Killed before its results are begun, it still has the old ones, whole."""
    path = away / "more" / name
    assert is_told_or_whole(path, 3) == ("told" if name in RESULTS else "whole")
    epochs = [] if name in RESULTS else ["--epochs", "6"]
    code, _, err = run(capsys, "--resume", path, *epochs, "--no-plots", "--quiet")
    assert code == 0, err
    assert names_in(path) == set(OF_A_RUN)
    assert is_told_or_whole(path, 6) == "whole"
    assert run(capsys, *FLAGS, "--epochs", "6", "--out", "six")[0] == 0
    same_weights(xpmlp.load(path), xpmlp.load("six"))


@pytest.mark.parametrize("name", OF_SEEDS)
def test_several_seeds(name, away, capsys):
    path = away / "seeds" / name / "many"
    code, _, err = run(capsys, "--resume", path, "--no-plots", "--quiet")
    assert code == 0, err
    note = {
        "seed-1/config.toml": f"{path} has no checkpoint yet, so it starts anew",
        f"seed-0/{NEXT}": f"{path} has no checkpoint yet, so it starts anew",
        f"seed-1/{NEXT}": f"{path} has no checkpoint yet, so it starts anew",
        f"seed-0/{CHECKPOINT}": "",
        f"seed-1/{CHECKPOINT}": "",
    }
    assert note.get(name, "nothing left to train; its results are written anew") in err
    assert names_in(path) == {CONFIG, SUMMARY, "seed-0", "seed-1", "seed-2"}
    assert json.loads((path / SUMMARY).read_text())["epochs"] == 3
    for seed in range(3):
        assert names_in(path / f"seed-{seed}") == set(OF_A_RUN)
        assert is_told_or_whole(path / f"seed-{seed}", 3) == "whole"


def test_the_results_are_begun_by_taking_the_mark_away(away, capsys, monkeypatch):
    """In the order of writing each file that is there belongs to those before it."""
    from xpmlp.training.model import Model

    seen = []
    save = Model.save
    monkeypatch.setattr(
        Model, "save", lambda self, path: [seen.append(names_in(away / "base")), save(self, path)]
    )
    assert run(capsys, "--resume", "base", "--no-plots", "--quiet")[0] == 0
    assert [SUMMARY in names for names in seen] == [False]
    assert SUMMARY in names_in(away / "base")


def test_results_that_could_not_be_written_have_no_mark(away, capsys, monkeypatch):
    from xpmlp.training.model import Model

    def full(self, path):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Model, "save", full)
        resume = ["--resume", "base", "--epochs", "4", "--no-plots", "--quiet"]
        code, _, err = run(capsys, *resume)
    assert code == 1
    assert err == ("xpmlp train: can't write base/model.safetensors: No space left on device\n")
    assert is_told_or_whole(away / "base", 4) == "told"
    assert run(capsys, "--resume", "base", "--no-plots", "--quiet")[0] == 0
    assert is_told_or_whole(away / "base", 4) == "whole"


@pytest.mark.parametrize("seeds", [[], ["--seeds", "2"]], ids=["one net", "seeds"])
def test_beneath_a_mark_that_can_not_be_taken_away_nothing_changes(
    tmp_path, capsys, monkeypatch, seeds
):
    """The old results stay whole; the checkpoint has the new epochs."""
    from pathlib import Path

    monkeypatch.chdir(tmp_path)
    assert run(capsys, *FLAGS, *seeds, "--epochs", "2", "--out", "one")[0] == 0
    before = {p: p.read_bytes() for p in Path("one").rglob("*") if p.name in RESULTS}
    unlink = Path.unlink

    def fails(self, missing_ok=False):
        if self.name == SUMMARY:
            raise OSError(5, "Input/output error", str(self))
        unlink(self, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", fails)
        code, out, err = run(capsys, "--resume", "one", "--epochs", "4", "--no-plots")
    assert code == 1
    assert "can't write one/summary.json: Input/output error" in err.splitlines()[-1]
    assert out.splitlines()[-1] == "not all results could be written to one"
    assert {p: p.read_bytes() for p in before} == before
    assert run(capsys, "--resume", "one", "--no-plots", "--quiet")[0] == 0
    assert json.loads(Path("one/summary.json").read_text())["epochs"] == 4


def test_a_run_that_is_resumed_is_from_then_on_of_its_new_length(away, capsys, monkeypatch):
    """Killed before its first epoch, it goes on to the six epochs that were asked for."""

    def killed(*arguments):
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr("xpmlp.train._train", killed)
        assert run(capsys, "--resume", "base", "--epochs", "6", "--quiet")[0] == 1
    assert run(capsys, "--resume", "base", "--no-plots", "--quiet") == (0, "", "")
    assert is_told_or_whole("base", 6) == "whole"


def test_the_tables_of_a_killed_run_are_cut_to_its_checkpoint(away, capsys):
    """A kill came after its epochs were written down, and before they were saved."""
    assert run(capsys, "--resume", "base", "--epochs", "6", "--no-plots", "--quiet")[0] == 0
    whole = {name: (away / "base" / name).read_text() for name in TABLES}
    three = run(capsys, *FLAGS, "--epochs", "3", "--out", "three")
    assert three == (0, "", "")
    (away / "three/summary.json").unlink()
    for name in TABLES:
        (away / "three" / name).write_text(whole[name][:-9], newline="")
    assert "xpmlp train --resume three" in opened("three")
    for epochs in (3, 5):
        go_on = ["--resume", "three", "--epochs", str(epochs), "--no-plots", "--quiet"]
        assert run(capsys, *go_on)[0] == 0
        assert is_told_or_whole("three", epochs) == "whole"
