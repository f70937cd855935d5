"""`xpmlp compare`: which run is better, in what they differ, and one picture of them all."""

import json
import re
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
from PIL import Image

from tests.commands import QUICK, runner
from xpmlp import compare as command
from xpmlp import train
from xpmlp.errors import InputError
from xpmlp.pictures.compared_curves import COLOURS, compared_curves
from xpmlp.pictures.curve import Curve
from xpmlp.runs.compared import short_names
from xpmlp.runs.comparing import compare_runs, table_text
from xpmlp.runs.opened import OpenedRun

MOONS = ["--dataset", "moons", "--hidden", "4", "--epochs", "3", "--batch-size", "64"]
RUNS = {
    "slow": [*MOONS, "--learning-rate", "0.01"],
    "fast": [*MOONS, "--learning-rate", "0.3"],
    "other/fast": [*MOONS, "--learning-rate", "0.3"],
    "seeds": [*MOONS, "--seeds", "3", "--activation", "tanh"],
    "xor": QUICK,
    "squares": [*MOONS, "--loss", "mean_squared_error"],
    "values": ["--dataset", "values.csv", "--hidden", "3", "--epochs", "2"],
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with runs of all kinds."""
    folder = tmp_path_factory.mktemp("runs")
    numbers = np.random.default_rng(0).normal(size=(40, 3))
    np.savetxt(folder / "values.csv", numbers, delimiter=",")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, options in RUNS.items():
            assert train.main([*options, "--quiet", "--no-plots", "--out", name]) == 0
    return folder


@pytest.fixture
def runs(trained, monkeypatch):
    monkeypatch.chdir(trained)
    return trained


run = runner(command.main)


def row(text: str, name: str) -> list[str]:
    """Return the cells of the first row with a name."""
    line = next(line for line in text.splitlines() if line.startswith(f"{name}  "))
    return re.split(r"\s{2,}", line.removeprefix(name).strip())


def summary(folder: str) -> dict:
    return json.loads(Path(folder, "summary.json").read_text())


def test_the_better_run_is_marked_and_only_settings_that_differ_are_listed(runs, capsys):
    code, out, err = run(capsys, "slow", "fast", "--no-plots")
    assert (code, err) == (0, "")
    slow, fast = (summary(name) for name in ("slow", "fast"))
    assert fast["test_loss"] < slow["test_loss"]
    assert row(out, "test loss") == [f"{slow['test_loss']:.4f}", f"{fast['test_loss']:.4f} *"]
    assert row(out, "data set") == ["moons", "moons"]
    assert row(out, "net") == ["2-4-2", "2-4-2"]
    settings = out.split("settings that differ")[1].split("\n\n")[0]
    assert [line.split() for line in settings.splitlines()[2:]] == [
        ["learning_rate", "0.01", "0.3"]
    ]
    assert "machines that differ" not in out


def test_several_seeds_are_one_column_of_means(runs, capsys):
    code, out, _ = run(capsys, "fast", "seeds", "--no-plots")
    losses = [summary(f"seeds/seed-{seed}")["test_loss"] for seed in range(3)]
    mean = f"{np.mean(losses):.4f} ± {np.std(losses, ddof=1):.4f}"
    assert code == 0
    assert row(out, "test loss")[1].removesuffix(" *") == mean
    assert row(out, "seeds") == ["1", "3"]
    assert row(out, "seed") == ["0", "0 to 2"]
    assert "±" not in "".join(row(out, "seconds per epoch"))


def test_json_is_one_object_that_says_the_same(runs, capsys):
    code, out, err = run(capsys, "slow", "seeds", "--json", "--no-plots")
    figures = json.loads(out)
    assert (code, err, figures["picture"]) == (0, "", None)
    one, several = figures["runs"]
    assert (one["name"], several["seeds"]) == ("slow", [0, 1, 2])
    assert one["test_loss"] == summary("slow")["test_loss"]
    assert several["test_loss"] == pytest.approx(summary("seeds")["test_loss"])
    assert figures["best"]["test_loss"] == ["seeds"]
    assert figures["settings"]["activation"] == [["relu"], ["tanh"]]
    assert figures["settings"]["seed"] == [[0], [0, 1, 2]]


def test_the_picture_goes_where_it_was_asked_for_and_replaces_none(runs, capsys, tmp_path):
    arguments = ("slow", "seeds", "--out", tmp_path / "a" / "b")
    code, out, _ = run(capsys, *arguments)
    picture = tmp_path / "a" / "b" / "compare.png"
    assert (code, out.splitlines()[-1]) == (0, f"curves in {picture}")
    with Image.open(picture) as image:
        assert (image.format, max(image.size) < 2500) == ("PNG", True)
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert "already holds compare.png; choose another --out" in err


def test_every_run_has_a_colour_and_the_setting_that_tells_it_apart(runs):
    figure = compare_runs(["slow", "fast"]).plot()
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "", "accuracy", ""]
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "training",
        "validation",
        "",
        "",
    ]
    assert [axes.get_xlabel() for axes in figure.axes] == ["", "", "epoch", "epoch"]
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["learning rate 0.01", "learning rate 0.3"]
    for axes in figure.axes:
        assert [line.get_color() for line in axes.lines] == list(COLOURS[:2])


def test_panels_of_a_row_share_their_scale_which_is_logarithmic_over_decades():
    def curves(loss):
        return [Curve("a", np.array(loss)), Curve("b", np.full(2, np.nan))]

    panels = {("train", "loss"): curves([9.0, 0.1]), ("validation", "loss"): curves([8.0, 0.01])}
    panels |= {(part, "accuracy"): curves([0.1, 0.9]) for part in ("train", "validation")}
    loss, other, accuracy, _ = compared_curves(panels).axes
    assert (loss.get_yscale(), accuracy.get_yscale()) == ("log", "linear")
    assert loss.get_ylim() == other.get_ylim()
    assert loss.get_ylim()[0] < 0.01 < 9 < loss.get_ylim()[1]
    assert len(loss.lines) == 1


def test_nine_runs_look_different(runs):
    lines = [Curve(str(i), np.array([i, i + 1.0])) for i in range(9)]
    (axes,) = compared_curves({("train", "loss"): lines, ("validation", "loss"): []}).axes
    looks = [(line.get_color(), line.get_linestyle()) for line in axes.lines]
    assert len(set(looks)) == 9


def test_seeds_have_a_band_and_many_settings_give_way_to_names(runs):
    comparison = compare_runs(["slow", "seeds", "values"])
    assert comparison.labels == ["slow", "seeds", "values"]
    figure = comparison.plot()
    assert all(len(axes.collections) == 1 for axes in figure.axes)
    assert "of 3 seeds" in figure.legends[0].get_title().get_text()


def test_runs_of_values_alone_have_no_panels_of_accuracy(runs, tmp_path):
    comparison = compare_runs(["values", copy_of("values", tmp_path / "again")])
    assert [axes.get_ylabel() for axes in comparison.plot().axes] == ["loss", ""]
    assert "accuracy" not in comparison.text()


def test_equal_names_are_told_apart_by_their_parents(runs, capsys):
    code, out, _ = run(capsys, "fast", "other/fast", "--no-plots")
    assert code == 0
    assert out.splitlines()[1].split() == [f"{runs.name}/fast", "other/fast"]
    assert "the settings do not differ" in out
    assert "settings that differ" not in out
    assert row(out, "test loss")[0] == row(out, "test loss")[1]
    assert "*" not in "".join(row(out, "test loss"))


def test_names_are_as_short_as_they_can_be():
    paths = [Path(p) for p in ("/a/x/run", "/b/x/run", "/b/y/run", "/c/other")]
    assert short_names(paths) == ["a/x/run", "b/x/run", "y/run", "other"]


def test_losses_of_different_data_sets_are_not_ranked(runs, capsys):
    code, out, _ = run(capsys, "fast", "xor", "values", "--no-plots")
    assert code == 0
    assert "different data sets (moons, xor, values.csv)" in out
    assert "these have no accuracy" in out
    assert "*" not in "".join(row(out, "test loss") + row(out, "test accuracy"))
    assert row(out, "test accuracy")[2] == "–"


def test_different_losses_are_not_ranked_but_accuracies_are(runs):
    comparison = compare_runs(["slow", "squares"])
    assert "test_loss" not in comparison.best
    assert "test_accuracy" in comparison.best
    assert any("different losses" in note for note in comparison.notes)


def test_losses_of_a_table_are_ranked_where_they_are_of_the_same_values(tmp_path):
    rows = "".join(f"{i % 7}.5,{i}.25,{i % 5}.75\n" for i in range(60))
    (tmp_path / "t.csv").write_text("a,price,rent\n" + rows)
    options = ["--dataset", tmp_path / "t.csv", "--hidden", "3", "--epochs", "2"]
    choices = {
        "one": ["--label", "price"],
        "two": ["--label", "price", "--seed", "1"],
        "rent": ["--label", "rent", "--drop", "price"],
        "own": ["--label", "price", "--scale", "none"],
    }
    for name, chosen in choices.items():
        more = ["--quiet", "--no-plots", "--out", tmp_path / name]
        assert train.main([*map(str, (*options, *chosen, *more))]) == 0
    assert "test_loss" in compare_runs([tmp_path / "one", tmp_path / "two"]).best
    for name, note in (("rent", "different labels or tasks"), ("own", "in their own units")):
        found = compare_runs([tmp_path / "one", tmp_path / name])
        assert not {"train_loss", "validation_loss", "test_loss"} & set(found.best)
        assert note in found.notes[0]


def test_a_failed_seed_and_an_interrupted_run_are_named(runs, tmp_path):
    path = copy_of("seeds", tmp_path / "troubled")
    change_summary(path / "seed-1", failure="the loss is NaN", test_loss=None)
    other = copy_of("fast", tmp_path / "cut")
    change_summary(other, interrupted=True)
    comparison = compare_runs([path, other])
    assert comparison.notes == [
        "troubled: seed 1 failed: the loss is NaN",
        "cut was interrupted",
    ]
    assert comparison.runs[0].seeds == [0, 2]
    assert np.isfinite(comparison.as_dict()["runs"][0]["test_loss"]["mean"])


def test_a_run_without_a_summary_is_compared_by_what_else_it_has(runs, tmp_path):
    path = copy_of("fast", tmp_path / "bare")
    for name in ("checkpoint.safetensors", "summary.json"):
        (path / name).unlink()
    text = str(compare_runs([path, "slow"]))
    assert row(text, "test loss")[0] == "–"
    assert row(text, "train loss")[0] != "–"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["slow"], "a comparison needs two runs or more, got 1"),
        (["slow", "other/../slow"], "is given twice"),
        (["slow", "nowhere"], "there is no folder nowhere"),
        (["slow", "other"], "other is no run"),
        (["slow", "values.csv"], "values.csv is a file"),
        (["slow", "fast", "--out", "x", "--no-plots"], "--no-plots draws none"),
        (["slow", "fast", "--out", "values.csv"], "can't write compare.png to values.csv"),
        ([], "required: RUN"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(runs, capsys, arguments, expected):
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert expected in err
    assert len(err.splitlines()) == 1


def test_from_python_opened_runs_can_be_compared(runs):
    opened = OpenedRun.open("fast")
    assert [run.name for run in compare_runs([opened, "slow"]).runs] == ["fast", "slow"]
    with pytest.raises(InputError, match="given twice"):
        compare_runs([opened, opened])


def test_a_wide_table_goes_on_below():
    table = [["", "first", "second", "third"], ["row", "1 *", "2", "3"]]
    assert table_text(table, 200).count("\n") == 1
    blocks = [block.splitlines() for block in table_text(table, 24).split("\n\n")]
    assert [block[0].split() for block in blocks] == [["first", "second"], ["third"]]
    assert [block[1].split()[0] for block in blocks] == ["row", "row"]


def copy_of(run: str, path: Path) -> Path:
    return Path(copytree(run, path))


def change_summary(path: Path, **values) -> None:
    (path / "summary.json").write_text(json.dumps(summary(path) | values))
