"""The training command when something goes wrong on the way: what was learnt is saved."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Event

import numpy as np
import pytest

import xpmlp
from tests.commands import QUICK, interrupted_training, read_table, run
from xpmlp.backends.numpy.backend import NumpyBackend
from xpmlp.errors import RunError
from xpmlp.training.checkpoint import Checkpoint
from xpmlp.training.model import Model
from xpmlp.training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("away_without_gpu")


def test_a_diverging_run_is_saved_and_exits_1(capsys, tmp_path):
    options = ["--dataset", "iris", "--loss", "mean_squared_error", "--learning-rate", "1e30"]
    with np.errstate(all="ignore"):
        code, _, err = run(capsys, *options, "--out", "one", "--no-plots")
    assert code == 1
    assert "xpmlp train: the loss became" in err
    assert "Traceback" not in err
    assert (tmp_path / "one/checkpoint.safetensors").exists()
    summary = json.loads((tmp_path / "one/summary.json").read_text())
    assert summary["epochs"] < 10
    assert "(norms up to there: " in summary["failure"]
    assert f"xpmlp train: {summary['failure']}\n" in err


def test_an_unexpected_error_is_one_line_and_exit_code_1(capsys, monkeypatch):
    def broken(*arguments, **options):
        raise ZeroDivisionError("a bug\nof two lines")

    monkeypatch.setattr("xpmlp.training.setup.load_dataset", broken)
    code, _, err = run(capsys, *QUICK)
    assert code == 1
    assert err == (
        "xpmlp train: ZeroDivisionError: a bug of two lines (XPMLP_TRACEBACK=1 shows where)\n"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ on Windows")
def test_ctrl_c_saves_and_the_run_goes_on_to_the_same_end(capsys, tmp_path):
    options = [*("--dataset", "digits", "--hidden", "32", "--batch-size", "8", "--no-plots")]
    options += ["--epochs", "4000", "--lr-schedule", "constant"]
    process, err = interrupted_training(*options, "--out", "run")
    assert process.returncode == 130
    assert "stopping after this epoch" in err
    assert "interrupted and saved; go on with --resume run" in err
    assert "Traceback" not in err
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    done = summary["epochs"]
    assert 1 <= done < 4000
    assert summary["interrupted"]
    code, out, err = run(capsys, "--resume", "run", "--epochs", done + 2, "--no-plots", "--json")
    assert (code, json.loads(out)["epochs"]) == (0, done + 2), err
    whole = [*options, "--epochs", done + 2, "--out", "whole", "--quiet"]
    assert run(capsys, *whole)[0] == 0
    one, two = (Model.load(tmp_path / n / "model.safetensors") for n in ("run", "whole"))
    np.testing.assert_allclose(one.params[0].W, two.params[0].W, rtol=1e-4, atol=1e-6)


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ on Windows")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_while_saving_are_waited_out(capsys, monkeypatch, tmp_path, number):
    save = Model.save

    def pestered(self, path):
        for _ in range(3):
            os.kill(os.getpid(), number)
        save(self, path)

    monkeypatch.setattr(Model, "save", pestered)
    code, _, err = run(capsys, *QUICK, "--out", "one")
    assert code == 0, err
    assert Model.load(tmp_path / "one/model.safetensors").n_parameters == 42
    assert (tmp_path / "one/summary.json").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="no /dev/full on Windows")
@pytest.mark.parametrize("end", ["| head -1", "> /dev/full", ">&-", "2>&-", "--json >&- 2>&-"])
def test_an_output_that_fails_does_not_end_the_run(end, tmp_path):
    command = f"{sys.executable} -m xpmlp.train {' '.join(QUICK)} --out one {end}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert json.loads((tmp_path / "one/summary.json").read_text())["epochs"] == 3


def test_a_disk_that_fills_up_loses_only_what_does_not_fit(capsys, monkeypatch, tmp_path):
    def full(self, path, history):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("xpmlp.training.checkpoint.Checkpoint.save", full)
    code, _, err = run(capsys, *QUICK, "--out", "one")
    assert code == 1
    assert "warning: can't write one/checkpoint.safetensors: No space left on device" in err
    assert "can't write one/checkpoint.safetensors: No space left on device" in err
    assert Model.load(tmp_path / "one/model.safetensors").n_parameters == 42
    assert (tmp_path / "one/history.csv").exists()


@pytest.mark.parametrize("seeds", [[], ["--seeds", "2"]], ids=["one net", "seeds"])
@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, 1), (errno.EACCES, 2)])
def test_a_folder_that_could_not_be_begun_is_free_again(capsys, monkeypatch, seeds, number, code):
    """Whose fault it was decides the code; the folder holds nothing that blocks the next run."""
    from xpmlp.files import write_whole

    written = []

    def full(path, content):
        if len(written) == len(seeds):
            raise OSError(number, os.strerror(number), str(path))
        written.append(path)
        write_whole(path, content)

    with monkeypatch.context() as patch:
        patch.setattr("xpmlp.runs.directory.write_whole", full)
        ended, _, err = run(capsys, *QUICK, *seeds, "--out", "one")
    assert ended == code
    assert f"can't write results to one/{'seed-1/' * bool(seeds)}config.toml: " in err
    assert run(capsys, *QUICK, *seeds, "--out", "one", "--quiet")[0] == 0


def test_pictures_that_fail_cost_a_warning(capsys, monkeypatch):
    def broken(*arguments):
        raise ValueError("no ink")

    monkeypatch.setattr("xpmlp.runs.drawing.write_pictures", broken)
    code, _, err = run(capsys, *QUICK[:-1])
    assert code == 0
    assert "warning: the pictures could not be drawn: ValueError: no ink" in err


def test_what_was_learnt_survives_a_bug_in_an_epoch(capsys, monkeypatch, tmp_path):
    """The third epoch breaks; the second is in the checkpoint, from which the run goes on."""
    accept = Trainer.accept

    def broken(self, plan, result):
        if len(self.history.epochs) == 2:
            raise ZeroDivisionError("a bug")
        return accept(self, plan, result)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "accept", broken)
        code, _, err = run(capsys, *QUICK, "--out", "one")
    assert code == 1
    assert "ZeroDivisionError: a bug" in err
    assert len(Checkpoint.load(tmp_path / "one/checkpoint.safetensors").epochs) == 2
    assert run(capsys, "--resume", "one", "--no-plots")[0] == 0


@pytest.mark.parametrize("test_rows_fail", [False, True])
def test_what_was_learnt_survives_a_lack_of_memory(capsys, monkeypatch, tmp_path, test_rows_fail):
    """The third epoch needs too much, and so may the test rows; two epochs are on disk."""
    run_epoch, epochs = NumpyBackend.run_epoch, []

    def hungry(self, *arguments):
        epochs.append(1)
        if len(epochs) == 3:
            raise MemoryError("8 GiB")
        return run_epoch(self, *arguments)

    def too_many(self, rows):
        raise RunError("out of memory on cpu with numpy")

    with monkeypatch.context() as patch:
        patch.setattr(NumpyBackend, "run_epoch", hungry)
        if test_rows_fail:
            patch.setattr(Trainer, "evaluate", too_many)
        code, _, err = run(capsys, *QUICK, "--out", "one", "--quiet")
    assert code == 1
    assert err.splitlines()[1:] == [
        "xpmlp train: out of memory on cpu with numpy; try a smaller batch_size or net, fewer "
        "seeds at once, dtype float32, or another device"
    ]
    assert len(read_table(tmp_path / "one/history.csv")) == 2
    assert Model.load(tmp_path / "one/model.safetensors").n_parameters == 42
    summary = json.loads((tmp_path / "one/summary.json").read_text())
    assert summary["failure"].startswith("out of memory on cpu")
    assert (summary["test_loss"] is None) == test_rows_fail
    code, out, _ = run(capsys, "--resume", "one", "--no-plots", "--json")
    assert (code, json.loads(out)["epochs"]) == (0, 3)


def test_ctrl_c_twice_stops_at_once(capsys, monkeypatch, tmp_path):
    def interrupted(self):
        yield from ()
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)

    monkeypatch.setattr("xpmlp.training.members.Members.epochs", interrupted)
    code, _, err = run(capsys, *QUICK, "--out", "one")
    assert code == 130
    assert "interrupted and saved" in err
    assert (tmp_path / "one/checkpoint.safetensors").exists()


def test_an_interrupted_run_is_not_said_to_be_saved_where_it_is_not(capsys, monkeypatch):
    def full(self, path, history):
        raise OSError(28, "No space left on device")

    def stopped(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("xpmlp.training.checkpoint.Checkpoint.save", full)
    monkeypatch.setattr("xpmlp.train._run_epochs", stopped)
    code, _, err = run(capsys, *QUICK, "--out", "one", "--quiet")
    assert code == 130
    assert err.splitlines()[1:] == [
        "xpmlp train: can't write one/checkpoint.safetensors: No space left on device",
        "xpmlp train: interrupted; go on with --resume one",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ on Windows")
@pytest.mark.parametrize("when", ["drawing", "saving"])
def test_a_wish_to_stop_skips_the_pictures(capsys, monkeypatch, tmp_path, when):
    """While they are drawn it is heard at once; before, it is told to wait for the saving."""
    from xpmlp.runs import drawing

    drawn, save = [], Model.save

    def epoch_curves(*arguments):
        drawn.append("epochs")
        os.kill(os.getpid(), signal.SIGTERM)
        Event().wait(60)
        drawn.append("heard late")

    def pestered(self, path):
        os.kill(os.getpid(), signal.SIGTERM)
        save(self, path)

    if when == "drawing":
        monkeypatch.setattr(drawing, "epoch_curves", epoch_curves)
    else:
        monkeypatch.setattr(Model, "save", pestered)
    code, _, err = run(capsys, *QUICK[:-1], "--out", "one")
    assert code == 130
    assert err.splitlines()[-1] == (
        "xpmlp train: stopped before all pictures were drawn; the results are saved, and "
        "--resume one draws them"
    )
    assert ("saving, which is not cut short; please wait" in err) == (when == "saving")
    assert drawn == ["epochs"] * (when == "drawing")
    assert not list((tmp_path / "one").glob(".*"))
    assert not (tmp_path / "one/epochs.png").exists()
    assert not json.loads((tmp_path / "one/summary.json").read_text())["interrupted"]


def test_pictures_that_were_skipped_are_drawn_by_resuming(capsys, monkeypatch, tmp_path):
    assert run(capsys, *QUICK, "--out", "one", "--quiet")[0] == 0
    drawn = []
    monkeypatch.setattr(
        "xpmlp.runs.drawing.write_figures", lambda named, path: drawn.append(path) or []
    )
    code, _, err = run(capsys, "--resume", "one", "--quiet")
    assert code == 0
    assert "one has done 3 of 3 epochs, so there is nothing left to train; its results" in err
    assert drawn == [Path("one")]
    assert (tmp_path / "one/report.html").exists()


@pytest.mark.parametrize("traceback", ["", "1"])
def test_what_a_callback_raises_is_told_in_a_line(traceback):
    """Matplotlib's readers of fonts are called back, and may run out of memory there."""
    program = """
from xpmlp.commands import run_as_program

class Finalized:
    def __del__(self):
        raise MemoryError

run_as_program(lambda arguments: bool(Finalized()) - 1)
"""
    root = str(Path(xpmlp.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": root, "XPMLP_TRACEBACK": traceback},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    line = "warning: within a callback: MemoryError: (XPMLP_TRACEBACK=1 shows where)\n"
    assert ("Traceback" in done.stderr) if traceback else (done.stderr == line)
