"""Runs that were never saved beside each other, and beside those that were."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.problems import make_dataset, make_regression
from xpmlp import compare_runs, fit, fit_many, load, train
from xpmlp.errors import InputError, RunError
from xpmlp.runs.comparing import Comparison
from xpmlp.training.config import Config

SMALL = Config(hidden=(4,), epochs=2, batch_size=8, backend="numpy", device="cpu")
MOONS = ["--dataset", "moons", "--hidden", "4", "--epochs", "2", "--quiet", "--no-plots"]


def at(rate: float, seeds: int = 0, data=None):
    config = SMALL.replace(learning_rate=rate, seeds=seeds or ())
    data = data or make_dataset(dtype="float32")
    return fit_many(config.members(), data) if seeds else fit(config, data)


def names(comparison: Comparison) -> list[str]:
    return [run.name for run in comparison.runs]


def test_runs_of_fit_are_named_by_what_differs():
    runs = [at(0.01), at(0.3)]
    comparison = compare_runs(runs)
    assert names(comparison) == ["learning rate 0.01", "learning rate 0.3"]
    assert comparison.settings == {"learning_rate": [0.01, 0.3]}
    assert comparison.notes == []
    figures = comparison.as_dict()["runs"]
    assert [figure["path"] for figure in figures] == [None, None]
    assert [figure["test_loss"] for figure in figures] == [run.test.loss for run in runs]
    assert comparison.best["test_loss"] == ["learning rate 0.3"]
    assert "machines that differ" not in str(comparison)


def test_a_dict_names_the_columns_and_lists_are_seeds():
    slow, fast = at(0.01, seeds=3), at(0.3, seeds=2)
    comparison = compare_runs({"slow": slow, "fast": fast})
    assert names(comparison) == comparison.labels == ["slow", "fast"]
    assert [run.seeds for run in comparison.runs] == [[0, 1, 2], [0, 1]]
    losses = [run.test.loss for run in slow]
    found = comparison.as_dict()["runs"][0]["test_loss"]
    assert found["mean"] == pytest.approx(np.mean(losses), rel=1e-14)
    assert found["std"] == pytest.approx(np.std(losses, ddof=1), rel=1e-12)


def test_what_fit_many_returns_is_compared_net_by_net():
    assert names(compare_runs(at(0.1, seeds=2))) == ["seed 0", "seed 1"]
    alike = [at(0.1), at(0.1)]
    assert names(compare_runs(alike)) == ["run 1", "run 2"]
    assert not compare_runs(alike).best.keys() - {"seconds_per_epoch"}


def test_saved_and_unsaved_runs_of_the_same_settings_do_not_differ(tmp_path, monkeypatch):
    """The folder's config has every `auto` replaced; that of fit has not."""
    monkeypatch.chdir(tmp_path)
    assert train.main([*MOONS, "--out", "saved"]) == 0
    live = fit(Config(dataset="moons", hidden=(4,), epochs=2))
    other = fit(Config(dataset="moons", hidden=(4,), epochs=2, activation="tanh"))
    same = compare_runs(["saved", live])
    assert (same.settings, same.machine) == ({}, {})
    assert names(same) == ["saved", "run 2"]
    mixed = compare_runs([load("saved"), other])
    assert names(mixed) == ["saved", "activation tanh"]
    assert mixed.settings == {"activation": [("relu",), ("tanh",)]}


def test_a_table_given_by_its_path_is_the_same_saved_or_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [f"{i % 7}.5,{i}.25,{'ab'[i % 2]}" for i in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(["x,y,kind", *rows]))
    options = ["--epochs", "2", "--hidden", "3", "--quiet", "--no-plots"]
    assert train.main(["--dataset", "t.csv", "--out", "saved", *options]) == 0
    live = fit(Config(dataset="t.csv", epochs=2, hidden=(3,)))
    assert compare_runs([live, "saved"]).settings == {}


def test_failed_and_interrupted_runs_are_named_and_left_out_of_means():
    good, bad, cut = at(0.01, seeds=3)
    for run, about in (
        (bad, {"failure": RunError("the loss is NaN")}),
        (cut, {"interrupted": True}),
    ):
        for name, value in about.items():
            object.__setattr__(run, name, value)
    comparison = compare_runs({"all": [good, bad, cut], "one": at(0.3)})
    assert comparison.notes[:2] == ["all: seed 1 failed: the loss is NaN", "all was interrupted"]
    assert comparison.runs[0].seeds == [0, 2]


def test_values_and_classes_are_not_ranked():
    comparison = compare_runs([at(0.01), at(0.01, data=make_regression())])
    assert any("different data sets (blobs, plane)" in note for note in comparison.notes)
    assert not comparison.best.keys() & {"test_loss", "train_loss"}


def test_the_picture_is_drawn_on_axes_of_ones_own():
    from tests.runs.test_axes import new_figure

    comparison = compare_runs([at(0.01), at(0.3)])
    own = comparison.plot()
    figure = new_figure()
    grid = figure.subplots(2, 2)
    assert comparison.plot(ax=grid) is grid
    for axes, other in zip(own.axes, grid.flat, strict=True):
        assert axes.get_ylabel() == other.get_ylabel()
        assert [line.get_color() for line in axes.lines] == [
            line.get_color() for line in other.lines
        ]
    with pytest.raises(InputError, match="has 4 panels, got 1 axes"):
        comparison.plot(ax=new_figure().subplots())


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        (lambda run: [run], "needs two runs or more, got 1"),
        (lambda run: run, "in a list or a dict"),
        (lambda run: [run, run], "run of blobs is given twice"),
        (lambda run: [run, [run]], "run of blobs is given twice"),
        (lambda run: [run, 3], "what fit or load returns, a folder, .*; got int"),
        (lambda run: [run, []], "got list"),
        (lambda run: [run, [at(0.1), at(0.2)]], "differ in learning_rate; give such runs one by"),
        (lambda run: [run, SimpleNamespace()], "got SimpleNamespace"),
        (lambda run: {"a": run, "b": "nowhere"}, "there is no folder nowhere"),
    ],
)
def test_what_is_no_run_or_the_same_one_is_refused(runs, expected):
    with pytest.raises(InputError, match=expected):
        compare_runs(runs(at(0.1)))
