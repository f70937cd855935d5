"""Runs that are opened again are those that were trained, and a folder that is none is refused."""

import numpy as np
import pytest

import xpmlp
from tests.commands import QUICK
from xpmlp import train
from xpmlp.data.resplit import resplit
from xpmlp.errors import DataUnavailableError, InputError
from xpmlp.runs.drawing import pictures
from xpmlp.runs.fitting import fit
from xpmlp.training.config import Config

CURVES = ["loss-per-step", "epochs", "gradient-magnitude"]
IRIS = {
    "dataset": "iris",
    "hidden": (8,),
    "epochs": 12,
    "early_stopping": 2,
    "scale": "standard",
    "batch_size": 16,
    "device": "cpu",
}


@pytest.fixture(scope="module", autouse=True)
def no_folder_of_data():
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("XPMLP_DATA_DIR", raising=False)
        yield


def saved(folder, **options):
    """Train by the command, into a folder."""
    path = folder / "config.toml.in"
    path.write_text(Config(**options).to_toml())
    run = folder / "run"
    assert train.main(["--config", str(path), "--out", str(run), "--quiet", "--no-plots"]) == 0
    return run


@pytest.fixture(scope="module")
def iris(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("iris"), **IRIS)


@pytest.fixture
def folder(tmp_path):
    """A small run that a test may damage."""
    assert train.main([*QUICK, "--quiet", "--out", str(tmp_path / "run")]) == 0
    return tmp_path / "run"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "options", [IRIS, {"dataset": "moons", "hidden": (6, 5), "epochs": 3, "device": "cpu"}]
)
def test_an_opened_run_is_the_one_that_was_trained(options, dtype, tmp_path):
    live = fit(Config(**options, dtype=dtype))
    opened = xpmlp.load(saved(tmp_path, **options, dtype=dtype))
    assert opened.config.hidden == live.config.hidden
    for one, other in zip(opened.model.params, live.model.params, strict=True):
        np.testing.assert_array_equal(one.W, other.W)
    np.testing.assert_array_equal(opened.history.steps, live.history.steps)
    np.testing.assert_array_equal(opened.history.learning_rates, live.history.learning_rates)
    assert opened.history.metric_names == live.history.metric_names
    assert opened.best_epoch == live.best_epoch
    assert opened.record.train_loss == live.record.train_loss
    assert opened.test_score == live.test_score
    assert opened.test.loss == live.test.loss
    assert opened.test.accuracy == live.test.accuracy
    assert opened.test.logits.dtype == live.test.logits.dtype
    np.testing.assert_array_equal(opened.test.logits, live.test.logits)
    np.testing.assert_array_equal(opened.data.test.x, live.data.test.x)


def test_it_has_the_same_pictures(iris):
    live, opened = fit(Config(**IRIS)), xpmlp.load(iris)
    drawn, again = dict(live.pictures()), dict(pictures(opened))
    assert list(drawn) == list(again) == [*CURVES, "confusion-matrix", "calibration"]
    for name in drawn:
        for one, other in zip(drawn[name].axes, again[name].axes, strict=True):
            assert one.get_title(loc="left") == other.get_title(loc="left")
            for line, same in zip(one.lines, other.lines, strict=True):
                np.testing.assert_array_equal(line.get_ydata(), same.get_ydata())


@pytest.mark.parametrize("opened", [False, True], ids=["live", "opened"])
def test_plot(opened, iris):
    run = xpmlp.load(iris) if opened else fit(Config(**IRIS))
    assert run.plot().axes[0].get_ylabel() == "loss"
    assert "test accuracy" in run.plot("confusion-matrix").axes[0].get_title(loc="left")
    with pytest.raises(InputError, match="unknown picture 'epoch' .did you mean 'epochs'") as no:
        run.plot("epoch")
    assert str(no.value).endswith(
        f"choose one of: {', '.join(CURVES)}, confusion-matrix, calibration"
    )


