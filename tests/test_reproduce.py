"""The reproduce command as a person meets it: what it prints, writes and returns."""

import errno
import json
import os
import signal
import sys
from types import SimpleNamespace

import pytest

from tests.commands import runner
from tests.recipes.tiny import CONFIG, axes_of, diverging, unavailable, xor_recipe
from xpmlp import reproduce
from xpmlp.backends import registry as backends
from xpmlp.files import write_whole
from xpmlp.recipes import progress, registry
from xpmlp.recipes.base import Picture, Property, Training

TINY = {
    "tiny-xor": xor_recipe(),
    "fails": xor_recipe(
        name="fails", checks=[Property("it fails", lambda results: (False, "as seen"))]
    ),
    "missing": xor_recipe(name="missing", trainings={"xor": Training(CONFIG, data=unavailable)}),
    "diverges": xor_recipe(name="diverges", trainings={"xor": Training(CONFIG, data=diverging)}),
}
SIGNALS = pytest.mark.skipif(sys.platform == "win32", reason="signals differ on Windows")
WRITTEN = {"report.md", "verdicts.md", "verdicts.json"}


@pytest.fixture(autouse=True)
def tiny_recipes(monkeypatch, tmp_path):
    driver = backends.Driver(0, (0, 0), "no NVIDIA driver is installed")
    monkeypatch.setattr(backends, "query_driver", lambda: driver)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    for name in list(registry.RECIPES):
        monkeypatch.delitem(registry.RECIPES, name)
    for name, recipe in TINY.items():
        supply(monkeypatch, name, recipe)


def supply(monkeypatch, name, recipe):
    """Put a recipe where the registry finds it."""
    monkeypatch.setitem(registry.RECIPES, name, name.replace("-", "_"))
    module = f"xpmlp.recipes.{registry.RECIPES[name]}"
    monkeypatch.setitem(sys.modules, module, SimpleNamespace(RECIPE=recipe))


run = runner(reproduce.main)


