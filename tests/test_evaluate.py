"""`xpmlp evaluate`: what it prints and draws, and one line where something is wrong."""

import gzip
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tests.commands import QUICK, runner
from xpmlp import evaluate, train
from xpmlp.__main__ import main as xpmlp


@pytest.fixture(scope="module", autouse=True)
def no_folder_of_data():
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("XPMLP_DATA_DIR", raising=False)
        yield


@pytest.fixture
def folder(tmp_path):
    assert train.main([*QUICK, "--quiet", "--out", str(tmp_path / "run")]) == 0
    return tmp_path / "run"


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    out = tmp_path_factory.mktemp("digits") / "run"
    options = ["--dataset", "digits", "--hidden", "8", "--epochs", "1", "--quiet", "--no-plots"]
    assert train.main([*options, "--out", str(out)]) == 0
    return out


run = runner(evaluate.main)
train_run = runner(train.main)


def drawn(folder):
    from PIL import Image

    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in paths:
        with Image.open(path) as image:
            assert image.format == "PNG"
            image.load()
    return [path.relative_to(folder).as_posix() for path in paths]


def test_what_it_prints_and_draws(digits, capsys):
    code, out, err = run(capsys, digits)
    assert (code, err) == (0, "")
    summary = json.loads((digits / "summary.json").read_text())
    lines = out.splitlines()
    assert lines[0].startswith("data      digits: ")
    assert lines[1].startswith("net       64-8-10, relu")
    assert lines[2] == f"loss      {summary['test_loss']:.4f}"
    assert lines[3].startswith(f"accuracy  {summary['test_accuracy']:.4f}, 95 % interval ")
    assert "weighted avg" in out
    assert "most frequent confusions, true → predicted:" in out
    assert lines[-1] == f"pictures in {digits / 'evaluation-digits-test'}"
    assert drawn(digits / "evaluation-digits-test") == [
        "calibration.png",
        "confusion-matrix.png",
        "misclassified.png",
    ]


def test_json_is_all_of_stdout(digits, capsys, tmp_path):
    code, out, _ = run(capsys, digits, "--json", "--part", "train", "--out", tmp_path / "new" / "p")
    figures = json.loads(out)
    summary = json.loads((digits / "summary.json").read_text())
    assert code == 0
    assert figures["part"] == "train"
    assert figures["run"] == str(digits)
    assert figures["loss"] == summary["train_loss"]
    low, high = figures["accuracy_interval"]
    assert low < summary["train_accuracy"] == figures["accuracy"] < high
    assert drawn(tmp_path / "new" / "p") == [
        "calibration.png",
        "confusion-matrix.png",
        "misclassified.png",
    ]


def test_quiet_and_no_plots(folder, capsys):
    before = sorted(folder.iterdir())
    assert run(capsys, folder, "--quiet", "--no-plots")[:2] == (0, "")
    assert sorted(folder.iterdir()) == before


def test_pictures_are_overwritten_and_others_left(folder, capsys):
    out = folder / "evaluation-xor-test"
    out.mkdir()
    for name in ("confusion-matrix.png", "misclassified.png", "mine.txt"):
        (out / name).write_text("old")
    assert run(capsys, folder, "--quiet")[0] == 0
    assert (out / "mine.txt").read_text() == "old"
    (out / "mine.txt").unlink()
    assert drawn(out) == ["calibration.png", "confusion-matrix.png"]


def test_a_model_file(folder, capsys):
    code, out, _ = run(capsys, folder / "model.safetensors", "--no-plots")
    assert code == 0
    assert out == run(capsys, folder, "--no-plots")[1]


def test_values_of_a_file(tmp_path, capsys):
    table = tmp_path / "t.csv"
    table.write_text("\n".join(f"{i * i},{i % 7},{i / 3 + 0.1}" for i in range(60)))
    options = ["--dataset", str(table), "--hidden", "4", "--epochs", "2", "--scale", "standard"]
    quiet = ["--learning-rate", "0.001", "--quiet", "--no-plots", "--out", str(tmp_path / "run")]
    assert train.main([*options, *quiet]) == 0
    code, out, err = run(capsys, tmp_path / "run")
    assert (code, err) == (0, "")
    assert "R²" in out
    assert "largest errors" in out
    assert drawn(tmp_path / "run" / "evaluation-t-test") == ["predicted-against-true.png"]
    assert out.splitlines()[0] == f"data      {table}: 12 test rows"
    other = tmp_path / "other.csv"
    other.write_text("1,2,1\n2,3,2\n")
    assert f"{other}: 2 rows" in run(capsys, tmp_path / "run", "--dataset", other)[1]
    same = ["--dataset", f"{tmp_path}/run/../t.csv", "--no-plots"]
    assert f"{table}: 12 test rows" in run(capsys, tmp_path / "run", *same)[1]


