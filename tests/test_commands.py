"""The commands as a person meets them: what they print, write and return."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest

from xpmlp import __main__ as overview
from xpmlp import train
from xpmlp.backends import registry
from xpmlp.backends.numpy_backend import NumpyBackend
from xpmlp.errors import RunError
from xpmlp.training.checkpoint import Checkpoint
from xpmlp.training.model import Model
from xpmlp.training.trainer import Trainer

QUICK = ["--dataset", "xor", "--hidden", "8", "--epochs", "3", "--no-plots"]
REQUIRED = {
    *("dataset", "backend", "device", "device_requested", "fallback_reason", "seed", "epochs"),
    *("parameters", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy"),
    *("test_loss", "test_accuracy", "seconds_per_epoch", "images_per_second", "run_dir"),
}


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch, tmp_path):
    driver = registry.Driver(0, (0, 0), "no NVIDIA driver is installed")
    monkeypatch.setattr(registry, "query_driver", lambda: driver)
    monkeypatch.chdir(tmp_path)


def run(capsys, *arguments):
    """Return exit code, stdout and stderr of one `train` command."""
    try:
        code = train.main([str(a) for a in arguments])
    except SystemExit as stop:
        code = stop.code
    output = capsys.readouterr()
    return code, output.out, output.err


def read_table(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def test_a_run_prints_and_writes_what_it_promises(capsys, tmp_path):
    code, out, err = run(capsys, *QUICK, "--out", "one")
    assert code == 0, err
    assert err.startswith("note: xor has only 4 rows")
    lines = out.splitlines()
    assert lines[0].startswith("data      xor: 4 training, 4 validation, 4 test rows; 2 inputs")
    assert lines[1] == "net       2-8-2, relu, 42 parameters, softmax_cross_entropy"
    assert [line.split()[0] for line in lines[4:7]] == ["epoch"] * 3
    assert lines[-1] == "results in one"
    written = {path.name for path in (tmp_path / "one").iterdir()}
    assert written == {
        *("config.toml", "history.csv", "steps.csv", "model.safetensors"),
        *("checkpoint.safetensors", "summary.json"),
    }
    history = read_table(tmp_path / "one/history.csv")
    assert [row["epoch"] for row in history] == ["1", "2", "3"]
    steps = read_table(tmp_path / "one/steps.csv")
    assert {"step", "epoch", "learning_rate", "loss", "norm_dW1", "norm_db2"} <= set(steps[0])
    summary = json.loads((tmp_path / "one/summary.json").read_text())
    assert set(summary) >= REQUIRED
    assert float(history[-1]["train_loss"]) == summary["train_loss"]
    model = Model.load(tmp_path / "one/model.safetensors")
    assert model.n_parameters == summary["parameters"] == 42


def test_json_is_all_of_stdout(capsys):
    code, out, err = run(capsys, *QUICK, "--json")
    figures = json.loads(out)
    assert code == 0
    assert set(figures) >= REQUIRED
    assert figures["backend"] == "numpy"
    assert figures["device_requested"] == "auto"
    assert figures["fallback_reason"] is None
    assert "epoch 3/3" in err


def test_quiet_says_nothing_but_what_one_must_know(capsys):
    code, out, err = run(capsys, *QUICK, "--quiet")
    assert (code, out) == (0, "")
    assert err.startswith("note: ")
    assert len(err.splitlines()) == 1


def test_cuda_without_a_gpu_warns_and_trains(capsys):
    code, out, err = run(capsys, *QUICK, "--device", "cuda", "--json", "--quiet")
    figures = json.loads(out)
    assert code == 0
    assert "warning: no CUDA: no NVIDIA driver is installed" in err
    assert "training on the CPU with numpy" in err
    assert (figures["device_requested"], figures["device"]) == ("cuda", "cpu")
    assert "no NVIDIA driver" in figures["fallback_reason"]


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_tf32_without_a_gpu_is_full_and_says_so(capsys, tmp_path, device):
    options = ["--matmul-precision", "tf32", "--device", device, "--out", "one", "--json"]
    code, out, err = run(capsys, *QUICK, *options)
    figures = json.loads(out)
    assert code == 0
    assert "note: TF32 needs a GPU; the matrix products of this run are in full float32" in err
    assert figures["matmul_precision"] == "full"
    assert figures["matmul_precision_requested"] == "tf32"
    assert 'matmul_precision = "full"' in (tmp_path / "one/config.toml").read_text()
    assert run(capsys, "--resume", "one", "--epochs", "4", "--no-plots")[0] == 0


def test_the_header_of_a_run_on_a_gpu_names_the_precision_of_products(capsys, monkeypatch):
    """NumPy stands in for a library on a GPU."""

    class OnGpu(NumpyBackend):
        name = "torch"

        def __init__(self, *names):
            super().__init__(*names)
            self.device, self.matmul_precision = "cuda:0", "tf32"

    monkeypatch.setattr("xpmlp.backends.numpy_backend.NumpyBackend", OnGpu)
    monkeypatch.setattr("xpmlp.backends.numpy_backend.blas_in_use", lambda: "a library")
    _, out, _ = run(capsys, *QUICK, "--matmul-precision", "tf32", "--out", "one")
    machine = out.splitlines()[3]
    assert " on cuda:0 (" in machine
    assert machine.endswith("), float32, TF32 matrix products, a library")
    assert json.loads(Path("one/summary.json").read_text())["matmul_precision"] == "tf32"


def test_no_fallback_refuses(capsys, tmp_path):
    code, out, err = run(capsys, *QUICK, "--device", "cuda", "--no-fallback")
    assert (code, out) == (2, "")
    assert err.startswith("xpmlp train: backend auto can't run on device cuda: no NVIDIA driver")
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "mnits"], "unknown data set 'mnits' (did you mean 'mnist'?)"),
        (["--dataset", "missing.csv"], "missing.csv"),
        (["--data-dir", "nowhere"], "--data-dir: there is no folder nowhere"),
        (["--optimizer", "adm"], "unknown optimizer 'adm' (did you mean 'adam'?); choose one of:"),
        (["--hidden", "x"], "argument --hidden: invalid int value: 'x'"),
        (["--epochs", "-1"], "epochs is -1; it must be 1 or more"),
        (["--learning-rate", "nan"], "learning_rate can't be nan"),
        (["--lerning-rate", "1"], "unrecognized arguments: --lerning-rate"),
        (["--config", "none.toml"], "can't read the configuration none.toml"),
        (["--resume", "nowhere"], "nowhere holds no run to resume"),
        (["--resume", ""], "argument --resume: the path is empty"),
        (["--out", " "], "argument --out: the path is empty"),
        (["--hidden", "99999999999"], "it must be widths from 1 to 10,000,000"),
        (["--clip-norm", "1e300"], "clip_norm is 1e+300, more than float32 can hold"),
        (["--resume", "x", "--seed", "3"], "--seed can't be given; only --epochs"),
        (["--backend", "cupy"], "backend cupy can't run on device auto: no NVIDIA driver"),
        (["--backend", "numpy", "--device", "cuda"], "backend numpy does not run on cuda"),
        (["--matmul-precision", "tf23"], "unknown matmul_precision 'tf23' (did you mean 'tf32'?)"),
        (["--matmul-precision", "tf32", "--device", "cpu"], "needs a GPU, and device is cpu; choo"),
        (["--matmul-precision", "tf32", "--dtype", "float64"], "dtype is float64; choose --matmul"),
        (["--dataset", "iris", "--out", "/proc/nowhere"], "can't write results to /proc/nowhere"),
        (["--dataset", "iris", "--validation", "500"], "would leave nothing to train on"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(capsys, arguments, message):
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("xpmlp train: ")
    assert len(err.splitlines()) == 1, err


def test_results_are_never_overwritten(capsys, tmp_path):
    assert run(capsys, *QUICK, "--out", "one")[0] == 0
    before = {path: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    code, _, err = run(capsys, *QUICK, "--out", "one")
    assert code == 2
    assert "one already holds config.toml; choose another --out, or go on with that run" in err
    assert {path: path.read_bytes() for path in (tmp_path / "one").iterdir()} == before
    folders = {json.loads(run(capsys, *QUICK, "--json", "--quiet")[1])["run_dir"] for _ in "ab"}
    assert len(folders) == 2


def test_the_written_config_reproduces_the_run(capsys, tmp_path):
    run(capsys, *QUICK, "--out", "one", "--seed", "7", "--l2", "0.01")
    code, _, err = run(capsys, "--config", "one/config.toml", "--out", "two", "--no-plots")
    assert code == 0, err
    one, two = (Model.load(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    np.testing.assert_array_equal(one.params[0].W, two.params[0].W)
    configs = [tomllib.loads((tmp_path / n / "config.toml").read_text()) for n in ("one", "two")]
    assert configs[0] == configs[1]
    assert configs[0]["seed"] == 7


def test_flags_override_the_config_file(capsys, tmp_path):
    (tmp_path / "run.toml").write_text('dataset = "xor"\nhidden = [3]\nepochs = 50\n')
    _, out, _ = run(capsys, "--config", "run.toml", "--epochs", "2", "--json", "--no-plots")
    figures = json.loads(out)
    assert (figures["epochs"], figures["parameters"]) == (2, 17)


def test_dropout_is_in_the_header_in_the_config_and_in_the_training(capsys, tmp_path):
    two_layers = [*QUICK, "--hidden", "8", "8"]
    code, out, _ = run(capsys, *two_layers, "--dropout", "0.5", "0.25", "--out", "one")
    assert code == 0
    assert out.splitlines()[2].startswith(
        "training  momentum, learning rate 0.1 (cosine), dropout 0.5 0.25, batch 4, 3 epochs"
    )
    assert tomllib.loads(Path("one/config.toml").read_text())["dropout"] == [0.5, 0.25]
    run(capsys, "--config", "one/config.toml", "--out", "two", "--no-plots")
    run(capsys, *two_layers, "--out", "without")
    one, two, without = (
        json.loads((tmp_path / name / "summary.json").read_text())["train_loss"]
        for name in ("one", "two", "without")
    )
    assert one == two != without
    code, _, err = run(capsys, *QUICK, "--dropout", "1")
    assert code == 2
    assert "dropout is (1.0,); it must be in [0, 1)" in err


def test_resume_goes_on_to_the_same_end(capsys, tmp_path):
    options = ["--dataset", "iris", "--hidden", "6", "--batch-size", "16", "--no-plots"]
    options += ["--lr-schedule", "constant", "--learning-rate", "0.01"]
    run(capsys, *options, "--epochs", "6", "--out", "whole")
    run(capsys, *options, "--epochs", "4", "--out", "parts")
    code, out, err = run(capsys, "--resume", "parts", "--epochs", "6", "--no-plots")
    assert code == 0, err
    assert "epoch 5/6" in out
    assert "epoch 4/6" not in out
    whole, parts = (Model.load(tmp_path / n / "model.safetensors") for n in ("whole", "parts"))
    np.testing.assert_array_equal(whole.params[0].W, parts.params[0].W)
    assert len((tmp_path / "parts/history.csv").read_text().splitlines()) == 7


def test_a_diverging_run_is_saved_and_exits_1(capsys, tmp_path):
    options = ["--dataset", "iris", "--loss", "mean_squared_error", "--learning-rate", "1e30"]
    with np.errstate(all="ignore"):
        code, _, err = run(capsys, *options, "--out", "one", "--no-plots")
    assert code == 1
    assert "xpmlp train: the loss became" in err
    assert "Traceback" not in err
    assert (tmp_path / "one/checkpoint.safetensors").exists()
    assert json.loads((tmp_path / "one/summary.json").read_text())["epochs"] < 10


def test_an_unexpected_error_is_one_line_and_exit_code_1(capsys, monkeypatch):
    def broken(*arguments, **options):
        raise ZeroDivisionError("a bug\nof two lines")

    monkeypatch.setattr("xpmlp.training.fitting.load_dataset", broken)
    code, _, err = run(capsys, *QUICK)
    assert code == 1
    assert err == (
        "xpmlp train: ZeroDivisionError: a bug of two lines (XPMLP_TRACEBACK=1 shows where)\n"
    )


def interrupted_training(*options):
    """Start a training, press Ctrl-C after its first epoch; return the process and its stderr."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "xpmlp.train", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    while "epoch " not in process.stdout.readline():
        assert process.poll() is None, process.stderr.read()
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    return process, process.communicate(timeout=60)[1]


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
    def full(self, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("xpmlp.training.checkpoint.Checkpoint.save", full)
    code, _, err = run(capsys, *QUICK, "--out", "one")
    assert code == 1
    assert "warning: can't write one/checkpoint.safetensors: No space left on device" in err
    assert "can't write one/checkpoint.safetensors: No space left on device" in err
    assert Model.load(tmp_path / "one/model.safetensors").n_parameters == 42
    assert (tmp_path / "one/history.csv").exists()


def test_pictures_that_fail_cost_a_warning(capsys, monkeypatch):
    def broken(*arguments):
        raise ValueError("no ink")

    monkeypatch.setattr("xpmlp.reporting.pictures.write_pictures", broken)
    code, _, err = run(capsys, *QUICK[:-1])
    assert code == 0
    assert "warning: the pictures could not be drawn: ValueError: no ink" in err


def test_what_can_not_be_resumed(capsys, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("".join(f"{i},{i * i % 7},{i % 2}\n" for i in range(40)))
    options = ["--dataset", "table.csv", "--hidden", "4", "--no-plots", "--epochs", "3"]
    assert run(capsys, *options, "--out", "one")[0] == 0
    code, _, err = run(capsys, "--resume", "one", "--epochs", "2")
    assert code == 2
    assert "one has done 3 of 2 epochs, so there is nothing to train" in err
    assert "epochs = 3" in (tmp_path / "one/config.toml").read_text()
    table.write_text("".join(f"{i},{i * i % 5},{i % 2}\n" for i in range(40)))
    code, _, err = run(capsys, "--resume", "one", "--epochs", "5")
    assert code == 2
    assert "are not those that the run began with" in err


def test_a_run_that_stopped_early_says_so(capsys):
    options = ["--dataset", "iris", "--hidden", "30", "--no-plots", "--quiet"]
    options += ["--learning-rate", "0.3", "--lr-schedule", "constant", "--early-stopping", "2"]
    assert run(capsys, *options, "--epochs", "500", "--out", "one")[0] == 0
    code, _, err = run(capsys, "--resume", "one")
    assert code == 2
    assert "one stopped early after" in err
    assert "to go on, give a larger --early-stopping" in err
    more = ["--early-stopping", "4", "--no-plots", "--quiet"]
    assert run(capsys, "--resume", "one", *more)[0] == 0


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


def test_resuming_with_early_stopping_begins_to_count_there(capsys):
    options = ["--dataset", "iris", "--hidden", "4", "--no-plots", "--quiet"]
    run(capsys, *options, "--epochs", "6", "--out", "one")
    resume = ["--resume", "one", "--epochs", "40", "--early-stopping", "3", "--no-plots"]
    code, out, err = run(capsys, *resume, "--json", "--quiet")
    assert code == 0, err
    assert json.loads(out)["epochs"] >= 9
    assert "note: the cosine schedule depends on the number of epochs" in err


def test_a_folder_of_something_else_is_not_overwritten(capsys, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/history.csv").write_text("precious")
    code, _, err = run(capsys, *QUICK, "--out", "mine")
    assert code == 2
    assert "mine already holds history.csv" in err
    assert (tmp_path / "mine/history.csv").read_text() == "precious"


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


def test_help_is_short_and_grouped(capsys):
    code, out, err = run(capsys, "--help")
    assert (code, err) == (0, "")
    for group in ("data:", "net:", "training:", "machine:", "results:"):
        assert f"\n{group}\n" in out
    assert max(map(len, out.splitlines())) <= 80
    assert len(out.splitlines()) < 90


def test_the_overview_lists_commands_that_exist(capsys):
    assert overview.main([]) == 0
    out = capsys.readouterr().out
    for name in overview.COMMANDS:
        assert f"  {name} " in out
        with pytest.raises(SystemExit) as stop:
            overview.main([name, "--help"])
        assert stop.value.code == 0
    assert overview.main(["trian"]) == 2
    assert "unknown command 'trian' (did you mean 'train'?)" in capsys.readouterr().err
    assert overview.main(["--version"]) == 0
