"""The check on a GPU, over parts that only pretend: what it saves, stops, and returns."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from bench.gpu import check, parts
from bench.gpu.check import JSON, LOG, NO_MNIST, PAGE, finite, main
from bench.gpu.parts import FAILED, OK, SKIPPED, STOPPED, Outcome, _verdict_of_tests, profile_of
from bench.processes import ROOT
from tests.commands import runner
from xpmlp.backends.cuda_driver import Driver

HARDWARE = {
    "gpus": [{"name": "a GPU", "driver_version": "600.1", "memory.total": "100 MiB"}],
    "driver_cuda": "13.0",
    "cuda_runtimes": {"cupy": "13000", "jax": None},
    "libraries": {"numpy": "2.5"},
    "python": "3.12",
    "commit": None,
}


@pytest.fixture
def limits():
    return {}


@pytest.fixture(autouse=True)
def pretended(monkeypatch, tmp_path, limits):
    """Three parts, a GPU, and nothing that runs on it."""

    def part(name, outcome):
        def pretend(task):
            limits[name] = task.limit
            if isinstance(outcome, BaseException):
                raise outcome
            with task.runner.log.open("a") as log:
                log.write(f"{name} printed this\n")
            return outcome

        return pretend

    outcomes = {
        "first": Outcome(figures={"loss": float("nan"), "seconds": [1.5]}),
        "second": ValueError("a bad\npart"),
        "third": Outcome(STOPPED, "stopped after 9 s"),
    }
    pretend = {name: part(name, outcome) for name, outcome in outcomes.items()}
    monkeypatch.setattr(parts, "PARTS", pretend)
    monkeypatch.setattr(parts, "OF_MNIST", ("second",))
    monkeypatch.setattr(check, "mnist_files", lambda: iter([("images", "labels")]))
    monkeypatch.setattr(parts, "SHARES", {"first": 1, "second": 1, "third": 2})
    monkeypatch.setattr(check, "describe_hardware", lambda: HARDWARE)
    monkeypatch.setattr(check, "query_driver", lambda: Driver(1, (13, 0), ""))
    monkeypatch.chdir(tmp_path)
    return pretend


run = runner(main)


def saved(folder):
    return json.loads((folder / JSON).read_text())


def test_every_part_is_saved_and_a_failure_is_its_own(capsys, tmp_path):
    code, out, err = run(capsys, "--out", "new")
    assert code == 1
    assert err.endswith("python -m bench.gpu: failed: second\n")
    figures = saved(tmp_path / "new")
    told = {part["name"]: part for part in figures["parts"]}
    assert [part["status"] for part in told.values()] == [OK, FAILED, STOPPED]
    assert told["second"]["reason"] == "ValueError: a bad part"
    assert told["first"]["figures"] == {"loss": None, "seconds": [1.5]}
    assert (figures["hardware"], figures["data"]) == (HARDWARE, "MNIST")
    assert (figures["interrupted"], figures["budget_seconds"]) == (False, 520.0)
    log = (tmp_path / "new" / LOG).read_text()
    assert "first printed this\n" in log
    assert "Traceback" in log
    page = (tmp_path / "new" / PAGE).read_text()
    assert "| second | failed: ValueError: a bad part | 0 |" in page
    assert "a GPU, 600.1, 100 MiB; the driver's CUDA 13.0" in page
    assert page in out
    assert {path.name for path in (tmp_path / "new").iterdir()} == {JSON, LOG, PAGE}


def test_seconds_that_a_part_leaves_go_to_those_after_it(capsys, limits):
    assert run(capsys, "--budget", "100", "--out", "new")[0] == 1
    assert limits["first"] == pytest.approx(25, abs=1)
    assert limits["second"] == pytest.approx(100 / 3, abs=1)
    assert limits["third"] == pytest.approx(100, abs=1)


def test_a_part_without_time_is_left_out_and_said(capsys, tmp_path):
    code, _, _ = run(capsys, "--parts", "first,third", "--budget", "9", "--out", "new")
    assert code == 0
    first, third = saved(tmp_path / "new")["parts"]
    assert (first["status"], first["reason"]) == (SKIPPED, "no time was left")
    assert third["status"] == STOPPED


def test_parts_are_chosen_and_keep_their_order(capsys, tmp_path):
    assert run(capsys, "--parts", "third, first", "--out", "new")[0] == 0
    assert [part["name"] for part in saved(tmp_path / "new")["parts"]] == ["first", "third"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--parts", "frist"), "unknown part 'frist' (did you mean 'first'?)"),
        (("--parts", ""), "unknown part ''"),
        (("--budget", "0"), "--budget 0: seconds must be more than 0"),
        (("--budget", "nan"), "seconds must be more than 0"),
    ],
)
def test_bad_input_is_one_line_and_2(capsys, tmp_path, arguments, message):
    code, out, err = run(capsys, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert "first, second, third" in err or "budget" in err
    assert list(tmp_path.iterdir()) == []


def test_no_gpu_is_one_line_and_nothing_written(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(check, "query_driver", lambda: Driver(0, (0, 0), "no driver"))
    code, out, err = run(capsys)
    assert (code, out) == (2, "")
    assert err == "python -m bench.gpu: there is no GPU to check: no driver\n"
    assert list(tmp_path.iterdir()) == []


def test_a_data_folder_that_is_not_there_is_one_line_and_nothing_written(
    capsys, monkeypatch, tmp_path
):
    monkeypatch.setenv("XPMLP_DATA_DIR", "nowhere")
    code, out, err = run(capsys)
    assert (code, out) == (2, "")
    assert err == "python -m bench.gpu: XPMLP_DATA_DIR: there is no folder nowhere\n"
    assert list(tmp_path.iterdir()) == []


def test_without_mnist_its_parts_are_left_out_and_leave_their_time(
    capsys, monkeypatch, tmp_path, limits
):
    monkeypatch.setattr(check, "mnist_files", lambda: iter(()))
    assert run(capsys, "--budget", "90", "--out", "new")[0] == 0
    figures = saved(tmp_path / "new")
    assert [part["status"] for part in figures["parts"]] == [OK, SKIPPED, STOPPED]
    assert figures["parts"][1]["reason"] == NO_MNIST
    assert figures["data"] == f"random rows: {NO_MNIST}"
    assert (
        f"Rows of the benchmark: random rows: {NO_MNIST}." in (tmp_path / "new" / PAGE).read_text()
    )
    assert limits == {
        "first": pytest.approx(30, abs=1),
        "third": pytest.approx(90, abs=1),
    }
    assert run(capsys, "--parts", "second", "--out", "newer")[0] == 0


def test_a_check_is_never_overwritten(capsys, tmp_path):
    run(capsys, "--out", "new")
    before = (tmp_path / "new" / JSON).read_bytes()
    code, _, err = run(capsys, "--out", "new")
    assert code == 2
    assert "choose another --out" in err
    assert (tmp_path / "new" / JSON).read_bytes() == before


def test_ctrl_c_keeps_what_was_measured(capsys, tmp_path, pretended):
    def interrupted(task):
        os.kill(os.getpid(), signal.SIGINT)
        assert task.runner.stop.requested
        return Outcome(STOPPED, "stopped after 1 s", {"kept": 1})

    pretended["second"] = interrupted
    code, _, err = run(capsys, "--out", "new")
    assert code == 130
    assert "interrupted; what was measured is in" in err
    figures = saved(tmp_path / "new")
    assert figures["interrupted"]
    assert [part["status"] for part in figures["parts"]] == [OK, STOPPED, SKIPPED]
    assert figures["parts"][1]["reason"] == "interrupted"
    assert figures["parts"][1]["figures"] == {"kept": 1}
    assert figures["parts"][2]["reason"] == "interrupted before"


def test_a_second_ctrl_c_ends_at_once_and_keeps_the_rest(capsys, tmp_path, pretended):
    def interrupted_twice(task):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)
        raise AssertionError("still here")

    pretended["second"] = interrupted_twice
    assert run(capsys, "--out", "new")[0] == 130
    figures = saved(tmp_path / "new")
    assert [part["name"] for part in figures["parts"]] == ["first"]
    assert figures["interrupted"]


def test_a_page_that_fails_costs_no_part(capsys, monkeypatch, tmp_path):
    def broken(figures):
        raise KeyError("no such figure")

    monkeypatch.setattr(check, "page", broken)
    assert run(capsys, "--parts", "first", "--out", "new")[0] == 0
    assert saved(tmp_path / "new")["parts"][0]["status"] == OK


def test_what_json_cant_say_is_none():
    assert finite({"a": [1.0, float("inf")], "b": (float("nan"), "x")}) == {
        "a": [1.0, None],
        "b": [None, "x"],
    }


def test_the_last_whole_profile_counts():
    lines = ['PROFILE {"a": 1}', "noise", 'PROFILE {"a": 1, "b": 2}', 'PROFILE {"a": 1, "b']
    assert profile_of("\n".join(lines)) == {"a": 1, "b": 2}
    assert profile_of("nothing") == {}


def group(bad=(), code=0, stopped=False, passed=1):
    bad, counts = dict.fromkeys(bad, "why"), {"passed": passed}
    return {"bad": bad, "exit_code": code, "stopped": stopped, "counts": counts}


def test_the_verdict_of_the_tests():
    assert _verdict_of_tests({"cupy": group(), "jax": group(code=5)}) == (OK, "")
    assert _verdict_of_tests({"cupy": group(passed=0)})[0] == FAILED
    failed = {"cupy": group(["a", "b"], 1), "torch": group(stopped=True, code=2)}
    assert _verdict_of_tests(failed) == (FAILED, "2 of cupy")
    stopped = {"cupy": group(), "torch": group(stopped=True, code=2)}
    assert _verdict_of_tests(stopped) == (STOPPED, "not all of torch")
    crashed = {"cupy": group(code=-11), "torch": group()}
    assert _verdict_of_tests(crashed) == (FAILED, "pytest of cupy ended badly")


def test_the_shares_are_those_of_the_parts():
    code = "from bench.gpu.parts import PARTS, SHARES; assert list(PARTS) == list(SHARES)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
