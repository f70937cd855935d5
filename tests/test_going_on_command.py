"""`xpmlp train`: weights of another run, frozen layers, a learning rate planned anew."""

import json
import shutil

import numpy as np
import pytest

from tests.commands import read_table, run
from xpmlp.training.model import Model

QUICK = ["--dataset", "moons", "--hidden", "8", "--epochs", "3", "--no-plots"]
FINER = ["--learning-rate", "0.01", "--epochs", "5", "--no-plots"]


@pytest.fixture(autouse=True)
def a_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(capsys, *QUICK, "--out", "first")[0] == 0


def weights(path):
    return Model.load(path / "model.safetensors").params


def test_begin_with_another_run_and_keep_its_first_layer(capsys, tmp_path):
    code, out, err = run(capsys, *QUICK, "--initial", "first", "--freeze", "1", "--out", "second")
    assert (code, err) == (0, "")
    assert "first layer frozen" in out
    before, after = weights(tmp_path / "first"), weights(tmp_path / "second")
    np.testing.assert_array_equal(after[0].W, before[0].W)
    assert not np.array_equal(after[1].W, before[1].W)


def test_its_config_reproduces_it_and_it_goes_on_without_the_first_run(capsys, tmp_path):
    assert run(capsys, *QUICK, "--initial", "first", "--out", "second")[0] == 0
    assert run(capsys, "--config", "second/config.toml", "--out", "again", "--no-plots")[0] == 0
    one, two = weights(tmp_path / "second"), weights(tmp_path / "again")
    np.testing.assert_array_equal(one[0].W, two[0].W)
    shutil.rmtree("first")
    assert run(capsys, "--resume", "second", "--epochs", "4", "--no-plots")[0] == 0


def test_layers_that_do_not_fit_are_drawn_and_that_is_said(capsys):
    wide = ["--initial", "first", "--dataset", "iris", "--no-plots"]
    code, _, err = run(capsys, *wide, "--hidden", "8")
    assert code == 2
    assert "initial weights of shapes W (2, 8), W (8, 2) don't fit the net's W (4, 8)" in err
    code, _, err = run(capsys, *QUICK, "--hidden", "8", "3", "--initial", "first", "--seeds", "2")
    assert code == 0
    assert err.count("note: the first layer has the initial weights; what follows is drawn") == 1


@pytest.mark.parametrize(
    ("initial", "said"),
    [
        ("nowhere", "nowhere"),
        (".", "holds no model.safetensors; name the folder of a finished run"),
    ],
)
def test_what_is_no_run(capsys, initial, said):
    code, _, err = run(capsys, *QUICK, "--initial", initial)
    assert code == 2
    assert said in err
    assert len(err.splitlines()) == 1


def test_a_rate_planned_anew_is_said_and_recorded(capsys, tmp_path):
    code, _, err = run(capsys, "--resume", "first", *FINER)
    assert code == 0
    note = "note: from epoch 4 to 5 the learning rate is planned anew: 0.01, cosine"
    assert err.splitlines() == [note]
    rates = [float(row["learning_rate"]) for row in read_table(tmp_path / "first/history.csv")]
    assert rates[3:] == [0.01, 0.005]
    summary = json.loads((tmp_path / "first/summary.json").read_text())
    assert [plan["since"] for plan in summary["learning_rates"]] == [0, 3]
    comments = (tmp_path / "first/config.toml").read_text().splitlines()[-2:]
    assert comments == [
        "# learning rate from epoch 1 on: 0.1, cosine",
        "# learning rate from epoch 4 on: 0.01, cosine, counted from epoch 4",
    ]


def test_a_planned_run_goes_on_without_a_new_plan(capsys, tmp_path):
    assert run(capsys, "--resume", "first", *FINER)[0] == 0
    assert run(capsys, "--resume", "first", "--epochs", "7", "--no-plots")[0] == 0
    rates = [float(row["learning_rate"]) for row in read_table(tmp_path / "first/history.csv")]
    assert rates[5:] == pytest.approx([0.005, 0.01 * 0.5 * (1 - np.sqrt(0.5))])


def test_seeds_too(capsys, tmp_path):
    assert run(capsys, *QUICK, "--seeds", "2", "--out", "many")[0] == 0
    assert run(capsys, "--resume", "many", *FINER)[0] == 0
    for seed in (0, 1):
        table = read_table(tmp_path / f"many/seed-{seed}/history.csv")
        assert float(table[3]["learning_rate"]) == 0.01


def test_a_seed_that_went_on_alone_at_another_rate_comes_back_aloud(capsys, tmp_path):
    assert run(capsys, *QUICK, "--seeds", "2", "--out", "many")[0] == 0
    assert run(capsys, "--resume", "many/seed-1", *FINER)[0] == 0
    _, _, err = run(capsys, "--resume", "many", "--epochs", "6", "--no-plots")
    said = "note: the learning rate of seed 1 was another; it is planned anew: 0.1, cosine"
    assert err.splitlines() == [said]
    rates = [row["learning_rate"] for row in read_table(tmp_path / "many/seed-1/history.csv")]
    assert list(map(float, rates[3:])) == [0.01, 0.005, 0.1]


def test_a_first_epoch_that_diverges_has_steps_and_no_figures(capsys, tmp_path):
    wild = ["--learning-rate", "1e30", "--optimizer", "sgd", "--out", "wild"]
    code, out, err = run(capsys, *QUICK, *wild)
    assert code == 1
    assert "of epoch 1: all gradients were finite until then" in err
    assert "; try a smaller learning_rate than 1e+30" in err
    assert "loss   accuracy" not in out
    summary = json.loads((tmp_path / "wild/summary.json").read_text())
    assert summary["test_loss"] is summary["test_accuracy"] is None
    steps = read_table(tmp_path / "wild/steps.csv")
    assert float(steps[0]["learning_rate"]) == 1e30
    assert not np.isfinite(float(steps[-1]["loss"]))
