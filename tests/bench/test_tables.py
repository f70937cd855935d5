"""The benchmark of tables: its files, its splits and its verdicts."""

import csv

import numpy as np
import pytest

from bench.tables.command import main
from bench.tables.large import measure
from bench.tables.page import verdict
from bench.tables.problems import PROBLEMS, make_file, parted_rows
from xpmlp.data.registry import load_dataset


def test_a_table_of_scikit_learn_has_names_and_texts(tmp_path):
    with make_file(PROBLEMS["wine"], tmp_path).open() as file:
        rows = list(csv.reader(file))
    assert len(rows) == 179
    assert rows[0][0] == "alcohol"
    assert {row[-1] for row in rows[1:]} == {"class_0", "class_1", "class_2"}


def test_the_peer_is_tested_on_the_same_rows(tmp_path):
    path = make_file(PROBLEMS["wine"], tmp_path)
    with path.open() as file:
        labels = np.array([row[-1] for row in list(csv.reader(file))[1:]])
    _, test = parted_rows(labels, 3, regression=False)
    data = load_dataset(str(path), seed=3)
    assert np.array(data.class_names)[data.test.y].tolist() == labels[test].tolist()


def test_verdicts():
    adult, housing, iris = (PROBLEMS[name] for name in ("adult", "housing", "iris"))
    assert verdict(adult, [0.86, 0.86], [0.857, 0.857]) == ("at least 0.002 above", "met")
    assert verdict(adult, [0.858], [0.857])[1] == "missed"
    assert verdict(housing, [52.0], [55.0]) == ("at most 0.95 of the peer", "met")
    assert verdict(housing, [53.0], [55.0])[1] == "missed"
    assert verdict(iris, [0.9, 0.92], [0.9, 0.94])[1] == "met"
    assert verdict(iris, [0.8, 0.8], [0.9, 0.94])[1] == "missed"


def test_a_run_of_the_command(tmp_path, capsys):
    assert main(["--only", "iris", "--seeds", "1", "--out", str(tmp_path / "out")]) == 0
    page = (tmp_path / "out/tables.md").read_text()
    assert "| iris | accuracy | " in page
    assert main(["--only", "irises", "--out", str(tmp_path / "other")]) == 2
    assert "did you mean 'iris'" in capsys.readouterr().err


@pytest.mark.thorough
def test_the_large_table_is_timed_up_to_the_first_step(tmp_path):
    figures = measure(tmp_path, rows=2000, repeats=1)
    assert figures["matrix"] == 2000 * 54 * 4
    assert figures["bytes"] == (tmp_path / "large.csv").stat().st_size
    for name in ("typed", "pandas", "step"):
        assert figures[f"{name}_seconds"] > 0
    assert abs(figures["memory"]) < 2**27  # hardly more than an empty run
