"""The commands as a person meets them: what they print, write and return."""

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

from tests.commands import QUICK, read_table, run
from xpmlp import __main__ as overview
from xpmlp.backends.numpy.backend import NumpyBackend
from xpmlp.training.model import Model

pytestmark = pytest.mark.usefixtures("away_without_gpu")
REQUIRED = {
    *("dataset", "backend", "device", "device_requested", "fallback_reason", "seed", "epochs"),
    *("parameters", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy"),
    *("test_loss", "test_accuracy", "seconds_per_epoch", "images_per_second", "run_dir"),
}


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
        *("checkpoint.safetensors", "checkpoint.history", "summary.json"),
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


def test_several_labels_a_row_from_an_archive(capsys, tmp_path):
    x = np.random.default_rng(0).normal(size=(50, 3))
    np.savez(tmp_path / "several.npz", x=x, y=(x[:, :2] > 0).astype(np.uint8))
    code, out, err = run(capsys, *QUICK, "--dataset", "several.npz", "--out", "several")
    assert (code, err) == (0, "")
    assert out.splitlines()[0].endswith("3 inputs, 2 labels of 0 or 1")
    model = Model.load(tmp_path / "several/model.safetensors")
    assert (model.loss, model.sizes[-1]) == ("binary_cross_entropy", 2)


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

    monkeypatch.setattr("xpmlp.backends.numpy.backend.NumpyBackend", OnGpu)
    monkeypatch.setattr("xpmlp.backends.numpy.backend.blas_in_use", lambda: "a library")
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
        (["--matmul-precision", "bf16", "--backend", "numpy"], "numpy; choose --backend torch or"),
        (["--matmul-precision", "bf16", "--device", "cuda"], "is of products on a CPU, and device"),
        (["--compile", "allways"], "unknown compile 'allways' (did you mean 'always'?)"),
        (["--compile", "always", "--backend", "jax"], "and backend is jax; choose --backend numpy"),
        (["--compile", "always", "--device", "cuda"], "and device is cuda; choose --backend numpy"),
        (["--threads", "0"], "threads is 0; it must be from 1 to 1024"),
        (["--threads", "2", "--backend", "torch"], "set for numpy on a CPU, and backend is torch"),
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


def test_what_can_not_be_resumed(capsys, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("".join(f"{i},{i * i % 7},{i % 2}\n" for i in range(40)))
    options = ["--dataset", "table.csv", "--hidden", "4", "--no-plots", "--epochs", "3"]
    options += ["--early-stopping", "0"]
    assert run(capsys, *options, "--out", "one")[0] == 0
    code, _, err = run(capsys, "--resume", "one", "--epochs", "2")
    assert code == 2
    assert "one has done 3 epochs, more than 2; ask for at least 3 with --epochs" in err
    assert "epochs = 3" in (tmp_path / "one/config.toml").read_text()
    table.write_text("".join(f"{i},{i * i % 5},{i % 2}\n" for i in range(40)))
    code, _, err = run(capsys, "--resume", "one", "--epochs", "5")
    assert code == 2
    assert "are not those that the run began with" in err


def test_a_run_that_stopped_early_says_so(capsys):
    options = ["--dataset", "iris", "--hidden", "30", "--no-plots", "--quiet"]
    options += ["--learning-rate", "0.3", "--lr-schedule", "constant", "--early-stopping", "2"]
    assert run(capsys, *options, "--epochs", "500", "--out", "one")[0] == 0
    code, _, err = run(capsys, "--resume", "one", "--no-plots")
    assert code == 0
    assert "one stopped early after" in err
    assert "nothing left to train; its results are written anew (to go on, give a larger" in err
    more = ["--early-stopping", "4", "--no-plots", "--quiet"]
    assert run(capsys, "--resume", "one", *more)[0] == 0


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


def test_help_is_short_and_grouped(capsys):
    code, out, err = run(capsys, "--help")
    assert (code, err) == (0, "")
    for group in ("data:", "tables of your own:", "net:", "training:", "machine:", "results:"):
        assert f"\n{group}\n" in out
    assert max(map(len, out.splitlines())) <= 80
    assert len(out.splitlines()) < 112


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
