"""Processes that spin beside a measurement are there as long as it takes, and never longer."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from bench import benchmark, choices
from bench.__main__ import main
from bench.busy import busy_processes
from bench.processes import ROOT
from tests.commands import runner
from xpmlp.errors import RunError

LONGEST = 60.0
PARENT = """
import sys
from bench.busy import busy_processes
with busy_processes(2, 1):
    print("begun", flush=True)
    sys.stdin.read()
"""

run = runner(main)


@pytest.fixture
def started(monkeypatch):
    """The processes that are started."""
    processes = []

    class Noted(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            if "bench.busy" in self.args:
                processes.append(self)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    return processes


def all_run(processes):
    return all(process.poll() is None for process in processes)


def all_ended(processes):
    return all(process.returncode is not None for process in processes)


def test_they_run_inside_the_block_alone(started):
    with busy_processes(2, 1):
        assert len(started) == 2
        assert all_run(started)
    assert all_ended(started)
    with busy_processes(0, 1):
        assert len(started) == 2


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system binds no process")
def test_they_share_the_processors_of_the_rows(started):
    with busy_processes(1, 1):
        first, *_ = sorted(os.sched_getaffinity(0))
        assert os.sched_getaffinity(started[0].pid) == {first}


@pytest.mark.parametrize("error", [RunError, KeyboardInterrupt])
def test_an_error_ends_them(started, error):
    with pytest.raises(error), busy_processes(2, 1):
        raise error
    assert len(started) == 2
    assert all_ended(started)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_parent_that_is_killed_takes_them_along(number):
    """What they inherited of the parent's stderr is closed when the last of them has ended."""
    pipe = subprocess.PIPE
    options = {"stdin": pipe, "stdout": pipe, "stderr": pipe, "cwd": ROOT}
    with subprocess.Popen([sys.executable, "-c", PARENT], **options) as parent:
        assert parent.stdout.readline() == b"begun\n"
        parent.send_signal(number)
        parent.communicate(timeout=LONGEST)
    assert parent.returncode == -number


def test_ctrl_c_is_left_to_the_parent(started):
    with busy_processes(1, 1):
        started[0].send_signal(signal.SIGINT)
        started[0].stdin.close()
        assert started[0].wait(LONGEST) == 0


def test_one_that_does_not_start_is_an_error(started, monkeypatch):
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    refused = pytest.raises(RunError, match="--busy: a process did not start; it ended with 1")
    with refused, busy_processes(1, 1):
        pass
    assert all_ended(started)


def test_a_run_beside_them_says_so(capsys, monkeypatch, tmp_path, fakes, started):
    class Watched(benchmark.Measurement):
        def run(self, rounds):
            assert len(started) == 2
            assert all_run(started)
            super().run(rounds)

    monkeypatch.setattr(benchmark, "Measurement", Watched)
    monkeypatch.setattr(choices, "shown_gpus", lambda: 0)
    monkeypatch.chdir(tmp_path)
    what = ("--case", "64/100", "--rows", "100", "--rounds", "1", "--threads", "1", "--no-plots")
    code, out, err = run(capsys, *what, "--only", "peer", "--busy", "2", "--out", "new")
    assert (code, err) == (0, "")
    assert all_ended(started)
    assert "rounds     1, after two epochs of warm-up, beside 2 busy processes\n" in out
    assert "100 rows of random data shaped as MNIST, beside 2 busy processes, " in out
    page = (tmp_path / "new" / "report.md").read_text()
    assert page.startswith("# Seconds per epoch, beside 2 busy processes, ")
    figures = json.loads((tmp_path / "new" / "results.json").read_text())
    assert (figures["busy"], figures["cases"][0]["busy"]) == (2, 2)
