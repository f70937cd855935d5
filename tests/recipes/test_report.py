"""Reports as Markdown, tables on a terminal, and what goes into JSON."""

import json
import os
import re
from pathlib import Path

import pytest

from tests.recipes.tiny import CONFIG, TRAINING, axes_of, diverging, unavailable, xor_recipe
from xpmlp.backends.registry import select_backend
from xpmlp.errors import InputError
from xpmlp.interrupt import StopRequest
from xpmlp.recipes.base import Picture, Property, Published, Setting, Table, Training, values
from xpmlp.recipes.folder import make_folder, save_overview, save_recipe
from xpmlp.recipes.progress import Silence
from xpmlp.recipes.report import full_report, nested, recipe_report, verdict_page
from xpmlp.recipes.reproduction import Reproduction, figures
from xpmlp.recipes.running import missing_lines, plans_of, run_recipe
from xpmlp.recipes.tables import escape, markdown_table, text_table
from xpmlp.recipes.terminal import header, last_lines, recipe_text

ROW_FIELDS = {
    *("quantity", "kind", "published", "values", "mean", "sd", "lowest", "highest", "ours"),
    *("verdict", "detail", "explained_by"),
}


MISSING = xor_recipe(name="missing", trainings={"xor": Training(CONFIG, data=unavailable)})
FAILING = xor_recipe(name="failing", trainings={"xor": Training(CONFIG, data=diverging)})


def reproduce(folder, *recipes, quick=False):
    """Return the reproduction of recipes, saved in a folder."""
    setting = Setting("numpy", "cpu", quick=quick)
    names = [recipe.name for recipe in recipes]
    reproduction = Reproduction(names, setting, select_backend("numpy", "cpu"), folder)
    for recipe in recipes:
        place = folder / recipe.name
        plans = plans_of(recipe, setting)
        outcome = run_recipe(recipe, setting, plans, place, Silence(), StopRequest())
        reproduction.outcomes.append(outcome)
        save_recipe(reproduction, outcome)
        save_overview(reproduction)
    return reproduction


