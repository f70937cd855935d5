"""The benchmark of ensembles: a small one in full, its samples of tables and its page."""

import json

from bench.ensembles import CONTENDERS, main, page, some_rows
from bench.tables.problems import PROBLEMS, make_file


def test_a_small_one(tmp_path, monkeypatch):
    from xpmlp.search import ensemble_estimator

    usual = ensemble_estimator.BaseEnsemble._base
    monkeypatch.setattr(
        ensemble_estimator.BaseEnsemble, "_base", lambda self, n: usual(self, n).replace(epochs=2)
    )
    options = ["--only", "wine", "--splits", "1", "--members", "2", "--out", str(tmp_path / "out")]
    assert main(options) == 0
    found = json.loads((tmp_path / "out" / "ensembles.json").read_text())["rows"]["wine"]
    assert set(found) == set(CONTENDERS)
    assert all(0 <= row[0]["figure"] <= 1 and row[0]["seconds"] > 0 for row in found.values())
    assert "| wine |" in (tmp_path / "out" / "ensembles.md").read_text()


def test_a_sample_has_the_header_and_some_of_the_rows(tmp_path):
    whole = make_file(PROBLEMS["wine"], tmp_path)
    lines = whole.read_text().splitlines()
    part = some_rows(whole, 20, tmp_path).read_text().splitlines()
    assert part[0] == lines[0]
    assert len(part) == 21
    assert set(part[1:]) <= set(lines[1:])
    assert some_rows(whole, 500, tmp_path) == whole


def test_wins_go_by_the_loss_where_there_is_one():
    ours = [{"figure": 0.9, "log_loss": 0.2, "seconds": 1.0}] * 2
    theirs = [{"figure": 0.8, "log_loss": loss, "seconds": 1.0} for loss in (0.1, 0.3)]
    rows = {"wine": {who: ours if who == "ensemble" else theirs for who in CONTENDERS}}
    about = {"machine": {"cpu": "x"}, "rows_at_most": None, "members": 2, "splits": 2}
    text = page({**about, "finished": "", "scikit_learn": "1", "rows": rows, "left_out": {}})
    assert "1, 1, 1 of 2" in text
    assert "0.9000 ± 0.0000 (0.2000)" in text


def test_a_table_that_is_not_there_is_refused(capsys):
    assert main(["--only", "wines"]) == 2
    assert "wine" in capsys.readouterr().err