@pytest.mark.parametrize("opened", [False, True], ids=["live", "opened"])
def test_texts(opened, iris):
    run = xpmlp.load(iris) if opened else fit(Config(**IRIS))
    lines = repr(run).splitlines()
    assert lines[0] == (f"run of iris, opened from {iris}" if opened else "run of iris")
    assert lines[1] == "  net         4-8-3, relu, 67 parameters, softmax_cross_entropy"
    assert lines[2].startswith(
        "  training    momentum, learning rate 0.1 (cosine), batch 16, 12 ep"
    )
    assert f"best weights from epoch {run.best_epoch}" in lines[3]
    assert lines[-1] == f"  test        loss {run.test.loss:.4f}, accuracy {run.test.accuracy:.4f}"
    html = run._repr_html_()
    assert html.startswith("<table>")
    assert "4-8-3, relu, 67 parameters" in html
    assert "://" not in html


def test_rows_that_were_split_otherwise_in_python_are_not_taken_for_those_of_the_run(tmp_path):
    """Some of the config's test rows have trained this net."""
    rng = np.random.default_rng(0)
    table = np.column_stack([rng.standard_normal((40, 2)), rng.integers(0, 2, 40)])
    np.savetxt(tmp_path / "rows.csv", table, "%.3f,%.3f,%d", header="a,b,y", comments="")
    config = Config(dataset=str(tmp_path / "rows.csv"), scale="none", hidden=(2,), epochs=1)
    data = xpmlp.load_dataset(config.dataset, scale="none")
    other = resplit(data, 7, len(data.train), len(data.validation))
    for rows, name in ((data, "same"), (other, "other")):
        fit(config, rows).save(tmp_path / name, pictures=False)
    assert xpmlp.load(tmp_path / "same").test is not None
    with pytest.raises(InputError, match="not those that .*other was trained on: .* in Python"):
        _ = xpmlp.load(tmp_path / "other").test


def test_html_is_escaped(iris):
    from dataclasses import replace

    run = xpmlp.load(iris)
    odd = replace(run, model=replace(run.model, dataset="<b>&"))
    assert "&lt;b&gt;&amp;" in odd._repr_html_()


def test_no_data_is_loaded_before_it_is_asked_for(folder):
    config = folder / "config.toml"
    config.write_text(config.read_text().replace('"xor"', '"/nowhere/gone.csv"'))
    run = xpmlp.load(folder)
    assert "loss" in repr(run)
    assert run.plot("epochs").axes
    with pytest.raises(InputError, match=r"gone\.csv: there is no such file"):
        _ = run.test
    config.write_text(config.read_text().replace("/nowhere/gone.csv", "notmnist"))
    with pytest.raises(DataUnavailableError):
        _ = xpmlp.load(folder).data


def test_data_that_changed_is_refused(tmp_path):
    table = tmp_path / "table.csv"
    rows = [f"{i},{i % 7},{'ab'[i % 2]}" for i in range(40)]
    table.write_text("\n".join(rows))
    path = saved(tmp_path, dataset=str(table), hidden=(3,), epochs=1, scale="standard")
    assert xpmlp.load(path).test is not None
    table.write_text("\n".join([*rows[:-1], "1000,3,a"]))
    with pytest.raises(InputError, match="not those that .*run was trained on"):
        _ = xpmlp.load(path).data
    table.write_text("\n".join(f"1,{row}" for row in rows))
    with pytest.raises(InputError, match="not those that .*run was trained on"):
        _ = xpmlp.load(path).data


def test_without_tables_and_summary(folder):
    for name in ("checkpoint.safetensors", "history.csv", "steps.csv", "summary.json"):
        (folder / name).unlink()
    run = xpmlp.load(folder)
    assert (run.history.epochs, run.summary, run.record, run.best_epoch) == ([], {}, None, None)
    assert [name for name, _ in run.pictures()] == [
        "decision-regions",
        "confusion-matrix",
        "calibration",
    ]
    assert repr(run).endswith("0 of 3 done")


def test_without_the_table_of_steps(folder):
    (folder / "steps.csv").unlink()
    names = [name for name, _ in xpmlp.load(folder).pictures()]
    assert names == ["epochs", "decision-regions", "confusion-matrix", "calibration"]


