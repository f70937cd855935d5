"""What Python and notebooks show of the objects that people hold."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

import xpmlp
from xpmlp import Config, Dataset, Rows, fit
from xpmlp.described import as_html, as_text, listed
from xpmlp.training.evaluation import Evaluation
from xpmlp.training.history import EpochRecord, History

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
X[0], X[1] = -4, 5
Y = np.arange(60) % 2
DATA = Dataset.from_arrays(X, Y, scale="none", names=["a", "b", "c"], class_names=["no", "yes"])
RUN = fit(Config(hidden=(4, 4), epochs=2, batch_size=16), DATA)


def test_a_data_set():
    shown = """\
data set arrays, classification
  train       43 rows, x (43, 3) float32, -4 to 5
  validation  5 rows
  test        12 rows
  columns     3: a, b, c
  classes     no (22), yes (21)"""
    low, high = DATA.train.x.min(), DATA.train.x.max()
    expected = shown.replace("-4 to 5", f"{low:.4g} to {high:.4g}")
    expected = expected.replace(
        "no (22), yes (21)", "no ({}), yes ({})".format(*np.bincount(DATA.train.y))
    )
    assert repr(DATA) == expected


def test_rows():
    rows = Rows(np.array([[1.0, -2.5], [0.0, 7.25]]), np.array([1, 1]), np.array([2.0, 3.0]))
    assert repr(rows) == (
        "2 rows\n"
        "  x             (2, 2) float64, -2.5 to 7.25\n"
        "  y             (2,) int64, all 1\n"
        "  rows of each  0 (0), 1 (2)\n"
        "  weights       (2,) float64, 2 to 3"
    )


@pytest.mark.parametrize(
    ("y", "line"),
    [
        (X[:, :2], "values      (43, 2) float64, "),
        ((X > 0).astype(int), "labels      3 of 0 or 1; 1 in "),
        (np.arange(60) % 12, "classes     12: 0, 1, 2, 3, 4, 5, …; 2 to 4 rows each"),
    ],
)
def test_what_is_learnt(y, line):
    assert line in repr(Dataset.from_arrays(X, y, test=12, validation=5))


def test_a_model():
    lines = repr(RUN.model).splitlines()
    assert lines[:4] == [
        "model of arrays",
        "  net         3-4-4-2, relu, 46 parameters, softmax_cross_entropy",
        "  inputs      3 columns: a, b, c",
        "  outputs     2 classes: no, yes",
    ]
    assert lines[4].startswith("  layer 1     W (3, 4) float32, -")
    assert len(lines) == 7


def test_a_history():
    records = [
        EpochRecord(1, 0.1, 2.0, 0.5, 1.0, 0.25, 0.1, 9.0),
        EpochRecord(2, 0.05, 1.0, 0.75, 0.5, 0.5, 0.1, 9.0),
        EpochRecord(3, 0.01, 0.125, 0.875, 0.75, 0.75, 0.1, 9.0),
    ]
    history = History(("loss", "norm_dW1"), records, [np.ones((4, 2))] * 3, [np.ones(4)] * 3)
    assert repr(history) == (
        "history of 3 epochs, 12 steps\n"
        "  train loss           2.0000 → 0.1250\n"
        "  train accuracy       0.5000 → 0.8750\n"
        "  validation loss      1.0000 → 0.7500, lowest 0.5000 in epoch 2\n"
        "  validation accuracy  0.2500 → 0.7500\n"
        "  learning rate        0.1 → 0.01\n"
        "  of each step         loss, norm_dW1"
    )
    failed = replace(history, failed_steps=[np.ones((2, 2))], failed_rates=[np.ones(2)])
    assert repr(failed).endswith("\n  failed               epoch 4, after 2 steps")
    assert repr(History(())) == "history of 0 epochs, 0 steps"
    assert History(("loss",)) == History(("loss",))


def test_an_evaluation_is_still_a_tuple():
    evaluation = Evaluation(0.25, None, np.array([[1.0], [-2.0]]))
    text = "evaluation of 2 rows\n  loss        0.2500\n  logits      (2, 1) float64, -2 to 1"
    assert repr(evaluation) == text
    loss, accuracy, _ = evaluation
    assert (loss, accuracy) == (0.25, None)
    assert pickle.loads(pickle.dumps(evaluation)).loss == 0.25


def test_a_trainer_fetches_nothing(monkeypatch):
    trainer = RUN.trainer
    monkeypatch.setattr(trainer.backend, "to_numpy", None)
    monkeypatch.setattr(trainer.backend, "fetch", None)
    lines = repr(trainer).splitlines()
    assert lines[0] == "trainer of arrays"
    assert "  rows        43 train, 5 validation, 12 test" in lines
    assert any("2 of 2 done, train loss" in line for line in lines)


def test_a_backend_and_how_it_was_selected():
    selection = xpmlp.select_backend("numpy", "cpu", "float64")
    assert repr(selection.backend).startswith("backend numpy\n  library")
    assert repr(selection).startswith("selected: backend numpy\n")
    assert "fallback" in repr(replace(selection, fallback_reason="no driver"))


ALL = [DATA, DATA.train, RUN.model, RUN.history, RUN.test, RUN.trainer, RUN.trainer.backend, RUN]


@pytest.mark.parametrize("shown", ALL, ids=lambda shown: type(shown).__name__)
def test_each_fits_ten_lines_and_a_table_without_scripts(shown):
    lines = repr(shown).splitlines()
    assert 2 < len(lines) <= 10
    assert max(map(len, lines)) <= 100
    html = shown._repr_html_()
    assert html.startswith("<table>")
    assert html.count("<tr>") == len(lines) - 1
    assert "script" not in html


def test_the_largest_fit_ten_lines_too():
    wide = fit(Config(hidden=(2,) * 9, epochs=1, l2=0.1, l1=0.1), DATA)
    assert max(len(repr(shown).splitlines()) for shown in (wide.model, wide.history)) <= 10
    table = replace(DATA, scale="auto", label=("kind",), note="first\nsecond\nthird")
    assert len(repr(table).splitlines()) <= 10
    assert "first (and 2 more in .note)" in repr(table)


def test_names_are_escaped():
    odd = replace(DATA, name="<b>", class_names=("<script>", "&"), feature_names=("<i>",) * 3)
    assert "<script>" not in odd._repr_html_()
    assert "&lt;script&gt;" in odd._repr_html_()
    assert as_html("a", [("<", ">")]).count("&lt;") == 1


@pytest.mark.parametrize("library", ["torch", "jax.numpy", "array_api_strict"])
def test_rows_of_another_library_are_described_where_they_lie(library):
    pytest.importorskip(library.split(".")[0])
    xp = __import__(library, fromlist=["asarray"])
    x = xp.asarray(np.array([[1.0, 2.0]], "float32"))
    assert "x             (1, 2) float32, 1 to 2" in repr(Rows(x, np.array([0])))


@pytest.mark.parametrize("y", [np.array(["a", "b"]), np.array([-1, 5]), np.array([0.5, np.nan])])
def test_what_no_net_takes_is_shown_all_the_same(y):
    rows = Rows(np.array([["a"], ["b"]]), y)
    data = Dataset("odd", "classification", rows, rows, rows, ("a", "b"))
    assert "data set odd" in repr(data)
    assert "2 rows" in repr(rows)
    assert "nan" in repr(Rows(np.array([[np.nan]]), np.array([0])))


def test_data_sets_still_pickle_and_compare_their_fields():
    again = pickle.loads(pickle.dumps(DATA))
    assert repr(again) == repr(DATA)
    assert again.train == again.train
    assert replace(again, name="other").name == "other"


def test_texts():
    assert as_text("title", [("a", "b")]) == "title\n  a           b"
    assert listed("abcdefgh", 3) == "a, b, c, …"
    assert listed([1, 2]) == "1, 2"