@pytest.mark.parametrize("name", ["zeros.csv.gz", "zeros.npz"])
def test_a_file_that_unpacks_to_much_needs_the_option(tmp_path, capsys, name):
    rows = [f"{i % 5},{i % 7},{i % 2}" for i in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,label", *rows]))
    options = ["--dataset", str(tmp_path / "t.csv"), "--hidden", "2", "--epochs", "1"]
    assert train.main([*options, "--quiet", "--no-plots", "--out", str(tmp_path / "run")]) == 0
    other = tmp_path / name
    if name.endswith(".npz"):
        np.savez_compressed(other, x=np.zeros((20_000, 2)), y=np.arange(20_000) % 2)
    else:
        other.write_bytes(gzip.compress(b"a,b,label\n" + b"0,0,1\n1,1,0\n" * 20_000))
    asked = [tmp_path / "run", "--dataset", other, "--no-plots"]
    code, out, err = run(capsys, *asked, "--max-unpacked", "1e-6")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"{other}: its " in err
    assert err.endswith("if that is no damage: --max-unpacked 1\n")
    assert run(capsys, *asked, "--max-unpacked", "1")[0] == 0
    assert (
        "max_unpacked is 0.0; it must be above 0" in run(capsys, *asked, "--max-unpacked", "0")[2]
    )


def test_several_seeds(tmp_path, capsys):
    out = tmp_path / "run"
    assert train.main([*QUICK, "--quiet", "--seeds", "2", "--out", str(out)]) == 0
    code, text, _ = run(capsys, out)
    assert code == 0
    assert text.split("\n\n")[1].splitlines()[-1].startswith("mean ± sd")
    pictures = ("calibration.png", "confusion-matrix.png")
    names = [f"seed-{seed}/{picture}" for seed in (0, 1) for picture in pictures]
    assert drawn(out / "evaluation-xor-test") == names
    figures = json.loads(run(capsys, out, "--json", "--no-plots")[1])
    assert figures["seeds"] == [0, 1]
    assert set(figures["accuracy"]) == {"mean", "std", "lowest", "highest"}
    alone = json.loads(run(capsys, out / "seed-1", "--json", "--no-plots")[1])
    assert alone["loss"] == figures["members"][1]["loss"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere"], "there is no folder nowhere"),
        (["."], ". is no run: it holds no config.toml"),
        (["run", "--dataset", "iris"], "takes 2 inputs, and the rows of iris have 4"),
        (["run", "--dataset", "xr"], "unknown data set 'xr' (did you mean 'xor'?)"),
        (["run", "--dataset", "none.csv"], "none.csv: there is no such file"),
        (["run", "--part", "some"], "invalid choice: 'some'"),
        (["run/config.toml"], "run/config.toml is not a whole safetensors file"),
        (["run/summary.json"], "run/summary.json is not a whole safetensors file"),
        (["run", "--out", ""], "the path is empty"),
        ([], "the following arguments are required: RUN"),
    ],
    ids=str,
)
def test_one_line_where_something_is_wrong(arguments, says, folder, capsys, monkeypatch):
    monkeypatch.chdir(folder.parent)
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert err.startswith("xpmlp evaluate: ")
    assert says in err
    assert err.count("\n") == 1


def test_pictures_that_cant_be_written(folder, capsys):
    code, out, err = run(capsys, folder, "--out", folder / "config.toml")
    assert code == 2
    assert "accuracy" in out
    assert f"xpmlp evaluate: can't write pictures to {folder / 'config.toml'}: File exists" in err
    assert "Traceback" not in err


def test_the_note_of_a_data_set_is_shown(folder, capsys):
    code, _, err = run(capsys, folder, "--no-plots")
    assert code == 0
    assert err.startswith("note: xor has only 4 rows")


def test_it_is_a_command_of_xpmlp(folder, capsys):
    assert xpmlp(["evaluate", str(folder), "--no-plots"]) == 0
    assert "accuracy" in capsys.readouterr().out


def test_as_a_program(folder):
    environment = {key: value for key, value in os.environ.items() if key != "XPMLP_DATA_DIR"}
    command = [sys.executable, "-W", "error", "-m", "xpmlp.evaluate", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("data      xor: 4 test rows")


def test_other_columns_than_the_models_are_refused_by_name(capsys, tmp_path):
    rows = [f"{i * i},{i % 7},{i % 3},{0.5 * i}" for i in range(40)]
    (tmp_path / "own.csv").write_text("\n".join(["size,age,rooms,price", *rows]))
    (tmp_path / "first.csv").write_text("\n".join(["price,size,years,rooms", *rows]))
    fit = ("--dataset", tmp_path / "own.csv", "--hidden", 3, "--epochs", 1, "--learning-rate", 1e-4)
    assert train_run(capsys, *fit, "--out", tmp_path / "run", "--no-plots", "--quiet")[0] == 0
    code, out, err = run(capsys, tmp_path / "run", "--dataset", tmp_path / "first.csv")
    assert (code, out) == (2, "")
    assert "first.csv lacks 'age'; the model doesn't know 'years'" in err
