"""Programs with a limit: what they printed is in the log, however they ended."""

import sys
import time
from types import SimpleNamespace

import pytest

from bench.gpu import runner as programs
from bench.gpu.runner import Runner

HEEDS = """
import time
try:
    print("begun", flush=True)
    time.sleep(600)
except KeyboardInterrupt:
    print("saved", flush=True)
    raise SystemExit(130)
"""
ENDS_WELL = """
import time
try:
    print("begun", flush=True)
    time.sleep(600)
except KeyboardInterrupt:
    print("done all the same")
"""
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("child", child.pid, flush=True)
time.sleep(600)
"""
# Says that it is there, waits for another program, then for a wish of the test.
MEETS = """
import pathlib, sys, time
folder, own, other = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
(folder / own).touch()
while not ((folder / other).exists() and (folder / "go").exists()):
    time.sleep(0.01)
print("from", own)
"""
ENDS = "import sys; print('x'); sys.exit(3)"


class Clock:
    """A clock for the runner that moves when the test says so, however busy the machine is."""

    def __init__(self):
        self.now, self.tick = 0.0, lambda: None

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        time.sleep(0.01)
        self.tick()


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(programs, "time", clock)
    return clock


@pytest.fixture
def stop():
    return SimpleNamespace(requested=False)


@pytest.fixture
def runner(tmp_path, stop, clock):
    return Runner(tmp_path / "check.log", stop)


def program(code, *words):
    return [sys.executable, "-c", code, *map(str, words)]


def has_printed(runner, text):
    return text in runner.log.with_name("check.log.0").read_text()


def test_programs_run_side_by_side_and_keep_what_they_print(runner, clock, monkeypatch, tmp_path):
    folder = tmp_path / "meeting"
    folder.mkdir()
    alive = programs._Running.alive

    def watched(self):
        running = alive(self)
        if not running and ENDS in self.words:
            clock.now = 5.0
            (folder / "go").touch()
        return running

    monkeypatch.setattr(programs._Running, "alive", watched)
    meeting = [program(MEETS, folder, "one", "two"), program(MEETS, folder, "two", "one")]
    ended = runner.run([*meeting, program(ENDS)], 100)
    assert [end.code for end in ended] == [0, 0, 3]
    assert not any(end.stopped for end in ended)
    assert [end.text for end in ended] == ["from one\n", "from two\n", "x\n"]
    assert [end.seconds for end in ended[:2]] == [5.0, 5.0]
    log = runner.log.read_text()
    assert "from one\n[exit code 0 after 5.0 s" in log
    assert "x\n[exit code 3 after" in log
    assert sorted(path.name for path in tmp_path.iterdir()) == ["check.log", "meeting"]


def test_variables_are_added(runner):
    code = "import os; print(os.environ['ONE'], 'PATH' in os.environ)"
    (ended,) = runner.run([program(code)], 30, {"ONE": "1"})
    assert ended.text == "1 True\n"


@pytest.mark.parametrize(
    ("code", "expected"),
    [(HEEDS, (130, True, "begun\nsaved\n")), (ENDS_WELL, (0, False, "begun\ndone all the same\n"))],
)
def test_a_program_is_asked_to_stop_before_its_limit(runner, clock, code, expected):
    def tick():
        clock.now = 85.0 if has_printed(runner, "begun\n") else 0.0

    clock.tick = tick
    (ended,) = runner.run([program(code)], 100.0)
    assert (ended.code, ended.stopped, ended.text) == expected
    assert expected[2] in runner.log.read_text()


def test_one_that_is_ended_unasked_was_stopped_and_has_not_failed(runner):
    (ended,) = runner.run([program(HEEDS)], 0.0)
    assert (ended.code, ended.stopped) == (-9, True)


def test_one_that_does_not_stop_is_ended_with_all_it_started(runner, clock):
    def tick():
        clock.now += 5.0 if has_printed(runner, "\n") else 0.0

    clock.tick = tick
    (ended,) = runner.run([program(STUBBORN)], 100.0)
    assert clock.now == 100.0
    assert (ended.code, ended.stopped) == (-9, True)
    child = int(ended.text.split()[1])
    begun = time.monotonic()
    while is_running(child):
        assert time.monotonic() - begun < 600, "the child runs on"
        time.sleep(0.01)


def is_running(number):
    try:
        with open(f"/proc/{number}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_wish_to_stop_is_passed_on(runner, stop, clock):
    def tick():
        clock.now = 1.0 if stop.requested else 0.0
        stop.requested = has_printed(runner, "begun\n")

    clock.tick = tick
    (ended,) = runner.run([program(HEEDS)], 1000)
    assert (ended.stopped, ended.text) == (True, "begun\nsaved\n")