def files_of(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_without_a_name_the_recipes_are_listed(capsys, tmp_path):
    code, out, err = run(capsys)
    assert (code, err) == (0, "")
    for name in TINY:
        assert f"{name:<22}XOR | or not\n{'':<22}a course, homework 0\n" in out
    assert list(tmp_path.iterdir()) == []
    code, out, _ = run(capsys, "--json")
    assert code == 0
    assert [entry["name"] for entry in json.loads(out)["recipes"]] == list(TINY)


def test_the_real_registry_names_what_it_loads(monkeypatch):
    monkeypatch.undo()
    for name in registry.RECIPES:
        recipe = registry.load(name)
        assert recipe.name == name
        assert recipe.title
        assert recipe.source


def test_a_recipe_prints_a_table_and_writes_its_report(capsys, tmp_path):
    code, out, err = run(capsys, "tiny-xor", "--out", "one")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("machine   numpy ")
    assert lines[1].startswith("verdicts  exact: equal to 1e-12.")
    assert lines[3:7] == [
        "reports   one",
        "tiny-xor: training xor: 3 nets, 60 epochs in all",
        "tiny-xor: checks",
        "tiny-xor: pictures",
    ]
    head = lines.index("tiny-xor: XOR | or not")
    assert lines[head + 1] == "a course, homework 0"
    assert lines[head + 3].split() == ["quantity", "published", "ours", "verdict"]
    ours, verdict = (lines[head + 3].index(word) for word in ("ours", "verdict"))
    assert lines[head + 4][ours:verdict].strip() == "0.6931471805599453"
    assert lines[head + 4][verdict:] == "exact"
    assert max(map(len, lines)) <= 110
    assert lines[-1] == f"read {os.path.join('one', 'report.md')}"
    written = files_of(tmp_path / "one")
    assert written == {*WRITTEN, "verdicts.png", "tiny-xor/report.md", "tiny-xor/axes.png"}
    for page in ("report.md", "verdicts.md"):
        assert "](verdicts.png)" in (tmp_path / "one" / page).read_text()


def test_json_is_all_of_stdout(capsys, tmp_path):
    code, out, err = run(capsys, "tiny-xor", "--out", "one", "--json")
    assert code == 0
    printed = json.loads(out)
    saved = json.loads((tmp_path / "one/verdicts.json").read_text())
    assert printed | {"finished": ""} == saved | {"finished": ""}
    assert printed["recipes"][0]["reproduced"] is True
    assert "tiny-xor: training xor" in err


def test_quiet_says_nothing_but_what_one_must_know(capsys):
    code, out, err = run(capsys, "fails", "--quiet", "--out", "one")
    assert (code, out) == (1, "")
    assert err == (
        f"xpmlp reproduce: not reproduced: fails; see {os.path.join('one', 'verdicts.md')}\n"
    )
    assert run(capsys, "tiny-xor", "--quick", "--quiet") == (0, "", "")


def test_a_quick_run_is_marked_in_all_its_output(capsys, tmp_path):
    code, out, err = run(capsys, "tiny-xor", "--quick", "--out", "one")
    assert (code, err) == (0, "")
    assert "note      quick reproduction: smaller trainings" in out.splitlines()[1]
    assert "training xor: 2 nets, 6 epochs in all" in out
    assert "not judged (quick)" in out
    assert (tmp_path / "one/tiny-xor/report.md").read_text().startswith("# XOR \\| or not (quick)")
    assert json.loads((tmp_path / "one/verdicts.json").read_text())["quick"] is True


def test_all_goes_on_after_failures_and_says_which(capsys, tmp_path):
    code, out, err = run(capsys, "--all", "--quick", "--out", "one")
    assert code == 1
    assert err.splitlines() == [
        'xpmlp reproduce: missing: no data for "xor": '
        "the rows are not on this machine; put them into DIR",
        "xpmlp reproduce: diverges: the loss became nan in epoch 1",
        "xpmlp reproduce: not reproduced: fails, missing, diverges; "
        f"see {os.path.join('one', 'verdicts.md')}",
    ]
    counts = (
        "2 exact, 2 hold, 1 fail, 3 not judged (quick), 1 not judged (no data); "
        "failed: diverges; lacking data: missing"
    )
    assert out.splitlines()[-2] == f"all recipes: {counts}"
    assert files_of(tmp_path / "one") == {
        *WRITTEN,
        *(f"{name}/report.md" for name in ("tiny-xor", "fails", "missing")),
        *(f"{name}/axes.png" for name in ("tiny-xor", "fails", "missing")),
    }
    report = (tmp_path / "one/report.md").read_text()
    assert "xor: not run: the rows are not on this machine" in report
    assert "failed: the loss became nan in epoch 1" in report


def test_missing_data_alone_is_exit_code_2(capsys):
    code, _, err = run(capsys, "missing", "tiny-xor", "--quick")
    assert code == 2
    assert "put them into DIR" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tiny-xro"], "unknown recipe 'tiny-xro' (did you mean 'tiny-xor'?); choose one of: tiny"),
        (["tiny-xor", "--all"], "give names of recipes or --all, not both"),
        (["--quick"], "name recipes, or give --all"),
        (["--out", "x"], "name recipes, or give --all"),
        (["--json", "--device", "cpu"], "name recipes, or give --all"),
        (["tiny-xor", "--backend", "nunpy"], "unknown backend 'nunpy'"),
        (["tiny-xor", "--backend", "numpy", "--device", "cuda"], "numpy does not run on cuda"),
        (["tiny-xor", "--device", "cuda", "--no-fallback"], "no NVIDIA driver is installed"),
        (["tiny-xor", "--data-dir", "nowhere"], "--data-dir: there is no folder nowhere"),
        (["tiny-xor", "--out", "/proc/nowhere"], "can't write reports to /proc/nowhere"),
        (["tiny-xor", "--quikc"], "unrecognized arguments: --quikc"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(capsys, tmp_path, arguments, message):
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_report_is_never_overwritten(capsys, tmp_path):
    assert run(capsys, "tiny-xor", "--quick", "--out", "one")[0] == 0
    before = {path: path.read_bytes() for path in (tmp_path / "one").rglob("*.*")}
    code, _, err = run(capsys, "fails", "--quick", "--out", "one")
    assert code == 2
    assert "one already holds report.md; choose another --out" in err
    assert {path: path.read_bytes() for path in (tmp_path / "one").rglob("*.*")} == before


def test_cuda_without_a_gpu_warns_and_runs(capsys, tmp_path):
    options = ["tiny-xor", "--quick", "--device", "cuda", "--json", "--quiet"]
    code, out, err = run(capsys, *options)
    found = json.loads(out)
    assert code == 0
    assert err == (
        f"warning: no CUDA: {found['fallback_reason']}; training on the CPU with numpy\n"
    )
    assert "no NVIDIA driver" in found["fallback_reason"]
    assert (found["device_requested"], found["machine"]["device"]) == ("cuda", "cpu")


def test_a_picture_that_fails_costs_a_warning(capsys, monkeypatch):
    recipe = xor_recipe(pictures=[Picture("blank", "Nothing.", lambda results: 1 / 0)])
    supply(monkeypatch, "tiny-xor", recipe)
    code, _, err = run(capsys, "tiny-xor", "--quick")
    assert code == 0
    assert err == (
        "warning: tiny-xor: the picture blank could not be drawn: "
        "ZeroDivisionError: division by zero\n"
    )


def test_a_file_in_the_place_of_a_recipes_folder_is_refused_before_training(capsys, tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one/fails").write_text("precious")
    code, out, err = run(capsys, "tiny-xor", "fails", "--quick", "--out", "one")
    assert (code, out) == (2, "")
    assert err == "xpmlp reproduce: one already holds fails; choose another --out\n"
    assert files_of(tmp_path / "one") == {"fails"}


def full_disk(monkeypatch, *names):
    """Refuse to write files of these names."""

    def write(path, content):
        if path.name in names or path.parent.name in names:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_whole(path, content)

    monkeypatch.setattr("xpmlp.recipes.folder.write_whole", write)


def test_what_can_not_be_written_costs_neither_figures_nor_recipes(capsys, monkeypatch, tmp_path):
    full_disk(monkeypatch, "tiny-xor")
    supply(monkeypatch, "other", xor_recipe(name="other"))
    code, out, err = run(capsys, "tiny-xor", "other", "--quick", "--out", "one", "--json")
    lost = os.path.join("one", "tiny-xor", "report.md")
    assert code == 1
    assert err.splitlines()[-1] == f"xpmlp reproduce: can't write {lost}: No space left on device"
    found = json.loads(out)
    assert [recipe["reproduced"] for recipe in found["recipes"]] == [True, True]
    assert found["unsaved"] == {lost: "No space left on device"}
    assert (tmp_path / "one/other/report.md").is_file()


def test_a_folder_that_can_not_be_written_is_refused_before_training(capsys, monkeypatch):
    full_disk(monkeypatch, "verdicts.md")
    code, out, err = run(capsys, "tiny-xor", "--quick", "--out", "one")
    assert (code, out) == (2, "")
    assert err == (
        f"xpmlp reproduce: can't write {os.path.join('one', 'verdicts.md')}: "
        "No space left on device; choose another --out\n"
    )


def test_a_picture_that_can_not_be_written_is_named(capsys, monkeypatch, tmp_path):
    def lose_folder(results):
        (tmp_path / "one/tiny-xor").write_text("in the way")
        return axes_of(results)

    recipe = xor_recipe(pictures=[Picture("axes", "", lose_folder)])
    supply(monkeypatch, "tiny-xor", recipe)
    code, out, err = run(capsys, "tiny-xor", "fails", "--quick", "--out", "one")
    assert code == 1
    for name in ("axes.png", "report.md"):
        assert f"{os.path.join('one', 'tiny-xor', name)}: " in err
    assert "1 exact, 1 hold, 0 fail, 2 not judged (quick)" in out
    assert (tmp_path / "one/fails/axes.png").is_file()


@SIGNALS
def test_a_second_ctrl_c_while_drawing_keeps_the_verdicts(capsys, monkeypatch, tmp_path):
    def pestered(results):
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)

    pictures = [Picture("axes", "Empty axes.", axes_of), Picture("never", "", pestered)]
    supply(monkeypatch, "tiny-xor", xor_recipe(pictures=pictures))
    code, out, err = run(capsys, "tiny-xor", "fails", "--quick", "--out", "one", "--json")
    assert code == 130
    found = json.loads(out)
    (recipe,) = found["recipes"]
    assert len(recipe["rows"]) == 4
    assert recipe["problems"] == ["stopped before all pictures were drawn"]
    assert (found["interrupted"], found["not_run"]) == (True, ["fails"])
    assert files_of(tmp_path / "one/tiny-xor") == {"axes.png", "report.md"}
    assert "the finished recipes are in one" in err


@SIGNALS
def test_an_interruption_before_the_first_recipe_ended_names_none(capsys, monkeypatch):
    def pester(line, epochs):
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(progress.Lines, "advance", pester)
    code, _, err = run(capsys, "tiny-xor", "--quick", "--out", "one")
    assert code == 130
    assert err.splitlines()[-1] == "xpmlp reproduce: interrupted; no recipe was finished"


@SIGNALS
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_keeps_the_finished_recipes(capsys, monkeypatch, tmp_path, times):
    def pester(line, epochs):
        if line.recipe == "stopped":
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(progress.Lines, "advance", pester)
    supply(monkeypatch, "stopped", xor_recipe(name="stopped"))
    names = ["tiny-xor", "stopped", "fails"]
    code, out, err = run(capsys, *names, "--quick", "--out", "one", "--json")
    assert code == 130
    assert "xpmlp reproduce: interrupted; the finished recipes are in one" in err
    assert "Traceback" not in err
    found = json.loads(out)
    assert found["interrupted"] is True
    assert [recipe["name"] for recipe in found["recipes"]] == ["tiny-xor"]
    assert found["not_run"] == ["stopped", "fails"]
    written = files_of(tmp_path / "one")
    assert written == {*WRITTEN, "tiny-xor/report.md", "tiny-xor/axes.png"}
    assert "; not run: stopped, fails**" in (tmp_path / "one/verdicts.md").read_text()


def test_a_stop_while_the_last_recipe_is_checked_loses_nothing(capsys, monkeypatch):
    def pestered(results):
        os.kill(os.getpid(), signal.SIGINT)
        return True, "seen"

    checks = [Property("patience", pestered)]
    supply(monkeypatch, "tiny-xor", xor_recipe(checks=checks))
    code, out, _ = run(capsys, "tiny-xor", "--quick", "--json", "--out", "one")
    assert (code, json.loads(out)["interrupted"]) == (0, False)


def test_help_is_short(capsys):
    code, out, err = run(capsys, "--help")
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    for word in ("--quick", "--all", "--no-fallback", "--data-dir", "exit codes: 0"):
        assert word in out