def test_the_best_epoch_without_a_summary(iris, tmp_path):
    from shutil import copytree

    copy = copytree(iris, tmp_path / "copy")
    for name in ("checkpoint.safetensors", "summary.json"):
        (copy / name).unlink()
    run = xpmlp.load(copy)
    assert run.best_epoch == xpmlp.load(iris).best_epoch
    assert run.test_score is None


def test_several_seeds(tmp_path):
    options = [*QUICK, "--quiet", "--seeds", "3,5", "--out", str(tmp_path / "run")]
    assert train.main(options) == 0
    runs = xpmlp.open_runs(tmp_path / "run")
    assert [run.config.seed for run in runs] == [3, 5]
    assert [run.path.name for run in runs] == ["seed-3", "seed-5"]
    with pytest.raises(InputError, match=r"several seeds \(3, 5\); open one of them, as .*seed-3"):
        xpmlp.load(tmp_path / "run")
    (alone,) = xpmlp.open_runs(tmp_path / "run" / "seed-5")
    np.testing.assert_array_equal(alone.model.params[0].W, runs[1].model.params[0].W)
    (tmp_path / "run" / "seed-5" / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"seed-5 holds no model\.safetensors"):
        xpmlp.open_runs(tmp_path / "run")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda f: (f / "model.safetensors").unlink(), "go on to its end: xpmlp train --resume"),
        (lambda f: (f / "model.safetensors").write_bytes(b"no"), "not a whole safetensors file"),
        (lambda f: (f / "config.toml").unlink(), "holds no config.toml; give the folder"),
        (lambda f: (f / "config.toml").write_text("x ="), "config.toml is not a TOML file"),
        (lambda f: (f / "config.toml").write_text("hiden = [3]"), "unknown option 'hiden'"),
        (lambda f: (f / "summary.json").write_text("{"), "summary.json is damaged: Expecting"),
        (lambda f: (f / "summary.json").unlink(), "holds no summary.json, as the run did not come"),
        (lambda f: (f / "history.csv").unlink(), "or write all results anew: xpmlp train --resume"),
        (
            lambda f: (f / "summary.json").write_text("[]"),
            "summary.json is damaged: expected one JSON object",
        ),
        (lambda f: (f / "history.csv").write_text("a,b"), "history.csv, line 1: expected the col"),
    ],
)
def test_damage_is_refused_in_one_line(damage, says, folder):
    damage(folder)
    with pytest.raises(InputError) as caught:
        xpmlp.load(folder)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_run(folder, tmp_path):
    for path, says in [
        (tmp_path / "nowhere", "there is no folder"),
        (tmp_path, "is no run: it holds no config.toml"),
        (folder / "model.safetensors", "is a file; a run is a folder"),
    ]:
        with pytest.raises(InputError, match=says):
            xpmlp.load(path)
    (folder / "checkpoint.safetensors").unlink()
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match="did not come to its end; let it go on to its end"):
        xpmlp.load(str(folder))


@pytest.mark.parametrize(
    ("summary", "says"),
    [
        ('{"best_epoch": "first"}', "its best_epoch is 'first', expected a whole number or null"),
        ('{"test_loss": NaN}', "NaN is no number"),
        (f'{{"test_loss": 1{"0" * 400}}}', "its test_loss is 1000"),
        ('{"test_accuracy": [1]}', r"its test_accuracy is \[1\], expected a finite number or null"),
        ('{"learning_rates": {}}', "its learning_rates is {}, expected a list"),
        ('{"learning_rates": [{"since": 0}]}', "a learning rate lacks 'learning_rate'"),
        ('{"failure": 1}', "its failure is 1, expected a text or null"),
        ('{"a": ' + "[" * 100_000, "nested too deeply"),
        ('{"dataset": "\\ud800"}', "half a character"),
    ],
)
def test_figures_of_another_type_are_refused(folder, summary, says):
    (folder / "summary.json").write_text(summary)
    with pytest.raises(InputError, match=f"summary.json is damaged: .*{says}"):
        xpmlp.load(folder)


def test_figures_that_were_not_known_once_may_be_missing(folder):
    (folder / "summary.json").write_text('{"best_epoch": 7}')
    run = xpmlp.load(folder)
    assert (run.test_score, run.plans) == (None, ())
