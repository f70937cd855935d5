"""The page and the picture of a sweep; its bar and its lines."""

import json
import re

import pytest
from PIL import Image

from tests.commands import runner
from xpmlp import sweep
from xpmlp.search import progress

run = runner(sweep.main)
OPTIONS = ["--dataset", "moons", "--hidden", "3,4x4", "--l2", "0,1e200", "--dtype", "float64"]
OPTIONS += ["--backend", "numpy", "--learning-rate", "0.1,0.3,0.5", "--epochs", "4"]


@pytest.mark.thorough
def test_the_page_stands_alone_with_the_ranking_and_the_picture(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *OPTIONS, "--halving", "sync", "--eta", "2", "--out", "one")
    assert (code, err) == (0, "")
    best = json.loads((tmp_path / "one/results.json").read_text())["best"]
    assert f"the best is trial {best['trial']} (" in out
    page = (tmp_path / "one/sweep.html").read_text()
    assert f"the best is trial {best['trial']} (" in page
    assert re.findall(r'(?:src|href)="(?!data:|#)', page) == []
    assert "Why trials failed" in page
    assert "the loss became" in page
    with Image.open(tmp_path / "one/sweep.png") as image:
        assert (image.format, image.width) == ("PNG", 1650)
    run_folder = tmp_path / "one" / best["folder"]
    assert {"report.html", "model.safetensors", "epochs.png"} <= {
        path.name for path in run_folder.iterdir()
    }


def test_lines_say_where_it_is_and_a_bar_counts_the_epochs_of_all(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    flags = [*OPTIONS, "--no-plots", "--halving", "async", "--eta", "2", "--at-once", "6"]
    out = run(capsys, *flags, "--out", "one")[1]
    lines = [line for line in out.splitlines() if line.startswith("wave ")]
    assert lines[0].startswith("wave 1/2  epoch 1/4  3 nets  best validation loss ")
    assert lines[-1].startswith("wave 2/2  epoch 4/4  ")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    bars, told = [], []
    close, shows = progress.Bar.close, progress.Bar.show
    monkeypatch.setattr(progress.Bar, "close", lambda self: (bars.append(self), close(self)))
    monkeypatch.setattr(
        progress.Bar, "show", lambda self, *of: (shows(self, *of), told.append(self.bar.desc))
    )
    err = run(capsys, *flags, "--out", "two")[2]
    done = json.loads((tmp_path / "two/results.json").read_text())["trials"]
    epochs = sum(member["epochs"] for trial in done for member in trial["members"])
    assert [(bar.bar.n, bar.bar.total) for bar in bars] == [(epochs, epochs)]
    assert "| 0/48 [" in err
    assert told[0] == "wave 1/2  epoch 1/4  3 nets: "
