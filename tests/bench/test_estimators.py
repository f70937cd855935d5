"""The estimators beside scikit-learn's: the command, its table, and what a stop leaves."""

import json
import os
import signal

import numpy as np
import pytest

from bench.estimators import pairs
from bench.estimators.command import JSON, PAGE, main
from bench.estimators.figures import difference
from bench.estimators.pairs import OWN, SIDES, Fit, in_turn
from bench.estimators.problems import NO_MNIST, PROBLEMS, make_parts
from tests.commands import runner
from tests.data.conftest import write_pair

SHORT = ("--seeds", "2", "--epochs", "5", "--out", "new")


@pytest.fixture(autouse=True)
def away(monkeypatch, tmp_path):
    """Work in an empty folder, on a machine without MNIST."""
    data = tmp_path / "data"
    data.mkdir()
    monkeypatch.setenv("XPMLP_DATA_DIR", str(data))
    monkeypatch.setattr("pooch.os_cache", lambda name: data / name)
    room = tmp_path / "room"
    room.mkdir()
    monkeypatch.chdir(room)
    return room


run = runner(main)


def saved(room):
    return json.loads((room / "new" / JSON).read_text())


def test_both_libraries_learn_the_same_from_the_same_seeds(capsys, monkeypatch, away):
    monkeypatch.setenv("OPENBLAS_VERBOSE", "0")
    code, out, err = run(capsys, "--only", "iris", *SHORT)
    assert (code, err) == (0, "")
    assert out.count("same in all") == 2
    assert out.endswith("results in new\n")
    figures = saved(away)
    sgd, adam = figures["rows"]
    assert (sgd["solver"], adam["solver"]) == ("sgd", "adam")
    assert (sgd["rows"], sgd["net"], sgd["seeds"]) == ([112, 38], [4, 100, 3], [0, 1])
    for row in (sgd, adam):
        ours, theirs = (row["sides"][side] for side in SIDES)
        assert ours["accuracy"] == theirs["accuracy"]
        assert ours["epochs"] == theirs["epochs"] == [5, 5]
        assert len(ours["fit_seconds"]) == len(theirs["predict_seconds"]) == 2
        assert row["times_as_fast"]["fit_seconds"] > 0
    assert {pool["library"] for pool in figures["thread_pools"]} >= {"openblas"}
    assert figures["machine"]["libraries"]["scikit-learn"]
    assert figures["environment"]["OPENBLAS_VERBOSE"] == "0"
    page = (away / "new" / PAGE).read_text()
    assert "OPENBLAS_VERBOSE=0" in page
    assert "| iris | 112 / 38 | 4-100-3 | sgd |" in page
    assert "2 seeds from 0, float64; xpmlp: auto on cpu" in page
    assert "most epochs: iris 5" in page


def test_without_mnist_it_is_left_out_and_said(capsys, away):
    code, out, _ = run(capsys, "--only", "mnist", *SHORT)
    assert code == 0
    assert out.startswith(f"nothing was measured\nmnist: left out: {NO_MNIST}\n")
    assert saved(away)["left_out"] == {"mnist": NO_MNIST}


def test_an_unknown_backend_is_said_before_anything_is_written(capsys, away):
    code, out, err = run(capsys, "--backend", "nunpy", *SHORT)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "did you mean 'numpy'?" in err
    assert list(away.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--only", "irsi"), "unknown data set 'irsi' (did you mean 'iris'?)"),
        (("--seeds", "0"), "--seeds 0: must be at least 1"),
        (("--epochs", "-1"), "--epochs -1: must be at least 1"),
        (("--dtype", "int8"), "argument --dtype: invalid choice"),
        (("--device", "tpu"), "tpu"),
        (("--out", ""), "argument --out: the path is empty"),
    ],
)
def test_bad_input_is_one_line_and_2(capsys, away, arguments, message):
    code, out, err = run(capsys, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert list(away.iterdir()) == []


def test_results_that_exist_are_kept(capsys, away):
    (away / "new").mkdir()
    (away / "new" / JSON).write_text("{}")
    code, _, err = run(capsys, "--only", "iris", *SHORT)
    assert code == 2
    assert err == f"python -m bench.estimators: new/{JSON} exists already; choose another --out\n"
    assert (away / "new" / JSON).read_text() == "{}"


def test_ctrl_c_keeps_the_pairs_that_are_complete(capsys, monkeypatch, away):
    def interrupted(estimator, parts):
        if estimator.random_state == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return Fit(0.5, 1, 1.0, 1.0)

    monkeypatch.setattr(pairs, "measure", interrupted)
    code, out, err = run(capsys, "--only", "iris", "--seeds", "3", "--out", "new")
    assert code == 130
    assert err.endswith("python -m bench.estimators: interrupted; what was measured is in new\n")
    assert "Interrupted: not all was measured." in out
    (row,) = saved(away)["rows"]
    assert (row["seeds"], saved(away)["interrupted"]) == ([0], True)


def test_a_fit_that_fails_is_one_line_and_1(capsys, monkeypatch, away):
    def broken(estimator, parts):
        raise ValueError("no\nfit")

    monkeypatch.setattr(pairs, "measure", broken)
    code, _, err = run(capsys, "--only", "iris", *SHORT)
    assert (code, err.count("\n")) == (1, 1)
    assert "ValueError: no fit" in err
    assert saved(away)["rows"] == []


def test_the_sides_take_turns():
    assert in_turn(0) == (OWN, "scikit-learn")
    assert in_turn(1) == ("scikit-learn", OWN)


def test_the_interval_of_a_mean_difference():
    found = difference([0.01, 0.03])
    assert found["mean"] == pytest.approx(0.02)
    half = 12.706 * 0.01  # t for one degree of freedom, times the standard error
    assert found["interval"] == pytest.approx([0.02 - half, 0.02 + half], rel=1e-3)
    assert difference([0.0, 0.01, 0.0])["same_in"] == 2
    assert difference([0.0])["interval"] is None


def test_a_quarter_of_each_class_is_for_the_test_and_columns_are_standardised():
    parts = make_parts(PROBLEMS["iris"], "float32")(3)
    assert parts.x_train.dtype == parts.x_test.dtype == np.float32
    assert np.bincount(parts.y_test).tolist() in ([12, 13, 13], [13, 12, 13], [13, 13, 12])
    np.testing.assert_allclose(parts.x_train.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(parts.x_train.std(axis=0), 1, rtol=1e-5)


def test_mnist_has_its_own_split_for_every_seed(tmp_path):
    for part, rows in (("train", 20), ("t10k", 5)):
        write_pair(tmp_path / "data" / "mnist", part, rows)
    parts = make_parts(PROBLEMS["mnist"], "float64")
    assert parts(0) is parts(1)
    assert [len(part) for part in parts(0)] == [20, 20, 5, 5]
    assert 0.9 < parts(0).x_train.max() <= 1.0
