"""Programs with a limit: what they printed is in the log, however they ended."""

import sys
import time
from types import SimpleNamespace

import pytest

from bench.gpu import runner as programs
from bench.gpu.runner import Runner

HEEDS = """
import time
print("begun", flush=True)
try:
    time.sleep(60)
except KeyboardInterrupt:
    print("saved", flush=True)
    raise SystemExit(130)
"""
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print("child", child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def stop():
    return SimpleNamespace(requested=False)


@pytest.fixture
def runner(tmp_path, stop):
    return Runner(tmp_path / "check.log", stop)


def program(code):
    return [sys.executable, "-c", code]


def test_programs_run_side_by_side_and_keep_what_they_print(runner):
    slow = "import time; time.sleep({}); print('from', {})"
    codes = [slow.format(0.6, 1), slow.format(0.6, 2), "import sys; print('x'); sys.exit(3)"]
    begun = time.monotonic()
    ended = runner.run([program(code) for code in codes], 30)
    assert time.monotonic() - begun < 1.1 + 0.5
    assert [end.code for end in ended] == [0, 0, 3]
    assert not any(end.stopped for end in ended)
    assert [end.text for end in ended] == ["from 1\n", "from 2\n", "x\n"]
    assert ended[2].seconds < 0.6 < ended[0].seconds
    log = runner.log.read_text()
    assert "from 1\n[exit code 0 after" in log
    assert "x\n[exit code 3 after" in log
    assert [path.name for path in runner.log.parent.iterdir()] == ["check.log"]


def test_variables_are_added(runner):
    code = "import os; print(os.environ['ONE'], 'PATH' in os.environ)"
    (ended,) = runner.run([program(code)], 30, {"ONE": "1"})
    assert ended.text == "1 True\n"


def test_a_program_is_asked_to_stop_before_its_limit(runner):
    begun = time.monotonic()
    (ended,) = runner.run([program(HEEDS)], 2.0)
    assert time.monotonic() - begun < 2.0
    assert (ended.code, ended.stopped, ended.text) == (130, True, "begun\nsaved\n")
    assert "saved" in runner.log.read_text()


ENDS_WELL = """
import time
try:
    time.sleep(60)
except KeyboardInterrupt:
    print("done all the same")
"""


def test_one_that_is_asked_and_ends_well_was_not_stopped(runner):
    (ended,) = runner.run([program(ENDS_WELL)], 4.0)
    assert (ended.code, ended.stopped, ended.text) == (0, False, "done all the same\n")


def test_one_that_is_ended_unasked_was_stopped_and_has_not_failed(runner):
    (ended,) = runner.run([program(HEEDS)], 0.0)
    assert (ended.code, ended.stopped) == (-9, True)


def test_one_that_does_not_stop_is_ended_with_all_it_started(runner):
    (ended,) = runner.run([program(STUBBORN)], 1.5)
    assert (ended.code, ended.stopped) == (-9, True)
    child = int(ended.text.split()[1])
    for _ in range(100):
        if not is_running(child):
            return
        time.sleep(0.05)
    raise AssertionError("the child runs on")


def is_running(number):
    try:
        with open(f"/proc/{number}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_wish_to_stop_is_passed_on(runner, stop, monkeypatch):
    monkeypatch.setattr(programs.time, "sleep", wishing(stop, time.sleep))
    begun = time.monotonic()
    (ended,) = runner.run([program(HEEDS)], 60)
    assert time.monotonic() - begun < 15
    assert (ended.stopped, ended.text) == (True, "begun\nsaved\n")


def wishing(stop, sleep):
    """Return a sleep that wishes to stop after a second."""
    begun = time.monotonic()

    def slept(seconds):
        sleep(seconds)
        stop.requested = time.monotonic() - begun > 1

    return slept
