"""`xpmlp train --ensemble`: nets of drawn options, and what other commands make of the folder."""

import json

import numpy as np
import pytest

import xpmlp
from tests.commands import interrupted_training, run, runner
from xpmlp import evaluate, export, predict
from xpmlp.training.config import Config

OPTIONS = ["--dataset", "iris", "--hidden", "5", "--epochs", "4", "--batch-size", "16"]
OPTIONS += ["--dtype", "float64", "--ensemble", "6"]
PREDICT = runner(predict.main)
FILES = {"config.toml", "ensemble.json", "model.safetensors", "summary.json"}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def read(path):
    return json.loads(path.read_text())


def test_it_writes_a_folder_that_the_other_commands_understand(capsys, tmp_path):
    code, out, err = run(capsys, *OPTIONS, "--out", "nets")
    assert (code, err) == (0, "")
    assert out.count("validation loss") == 4
    assert "of 6 nets" in out
    folder = tmp_path / "nets"
    assert {path.name for path in folder.iterdir()} == FILES
    about, figures = read(folder / "ensemble.json"), read(folder / "summary.json")
    assert about["finished"] is True
    assert len(about["members"]) == 6
    assert len({row["learning_rate"] for row in about["members"]}) == 6
    assert {tuple(row["hidden"]) for row in about["members"]} == {(5,)}
    assert sum(row["count"] > 0 for row in about["members"]) == figures["selected"]

    code, out, _ = runner(evaluate.main)(capsys, "nets", "--json", "--no-plots")
    assert code == 0
    assert json.loads(out)["loss"] == pytest.approx(figures["test_loss"], rel=1e-12)
    assert json.loads(out)["accuracy"] == figures["test_accuracy"]

    rows = np.random.default_rng(0).normal(3.0, 1.0, (5, 4))
    np.save("rows.npy", rows)
    code, out, _ = PREDICT(capsys, "nets", "rows.npy", "--format", "jsonl", "--quiet")
    assert code == 0
    found = [list(json.loads(line)["probabilities"].values()) for line in out.splitlines()]
    opened = xpmlp.load(folder)
    np.testing.assert_allclose(found, opened.model.predict_outputs(rows), rtol=1e-12)
    assert isinstance(opened.model, xpmlp.Ensemble)
    assert "the mean of" in repr(opened)

    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    code, out, err = runner(export.main)(capsys, "nets", "--onnx", "nets.onnx", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["largest_difference"] < 1e-5


def test_the_same_seed_gives_the_same_bits(capsys, tmp_path):
    for name in ("one", "two"):
        assert run(capsys, *OPTIONS, "--quiet", "--out", name)[:2] == (0, "")
    one, two = ((tmp_path / n / "model.safetensors").read_bytes() for n in ("one", "two"))
    assert one == two


def test_values_have_measures_of_their_own(capsys, tmp_path):
    x = np.random.default_rng(0).standard_normal((90, 3))
    np.savez("values.npz", x=x, y=x @ [1.0, 2.0, -1.0])
    options = ["--dataset", "values.npz", "--ensemble", "3", "--epochs", "2", "--out", "v"]
    code, out, _ = run(capsys, *options, "--json")
    assert code == 0
    assert json.loads(out) == read(tmp_path / "v" / "summary.json")
    assert json.loads(out)["test_mean_absolute_error"] > 0


def test_options_that_a_flag_says_are_not_drawn(capsys, tmp_path):
    said = ["--learning-rate", "0.02", "--l2", "0", "--dropout", "0.25", "--optimizer", "adam"]
    assert run(capsys, *OPTIONS, *said, "--label-smoothing", "0.1", "--out", "nets")[0] == 0
    for row in read(tmp_path / "nets" / "ensemble.json")["members"]:
        drawn = {name: row[name] for name in ("learning_rate", "l2", "dropout", "optimizer")}
        assert drawn == {"learning_rate": 0.02, "l2": 0, "dropout": [0.25], "optimizer": "adam"}
        assert row["label_smoothing"] == 0.1
    assert Config.load(tmp_path / "nets" / "config.toml").learning_rate == 0.02


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--ensemble", "0"], "--ensemble 0: must be from 1 to 10,000 nets"),
        (["--seeds", "3"], "leave --seeds out"),
        (["--resume", "nets"], "--ensemble and --resume can't both be given"),
        (["--validation", "0"], "there are none"),
    ],
)
def test_what_does_not_go_with_it_is_refused(capsys, tmp_path, options, message):
    code, out, err = run(capsys, *OPTIONS, "--out", "nets", *options)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "nets").exists()


def test_its_folder_is_not_gone_on_with_nor_written_over(capsys):
    assert run(capsys, *OPTIONS, "--quiet", "--out", "nets")[0] == 0
    code, _, err = run(capsys, "--resume", "nets")
    assert code == 2
    assert "nets is of an ensemble, which can't go on" in err
    code, _, err = run(capsys, *OPTIONS, "--out", "nets")
    assert code == 2
    assert "nets already holds" in err


def test_ctrl_c_saves_the_best_so_far(tmp_path):
    options = [*OPTIONS, "--epochs", "100000", "--early-stopping", "0", "--out", "nets"]
    process, err = interrupted_training(*options)
    assert process.returncode == 130
    assert "interrupted; the best ensemble so far is in nets" in err
    figures = read(tmp_path / "nets" / "summary.json")
    assert figures["interrupted"] is True
    assert xpmlp.load(tmp_path / "nets").model.n_parameters == figures["parameters"]
