"""A run's report.html: whole, safe, alone in the world, and true."""

import json
import re
import shutil
import subprocess
from base64 import b64decode
from html.parser import HTMLParser
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xpmlp import train
from xpmlp.errors import InputError
from xpmlp.evaluation.intervals import wilson_interval
from xpmlp.pages.html_report import RunPage, read_pictures, save_report
from xpmlp.runs.opened import OpenedRun
from xpmlp.runs.reporting import write_report

VOID = {"meta", "link", "img", "br", "hr"}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chromium-headless-shell")
ODD = "<b>one</b> & \"two\" <script>alert('$')</script>"
RUNS = {
    "plane": ["--dataset", "moons", "--hidden", "4", "--epochs", "3", "--early-stopping", "2"],
    "odd": ["--dataset", "odd.csv", "--hidden", "3", "--epochs", "2", "--scale", "standard"],
    "values": ["--dataset", "values.csv", "--hidden", "3", "--epochs", "2"],
    "images": ["--dataset", "digits", "--hidden", "8", "--epochs", "2"],
    "seeds": ["--dataset", "moons", "--hidden", "4", "--epochs", "3", "--seeds", "3"],
    "alone": ["--dataset", "xor", "--hidden", "4", "--epochs", "2", "--learning-rate", "0.01"],
}


class Page(HTMLParser):
    """A page that was read strictly: every element is closed, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        assert len(attributes) == len(dict(attributes)), "an attribute is given twice"
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.elements if name == tag]

    def text(self, tag: str) -> list[str]:
        return [text for text in self.texts.get(tag, []) if text.strip()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs of all kinds, with a picture each, though not drawn by them."""
    folder = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(0)
    np.savetxt(folder / "values.csv", rng.normal(size=(60, 4)), delimiter=",")
    quoted = '"' + ODD.replace('"', '""') + '"'
    rows = [f"{x:.4f},{y:.4f},{quoted if x > y else 'b'}" for x, y in rng.normal(size=(80, 2))]
    (folder / "odd.csv").write_text("\n".join([f"{quoted},c,note", *rows]))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, options in RUNS.items():
            assert train.main([*options, "--quiet", "--no-plots", "--out", name]) == 0
            for picture in ("epochs", "loss-per-step", "decision-regions", "of-tomorrow"):
                Image.new("RGB", (300, 200), "white").save(folder / name / f"{picture}.png")
    return folder


@pytest.fixture(scope="module")
def pages(folder):
    """The text of each run's page."""
    return {name: write_report(folder / name).read_text(encoding="utf-8") for name in RUNS}


def figures(folder: Path) -> dict:
    return json.loads((folder / "summary.json").read_text())


@pytest.mark.parametrize("name", RUNS)
def test_the_page_is_well_formed_and_says_how_it_is_to_be_read(pages, name):
    page = Page(pages[name])
    assert pages[name].startswith("<!doctype html>\n")
    assert page.all("html") == [{"lang": "en"}]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all(
        "meta"
    )
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert [a["href"] for a in page.all("a")] == [f"#{name}" for name in ids]
    headings = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert headings.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(headings))
    assert len(page.all("table")) == len([a for a in page.all("div") if a["class"] == "scroll"])
    assert all(attributes["scope"] in ("row", "col") for attributes in page.all("th"))


@pytest.mark.parametrize("name", RUNS)
def test_pictures_lie_in_the_page_byte_for_byte_and_nothing_is_loaded(pages, folder, name):
    page = Page(pages[name])
    bytes_of = [path.read_bytes() for path in (folder / name).glob("*.png")]
    images = page.all("img")
    assert len(images) == len(bytes_of) == 4
    for image in images:
        png = b64decode(image["src"].removeprefix("data:image/png;base64,"), validate=True)
        assert png in bytes_of
        with Image.open(BytesIO(png)) as opened:
            width, height = opened.size
        assert int(image["width"]) / int(image["height"]) == pytest.approx(width / height, rel=0.01)
        assert len(image["alt"]) > 10
    assert page.all("script") == []
    assert "expected calibration error" not in page.text("dt")  # which has no picture here
    assert not re.search(r"https?:|url\(|@import|javascript:", pages[name])
    assert page.all("link") == [{"rel": "icon", "href": "data:,"}]
    policy = next(a["content"] for a in page.all("meta") if "http-equiv" in a)
    assert policy.startswith("default-src 'none';")


