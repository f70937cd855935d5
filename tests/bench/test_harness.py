from types import SimpleNamespace

import numpy as np
import pytest

from bench import harness
from bench.contenders import CONTENDERS
from bench.harness import Measurement, Row, in_turn, loss_of
from bench.processes import Setup
from tests.bench import fakes as table

NAMES = ("xpmlp fake", "peer", "elsewhere", "absent", "breaks", "dies", "floor")


def measure(case, problem, names, rounds, stop_after=None):
    """Return the rows, and which did something in which order; stop after so many ticks."""
    rows = [Row(name, "cpu") for name in names]
    stop, ticks = SimpleNamespace(requested=False), []

    def tick(name):
        ticks.append(name)
        stop.requested = len(ticks) == stop_after

    measurement = Measurement(case, problem, rows, Setup(1), stop, tick)
    if stop_after is None:
        measurement.run(rounds)
    else:
        with pytest.raises(KeyboardInterrupt):
            measurement.run(rounds)
    assert all(worker.process.returncode is not None for worker in measurement.workers.values())
    return rows, ticks


def test_rows_run_fail_and_disagree_each_for_itself(case, problem):
    rows, _ = measure(case, problem, NAMES, 2)
    found = {row.name: (row.status, row.reason) for row in rows}
    assert {name for name in NAMES if found[name] == ("ok", "")} == {"xpmlp fake", "peer", "floor"}
    assert found["absent"] == ("unavailable", "no such library; install it")
    assert found["breaks"] == ("failed", "ValueError: a bad epoch")
    dead = f"the process ended with exit code 7: {table.LAST_WORDS}"
    assert found["dies"] == ("failed", dead)
    status, reason = found["elsewhere"]
    assert status == "invalid"
    assert "that of the median row at" in reason
    for row in rows:
        if row.status in ("ok", "invalid"):
            assert len(row.seconds) == 2
            assert len(row.first_epochs) == 2
            assert min(row.prepare, *row.first_epochs, *row.seconds) >= 0
            assert row.about["epochs"] == "2"
            assert row.peak_memory == 2**20


def test_a_row_without_weights_has_no_loss_and_is_not_compared(case, problem):
    rows, _ = measure(case, problem, ("peer", "floor"), 1)
    assert rows[0].loss == loss_of(problem.initial, problem, case)
    assert (rows[1].loss, rows[1].status) == (None, "ok")


def test_rounds_go_over_all_rows_and_begin_elsewhere_each_time(case, problem):
    _, ticks = measure(case, problem, ("xpmlp fake", "peer", "floor"), 3)
    rounds = [tuple(ticks[i : i + 3]) for i in range(0, len(ticks), 3)]
    assert len(rounds) == 5
    assert all(set(names) == {"xpmlp fake", "peer", "floor"} for names in rounds)
    assert {names[0] for names in rounds[1:4]} == {"xpmlp fake", "peer", "floor"}


def test_each_row_stands_in_each_place_once():
    rows = [Row(name, "cpu") for name in "abcd"]
    orders = [in_turn(rows, number) for number in range(4)]
    for place in range(4):
        assert {order[place].name for order in orders} == set("abcd")
    assert in_turn([], 3) == []


def test_a_stop_keeps_the_complete_rounds(case, problem):
    # Two preparations, two rounds of two rows, and one epoch of the third round.
    rows, ticks = measure(case, problem, ("xpmlp fake", "peer"), 5, stop_after=7)
    assert len(ticks) == 7
    assert [len(row.seconds) for row in rows] == [2, 2]
    assert [row.loss for row in rows] == [None, None]


def test_a_stop_before_the_first_round_keeps_the_first_epochs(case, problem):
    names = ("xpmlp fake", "absent", "peer", "floor")
    rows, _ = measure(case, problem, names, 5, stop_after=3)
    assert [row.seconds for row in rows] == [[]] * 4
    assert [len(row.first_epochs) for row in rows] == [2, 0, 2, 0]
    assert [row.status for row in rows] == ["stopped", "unavailable", "stopped", "stopped"]
    assert rows[0].reason.startswith("the rounds are missing; first epochs: ")
    assert rows[0].reason.count(" s") == 2
    assert rows[3].reason == "before it was prepared"


def test_a_stop_in_the_first_round_says_that_it_is_missing(case, problem):
    rows, _ = measure(case, problem, ("xpmlp fake", "peer"), 5, stop_after=3)
    assert [(row.status, row.seconds) for row in rows] == [("stopped", [])] * 2


def test_the_row_whose_preparation_is_the_longest_is_prepared_last(case, problem, monkeypatch):
    monkeypatch.setattr(harness, "LAST", "xpmlp fake")
    rows, ticks = measure(case, problem, ("xpmlp fake", "peer", "floor"), 1)
    assert ticks[:3] == ["peer", "floor", "xpmlp fake"]
    assert [row.name for row in rows] == ["xpmlp fake", "peer", "floor"]


def test_the_row_that_is_prepared_last_exists():
    assert harness.LAST in CONTENDERS


def test_libraries_are_imported_at_the_same_time_and_count_as_preparation(case, problem):
    names = ("slow to import", "slow as well", "not installed")
    rows, _ = measure(case, problem, names, 1)
    assert [row.status for row in rows] == ["ok", "ok", "unavailable"]
    assert all(row.prepare >= table.IMPORT for row in rows[:2])
    assert rows[2].reason == "not here; install it"


def test_the_loss_is_that_of_the_formulas(case, problem):
    a = problem.x.astype(np.float64)
    for W, b in problem.initial[:-1]:
        a = np.maximum(a @ W.astype(np.float64) + b, 0)
    W, b = problem.initial[-1]
    z = a @ W.astype(np.float64) + b
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    expected = -np.mean(np.log(p[np.arange(len(z)), problem.y]))
    assert loss_of(problem.initial, problem, case) == pytest.approx(expected, rel=1e-12)
