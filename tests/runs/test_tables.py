"""Runs on tables: raw rows in, answers in the label's own words and units out."""

import numpy as np
import pandas as pd
import pytest

import xpmlp
from tests.commands import runner
from xpmlp import train

run = runner(train.main)


def houses(rows=300):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"size": rng.uniform(20, 200, rows).round(1)})
    frame["kind"] = rng.choice(["flat", "house"], rows)
    frame["price"] = (frame["size"] * 1000 + (frame["kind"] == "house") * 50_000 + 20_000).round()
    return frame


def test_values_come_in_their_own_units(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = houses()
    frame.to_csv("houses.csv", index=False)
    code, out, _ = run(capsys, "--dataset", "houses.csv", "--out", "run", "--no-plots")
    assert code == 0
    assert "test rows: root mean square error of price" in out
    opened = xpmlp.load("run")
    predicted = opened.predict(frame.drop(columns="price"))[:, 0]
    assert np.abs(predicted - frame["price"]).mean() < 6000
    with pytest.warns(UserWarning, match="another order"):
        np.testing.assert_array_equal(opened.predict(frame[["kind", "size"]])[:, 0], predicted)
    report = opened.evaluate("houses.csv", part="train")
    assert report.root_mean_square_error < 10_000
    assert opened.summary["test_r2"] > 0.97
    assert "# size" in (tmp_path / "run/config.toml").read_text()


def test_a_run_of_its_config_is_the_same_run(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    houses().to_csv("houses.csv")
    first = ("--dataset", "houses.csv", "--label", "kind", "--epochs", "3", "--no-plots", "--quiet")
    assert run(capsys, *first, "--out", "one")[0] == 0
    assert run(capsys, "--config", "one/config.toml", "--no-plots", "--out", "two")[0] == 0
    models = [xpmlp.load(name).model for name in ("one", "two")]
    for a, b in zip(*(model.params for model in models), strict=True):
        np.testing.assert_array_equal(a.W, b.W)
    assert models[0].columns == models[1].columns
    assert run(capsys, "--resume", "one", "--epochs", "4", "--no-plots")[0] == 0


def test_rows_with_other_labels_are_not_those_of_the_run(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = houses()
    frame.to_csv("houses.csv", index=False)
    options = ("--epochs", "2", "--no-plots", "--quiet", "--out", "run")
    assert run(capsys, "--dataset", "houses.csv", *options)[0] == 0
    frame.assign(price=frame["price"] * 2).to_csv("houses.csv", index=False)
    with pytest.raises(xpmlp.InputError, match="are not those that run was trained on"):
        _ = xpmlp.load("run").data