def tables_of(markdown):
    """Return every table as a list of rows of unescaped cells, as a Markdown reader would."""
    blocks = re.findall(r"(?:^\|.*\|\n)+", markdown, re.MULTILINE)
    return [
        [
            [re.sub(r"\\(.)", r"\1", cell.strip()) for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            for line in block.splitlines()
        ]
        for block in blocks
    ]


def test_a_recipes_report_has_verdicts_story_pictures_and_tables(tmp_path):
    reproduce(tmp_path, xor_recipe())
    text = (tmp_path / "tiny-xor/report.md").read_text()
    assert text.startswith("# XOR \\| or not\n\n`tiny-xor`, from a course, homework 0\n\n")
    assert "**1 exact, 1 outside (explained), 2 hold, 0 fail**" in text
    (table,) = tables_of(text)
    head, line, *rows = table
    assert head == ["quantity", "published", "ours", "verdict"]
    assert line == ["---"] * 4
    assert rows[0] == ["ln 2", "0.6931471805599453", "0.6931471805599453", "exact"]
    assert rows[1][:2] == ["training loss | far off", "1000000.0"]
    assert rows[1][3].endswith('sd above our mean, explained by "it learns"')
    assert rows[2] == ["it learns", "–", "|a| < |b|", "holds"]
    assert rows[3] == ["it ends well", "–", "so it does", "holds"]
    assert "\n### What is done\n" in text
    assert "\n# not a heading\n" in text
    assert "\n![axes](axes.png)\n\nEmpty axes.\n" in text
    assert (tmp_path / "tiny-xor/axes.png").read_bytes().startswith(b"\x89PNG")
    assert "\nA table:\n\n```text\na  b\n1  2\n```\n" in text
    assert "- xor: 3 nets, 60 epochs in all, seeds 0 to 2, float64" in text
    assert "`python -m xpmlp.reproduce tiny-xor --backend numpy --device cpu`" in text
    assert "quick" not in text


def test_a_quick_report_says_so_everywhere(tmp_path):
    reproduction = reproduce(tmp_path, xor_recipe(), quick=True)
    for text in (path.read_text() for path in tmp_path.rglob("*.md")):
        title, _, note, *_ = text.splitlines()
        assert title.endswith(" (quick)")
        assert note.startswith("> This is a quick reproduction")
        assert "2 not judged (quick)" in text
        assert "--quick" in text
    assert "- xor: 2 nets, 6 epochs in all, seeds 0, 1, float64" in text or "verdicts" in title
    assert json.loads((tmp_path / "verdicts.json").read_text())["quick"] is True
    assert "quick reproduction" in header(reproduction)
    assert "not judged (quick)" in recipe_text(reproduction.outcomes[0])


def test_the_full_report_has_every_recipe_and_its_pictures(tmp_path):
    reproduction = reproduce(tmp_path, xor_recipe(), MISSING, xor_recipe(name="other"))
    text = full_report(reproduction)
    overview, *verdicts = tables_of(text)
    assert [row[0] for row in overview[2:]] == [
        "[tiny-xor](tiny-xor/report.md)",
        "[missing](missing/report.md)",
        "[other](other/report.md)",
    ]
    assert overview[3][1] == "1 exact, 2 hold, 0 fail, 1 not judged (no data)"
    assert len(verdicts) == 3
    assert "- xor: not run: the rows are not on this machine; put them into DIR" in text
    assert "![axes](tiny-xor/axes.png)" in text
    assert "![axes](other/axes.png)" in text
    assert "\n#### What is done\n" in text
    assert "\n##### Why\n" in text
    assert (
        "**3 exact, 2 outside (explained), 6 hold, 0 fail, 1 not judged (no data); "
        "lacking data: missing**"
    ) in text
    for path in re.findall(r"\]\(([^)]+)\)", text):
        assert (tmp_path / path).is_file()
    page = verdict_page(reproduction)
    assert tables_of(page) == verdicts
    assert len(page) < len(text)


def test_recipes_that_have_not_run_are_named(tmp_path):
    reproduction = reproduce(tmp_path, xor_recipe())
    reproduction.names = ["tiny-xor", "other"]
    assert tables_of(full_report(reproduction))[0][3] == ["other", "not run", ""]
    assert "0 fail; not run: other**" in verdict_page(reproduction)
    assert figures(reproduction)["not_run"] == ["other"]
    assert last_lines(reproduction).startswith("all recipes: 1 exact, ")


def test_json_holds_all_figures(tmp_path):
    reproduce(tmp_path, xor_recipe(), FAILING)
    found = json.loads((tmp_path / "verdicts.json").read_text())
    assert set(found["machine"]) == {"backend", "library", "device", "device_name"}
    assert set(found["versions"]) == {"xpmlp", "python", "numpy", "scikit-learn", "matplotlib"}
    assert found["quick"] is found["interrupted"] is False
    assert found["counts"]["outside (explained)"] == 1
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", found["finished"])
    xor, failing = found["recipes"]
    plan = {"nets": 3, "epochs": 60, "seeds": [0, 1, 2], "dtype": "float64", "missing": None}
    plan["rows"] = "xor: 4 training, 4 validation, 4 test rows"
    assert xor["trainings"] == {"xor": plan}
    assert (xor["reproduced"], xor["failure"]) == (True, None)
    golden, published, holding, _ = xor["rows"]
    assert all(set(row) == ROW_FIELDS for row in xor["rows"])
    assert (golden["kind"], golden["values"], golden["mean"]) == (
        "golden",
        [golden["published"]],
        None,
    )
    assert len(published["values"]) == 3
    assert published["lowest"] == min(published["values"])
    assert published["highest"] == max(published["values"])
    assert published["lowest"] < published["mean"] < published["highest"]
    assert (published["verdict"], published["explained_by"]) == ("outside", "it learns")
    assert (holding["verdict"], holding["ours"], holding["values"]) == ("holds", "|a| < |b|", [])
    assert failing["rows"] == []
    assert (failing["reproduced"], failing["needs_input"]) == (False, False)
    assert failing["failure"] == "the loss became nan in epoch 1"


def test_exit_codes(tmp_path):
    def code(*recipes):
        return reproduce(tmp_path, *recipes).exit_code

    fails = xor_recipe(checks=[Property("it fails", lambda results: (False, "seen"))])
    outside = xor_recipe(checks=[Published("far", 9.0, lambda results: [1.0, 2.0, 3.0])])
    assert code(xor_recipe()) == 0
    assert code(xor_recipe(), MISSING) == 2
    assert code(fails) == code(outside) == code(FAILING) == 1
    assert code(MISSING, FAILING) == code(MISSING, fails) == code(outside, MISSING) == 1


def test_a_bug_in_a_check_is_a_failure_with_its_type(tmp_path, monkeypatch):
    recipe = xor_recipe(checks=[Property("broken", lambda results: 1 / 0)])
    (outcome,) = reproduce(tmp_path, recipe).outcomes
    assert outcome.failure == "ZeroDivisionError: division by zero"
    assert not outcome.needs_input
    monkeypatch.setenv("XPMLP_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        reproduce(tmp_path, recipe)


def test_a_picture_that_fails_costs_a_line(tmp_path):
    recipe = xor_recipe(pictures=[Picture("blank", "Nothing.", lambda results: 1 / 0)])
    reproduction = reproduce(tmp_path, recipe)
    (outcome,) = reproduction.outcomes
    line = "the picture blank could not be drawn: ZeroDivisionError: division by zero"
    assert outcome.drawing.problems == [line]
    text = recipe_report(outcome, reproduction)
    assert line in text
    assert "![blank]" not in text
    assert reproduction.exit_code == 0


def test_a_stop_ends_a_recipe_after_an_epoch(tmp_path):
    class StopsAtThree(Silence):
        epochs = 0

        def advance(self, epochs):
            self.epochs += epochs
            stop.requested = self.epochs >= 3

    stop, progress = StopRequest(), StopsAtThree()
    recipe, setting = xor_recipe(), Setting("numpy", "cpu")
    plans = plans_of(recipe, setting)
    with pytest.raises(KeyboardInterrupt):
        run_recipe(recipe, setting, plans, tmp_path, progress, stop)
    assert 3 <= progress.epochs <= 6


def test_progress_sees_every_stage_and_every_epoch(tmp_path):
    class Notes(Silence):
        def __init__(self):
            self.stages, self.epochs = [], 0

        def begin(self, stage, size=""):
            self.stages.append((stage, size))

        def advance(self, epochs):
            self.epochs += epochs

    notes, setting = Notes(), Setting("numpy", "cpu")
    recipe = xor_recipe()
    run_recipe(recipe, setting, plans_of(recipe, setting), tmp_path, notes, StopRequest())
    assert notes.stages == [
        ("training xor", "3 nets, 60 epochs in all"),
        ("checks", ""),
        ("pictures", ""),
    ]
    assert notes.epochs == plans_of(recipe, setting)["xor"].epochs == 60


def test_a_folder_with_a_report_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = (make_folder(None, ["a"]) for _ in "ab")
    assert first != second
    assert first.parent.name == "reproductions"
    for name in ("report.md", "verdicts.md", "verdicts.json", "verdicts.png", "a", "a/loss.png"):
        folder = tmp_path / name.replace("/", "-") / "out"
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("precious")
        with pytest.raises(InputError, match=f"out already holds {name}; choose another --out"):
            make_folder(folder, ["a"])
        assert (folder / name).read_text() == "precious"
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="can't write reports to .*file"):
        make_folder(tmp_path / "file", [])


def test_a_folder_that_is_read_only_is_refused(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: path.name != "a")
    with pytest.raises(InputError, match="can't write reports to .*a: read-only; choose another"):
        make_folder(tmp_path, ["a"])


def test_epochs_are_those_that_were_trained(tmp_path):
    """Where early stopping may stop, the plan says `up to`; the report counts."""
    config = CONFIG.replace(early_stopping=1, learning_rate=1e-300, seeds=(0, 1))
    training = Training(config, origin=lambda config: f"from {config.dataset}.dat")
    recipe, setting = xor_recipe(trainings={"xor": training}), Setting("numpy", "cpu")
    assert plans_of(recipe, setting)["xor"].size == "2 nets, up to 40 epochs in all"
    (outcome,) = reproduce(tmp_path, recipe).outcomes
    plan = outcome.plans["xor"]
    assert plan.size == "2 nets, 4 epochs in all"
    assert plan.rows == "xor: 4 training, 4 validation, 4 test rows from xor.dat"
    assert plan.rows in (tmp_path / "tiny-xor/report.md").read_text()


def test_trainings_without_data_leave_the_others(tmp_path):
    lost = Training(CONFIG, data=unavailable)
    recipe = xor_recipe(
        trainings={"xor": TRAINING, "lost": lost, "gone": lost},
        checks=[
            Published("with data", 9.0, lambda results: [8.0, 9.0, 10.0]),
            Published("without", 9.0, lambda results: values(results.runs("lost"), "train_loss")),
        ],
        pictures=[
            Picture("axes", "Empty axes.", axes_of),
            Picture("none", "", lambda results: results.runs("gone")),
        ],
        tables=[Table("A table", lambda results: results.runs("gone"))],
    )
    reproduction = reproduce(tmp_path, recipe)
    (outcome,) = reproduction.outcomes
    assert [row.verdict for row in outcome.rows] == ["within", "not judged (no data)"]
    assert outcome.drawing.problems == ["not drawn, for want of data: none"]
    assert [picture.name for picture in outcome.drawing.pictures] == ["axes"]
    assert outcome.tables == [("A table", "not judged (no data)")]
    reason = "the rows are not on this machine; put them into DIR"
    assert missing_lines(outcome.plans) == [f'no data for "lost", "gone": {reason}']
    assert (outcome.is_reproduced, outcome.is_wrong, reproduction.exit_code) == (False, False, 2)
    found = json.loads((tmp_path / "verdicts.json").read_text())["recipes"][0]
    assert found["needs_input"] is True
    assert found["trainings"]["lost"]["missing"] == reason
    assert [found["trainings"][name]["epochs"] for name in ("xor", "lost")] == [60, 0]


def test_shared_data_is_looked_for_once():
    calls = []

    def count_calls(config):
        calls.append(config)
        return unavailable(config)

    training = Training(CONFIG, data=count_calls)
    plans = plans_of(xor_recipe(trainings={"a": training, "b": training}), Setting("numpy", "cpu"))
    assert len(calls) == 1
    assert all(plan.missing for plan in plans.values())


def test_the_header_wraps_in_a_narrow_terminal(tmp_path, monkeypatch):
    reproduction = reproduce(tmp_path, xor_recipe(), quick=True)
    reproduction.folder = Path("out")
    monkeypatch.setenv("COLUMNS", "60")
    lines = header(reproduction).splitlines()
    assert max(map(len, lines)) <= 60
    assert [line[:10].strip() for line in lines if not line.startswith(" ")] == [
        *("machine", "note", "verdicts", "reports")
    ]
    assert "standard deviation (sd)" in " ".join(header(reproduction).split())


def test_text_tables_are_aligned_and_wrapped():
    rows = [("quantity", "ours"), ("short", "1"), ("a rather long text of words", "a-b |c|")]
    assert text_table(rows, 40) == (
        "quantity                     ours\n"
        "short                        1\n"
        "a rather long text of words  a-b |c|"
    )
    assert text_table(rows, 21) == (
        "quantity      ours\nshort         1\na rather      a-b |c|\n  long text\n  of words"
    )
    assert max(map(len, text_table(rows, 5).splitlines())) <= 8 + 2 + 8


def test_markdown_tables_keep_their_columns():
    (table,) = tables_of(markdown_table([("a", "b"), ("|x| \\", "two\nlines <b> *c* `d`")]) + "\n")
    assert table == [["a", "b"], ["---", "---"], ["|x| \\", "two lines <b> *c* `d`"]]
    assert escape("|a_1| < 2*3") == "\\|a_1\\| \\< 2\\*3"


def test_headings_are_moved_but_not_those_in_code():
    text = "# A\n\n```\n# b\n```\n\n## C\n#d"
    assert nested(text, 3) == "### A\n\n```\n# b\n```\n\n#### C\n#d"
    assert nested("no heading", 3) == "no heading"
    assert nested("#### deep", 2) == "## deep"