def test_texts_from_the_data_are_no_markup(pages):
    page = Page(pages["odd"])
    assert ODD in page.text("th")
    assert "<b>" not in pages["odd"]
    assert "<script" not in pages["odd"]


def test_the_figures_are_those_of_the_run(pages, folder):
    page, summary = Page(pages["plane"]), figures(folder / "plane")
    cells = page.text("td")
    for part in ("train", "validation", "test"):
        assert f"{summary[f'{part}_loss']:.4f}" in cells
        assert f"{summary[f'{part}_accuracy']:.4f}" in cells
    run = OpenedRun.open(folder / "plane")
    interval = wilson_interval(round(summary["test_accuracy"] * 200), len(run.data.test))
    assert str(interval) in cells
    assert len([cell for cell in cells if re.fullmatch(r"0\.\d{4} to \d\.\d{4}", cell)]) == 2
    lead = page.text("p")[0]
    assert f"accuracy of {summary['test_accuracy']:.4f} (95 % interval: {interval})" in lead
    assert f"the weights of epoch {summary['best_epoch']} of {summary['epochs']}." in lead


def test_classes_have_the_figures_of_scikit_learn(pages, folder):
    from sklearn.metrics import classification_report

    run = OpenedRun.open(folder / "images")
    known = classification_report(
        run.data.test.y, run.model.predict(run.data.test), output_dict=True, zero_division=0
    )
    rows = re.findall(r'<tr><th scope="row">(\w+)</th>(.*?)</tr>', pages["images"])
    cells = {name: re.findall("<td>(.*?)</td>", row) for name, row in rows}
    for name, figure in [(str(i), known[str(i)]) for i in range(10)]:
        shown = [f"{figure[m]:.4f}" for m in ("precision", "recall", "f1-score")]
        assert cells[name] == [*shown, f"{figure['support']:.0f}"]
    assert cells["mean"][2] == f"{known['macro avg']['f1-score']:.4f}"


def test_mistakes_of_a_table_come_with_their_features_as_they_were(folder):
    run = OpenedRun.open(folder / "odd")
    page = Page(write_report(run).read_text())
    raw = run.data.test.x * run.model.scaling.width + run.model.scaling.shift
    wrong = np.flatnonzero(run.model.predict(run.data.test) != run.data.test.y)
    assert len(wrong)
    assert {f"{raw[i, 0]:.4g}" for i in wrong[:1]} & set(page.text("td"))


def test_values_have_errors_instead_of_classes(pages):
    text = pages["values"]
    for expected in ("mean squared error of", "R²", "Largest errors"):
        assert expected in text
    for unexpected in ("accuracy</th>", "95 %", "Each class"):
        assert unexpected not in text


def test_several_seeds_have_a_row_each_and_their_mean(pages, folder):
    page, summary = Page(pages["seeds"]), figures(folder / "seeds")
    accuracy = summary["test_accuracy"]
    mean = f"{accuracy['mean']:.4f} ± {accuracy['std']:.4f}"
    assert mean in page.text("td")
    assert f"an accuracy of {mean} over the 200 test rows of moons" in page.text("p")[0]
    for member in summary["members"]:
        assert f"{member['test_loss']:.4f}" in page.text("td")
    assert "Each class" not in pages["seeds"]


def test_settings_that_are_not_the_default_stand_out(pages):
    rows = re.findall(r"<tr( class=\"changed\")?>.*?<code>(\w+)</code>.*?</tr>", pages["alone"])
    changed = {name for mark, name in rows if mark}
    assert {"hidden", "epochs", "learning_rate"} <= changed
    assert not changed & {"momentum", "batch_size", "seed"}
    assert "default: 300 100" in pages["alone"]


def test_what_one_should_know_of_the_data_is_said(pages):
    assert "Xor has only 4 rows" in pages["alone"]


def test_a_run_that_failed_says_why(folder, tmp_path):
    path = shutil.copytree(folder / "plane", tmp_path / "copy")
    summary = figures(path) | {"failure": "the loss became nan: layer <2> went first"}
    (path / "summary.json").write_text(json.dumps(summary))
    page = write_report(path).read_text()
    assert "Training failed: the loss became nan: layer &lt;2&gt; went first." in page


def test_a_seed_that_failed_is_named(folder, tmp_path):
    path = shutil.copytree(folder / "seeds", tmp_path / "seeds")
    summary = figures(path) | {"failed_seeds": {"1": "the loss is <NaN>"}}
    (path / "summary.json").write_text(json.dumps(summary))
    assert "Seed 1 failed: the loss is &lt;NaN&gt;" in write_report(path).read_text()


def test_it_can_go_elsewhere_and_needs_a_run_that_is_over(folder, tmp_path):
    assert write_report(folder / "plane", tmp_path / "x.html") == tmp_path / "x.html"
    with pytest.raises(InputError, match="is no run"):
        write_report(folder)
    path = shutil.copytree(folder / "plane", tmp_path / "plane")
    (path / "summary.json").unlink()
    with pytest.raises(InputError, match=r"holds no summary\.json"):
        write_report(path)


def test_an_interrupted_write_leaves_the_old_page(folder, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")
    run = OpenedRun.open(folder / "plane")
    page = RunPage([run], run.config, run.summary, {})

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        save_report(page, path)
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    assert path.read_text() == "old"


def test_training_writes_it_with_its_pictures_and_anew_when_it_goes_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ["--dataset", "iris", "--hidden", "4", "--epochs", "2", "--quiet"]
    assert train.main([*options, "--out", "run"]) == 0
    report = tmp_path / "run" / "report.html"
    page = Page(report.read_text())
    pictures = read_pictures(sorted((tmp_path / "run").glob("*.png")))
    assert len(page.all("img")) == len(pictures) == 5
    assert "expected calibration error" in page.text("dt")
    assert "after 2 epochs" in page.text("p")[0]
    assert train.main(["--resume", "run", "--epochs", "3", "--quiet", "--no-plots"]) == 0
    assert "after 2 epochs" in report.read_text()
    assert train.main(["--resume", "run", "--epochs", "4", "--quiet"]) == 0
    assert "after 4 epochs" in report.read_text()
    assert report.stat().st_size < 1_000_000


def test_a_report_that_fails_costs_a_warning_not_the_run(tmp_path, monkeypatch, capsys):
    from xpmlp.pages import html_report

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(html_report.RunPage, "html", lambda self: 1 / 0)
    monkeypatch.setattr("xpmlp.runs.directory.RunDirectory.save_pictures", lambda *_: [])
    options = ["--dataset", "iris", "--hidden", "4", "--epochs", "1", "--quiet"]
    assert train.main([*options, "--out", "run"]) == 0
    expected = "warning: report.html could not be written: ZeroDivisionError: division by zero\n"
    assert capsys.readouterr().err == expected
    assert not (tmp_path / "run" / "report.html").exists()


def test_a_browser_shows_it_on_a_phone_without_scrolling_sideways(pages, folder, tmp_path):
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    frame = tmp_path / "frame.html"
    for name in ("odd", "seeds"):
        frame.write_text(
            f'<iframe src="file://{folder / name / "report.html"}" width="375" height="800" '
            'onload="document.title = this.contentDocument.documentElement.scrollWidth"></iframe>'
        )
        result = subprocess.run(
            [
                *(browser, "--headless", "--no-sandbox", "--disable-gpu"),
                *("--allow-file-access-from-files", "--dump-dom", f"file://{frame}"),
            ],
            capture_output=True,
            text=True,
            timeout=600,
        )
        width = re.search(r"<title>(\d+)</title>", result.stdout)
        assert width, result.stderr
        assert int(width[1]) <= 375
