"""Signals as wishes: which are heard, and when they are told to wait."""

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from threading import Timer

import pytest

from xpmlp import interrupt
from xpmlp.interrupt import graceful_interrupt

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals differ on Windows")


def press(number=signal.SIGINT):
    os.kill(os.getpid(), number)


@pytest.fixture(autouse=True)
def heard():
    """Ctrl-C is heard, also where the tests run in the background of a shell; nothing is kept."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_an_ignored_signal_stays_ignored(number, capsys):
    signal.signal(number, signal.SIG_IGN)
    with graceful_interrupt() as stop:
        press(number)
        press(number)
        assert not stop.requested
        press(signal.SIGTERM)
        assert stop.requested
    assert signal.getsignal(number) == signal.SIG_IGN
    assert capsys.readouterr().err.count("stopping after this epoch") == 1


def test_the_first_is_noted_the_second_raised_and_no_other(capsys):
    with graceful_interrupt() as stop:
        press()
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            press()
        press()
        press()
    assert capsys.readouterr().err == (
        "\nstopping after this epoch; press Ctrl-C again to stop at once\n"
    )
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler


def test_while_saving_it_is_told_to_wait_once(capsys):
    with graceful_interrupt() as stop:
        stop.saving = True
        press()
        press()
        assert stop.requested
    assert capsys.readouterr().err == "\nsaving, which is not cut short; please wait\n"


def test_what_can_be_cut_short_is_so_at_once(capsys):
    with graceful_interrupt() as stop:
        stop.at_once = True
        with pytest.raises(KeyboardInterrupt):
            press()
        press()
        assert stop.requested
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("before", [0, 1], ids=["already the first raises", "the second raises"])
def test_a_wish_that_falls_into_a_callback_is_not_lost(before, capsys):
    """Python drops what a finalizer raises, and prints its traceback."""

    class Finalized:
        def __del__(self):
            press()

    def work():
        Finalized()
        time.sleep(20)

    with graceful_interrupt() as stop:
        stop.at_once = not before
        for _ in range(before):
            press()
        begun = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            work()
        assert time.monotonic() - begun < 15
        assert stop.saving
    assert "Traceback" not in capsys.readouterr().err


def test_a_wish_lost_in_a_callback_is_not_raised_once_all_is_saved(capsys, monkeypatch):
    monkeypatch.setattr(interrupt, "SECONDS_TO_REPEAT", 0.3)

    class Finalized:
        def __del__(self):
            press()

    hook = sys.unraisablehook
    with graceful_interrupt() as stop:
        stop.at_once = True
        Finalized()
        stop.saving = True
        time.sleep(0.5)
        stop.saving = False
        Finalized()
    time.sleep(0.5)
    assert sys.unraisablehook == hook
    assert capsys.readouterr().err == ""


def test_other_errors_of_callbacks_are_reported_as_before(monkeypatch):
    class Broken:
        def __del__(self):
            raise ZeroDivisionError

    seen = []
    monkeypatch.setattr(sys, "unraisablehook", lambda found: seen.append(found.exc_type))
    with graceful_interrupt():
        Broken()
    assert seen == [ZeroDivisionError]


def test_a_wish_within_a_long_call_is_said_to_be_waiting(capsys, monkeypatch):
    """Python runs no handler until the call is over."""
    monkeypatch.setattr(interrupt, "SECONDS_TO_ANSWER", 0.05)
    waiting = "\nstopping as soon as the computation in progress lets it; please wait\n"
    noted = "\nstopping after this epoch; press Ctrl-C again to stop at once\n"
    with graceful_interrupt() as stop:
        timers = [Timer(seconds, press) for seconds in (0.05, 0.07)]
        for timer in timers:
            timer.start()
        while not timers[-1].finished.is_set():
            hashlib.pbkdf2_hmac("sha256", b"", b"", 1_500_000)
        assert stop.requested
        time.sleep(0.3)
    assert capsys.readouterr().err == waiting + noted


def test_a_wish_that_is_heard_is_not_said_to_be_waiting(capsys, monkeypatch):
    monkeypatch.setattr(interrupt, "SECONDS_TO_ANSWER", 0.05)
    with graceful_interrupt():
        press()
        time.sleep(0.3)
    assert "please wait" not in capsys.readouterr().err
    assert signal.set_wakeup_fd(-1) == -1


def test_a_handler_within_a_handler_does_not_wait_for_itself():
    """Signals may come faster than they are handled: here one after each call in the handler."""
    program = """
import signal, sys
from xpmlp.interrupt import graceful_interrupt

def press(frame, event, argument):
    if event == "c_return":
        signal.raise_signal(signal.SIGTERM)

with graceful_interrupt() as stop:
    stop.saving = True
    sys.setprofile(press)
    signal.raise_signal(signal.SIGINT)
    sys.setprofile(None)
"""
    root = str(Path(interrupt.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "\nsaving, which is not cut short; please wait\n")


def test_a_program_that_is_woken_by_signals_stays_so():
    """As asyncio has itself woken, whose handlers of other signals must not wait for a training."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    before = signal.set_wakeup_fd(theirs.fileno())
    try:
        with graceful_interrupt():
            signal.raise_signal(signal.SIGTERM)
        ours.settimeout(5)
        assert ours.recv(8) == bytes([signal.SIGTERM])
    finally:
        signal.set_wakeup_fd(before)
        ours.close()
        theirs.close()


def test_a_ctrl_c_that_falls_into_an_exec_ends_with_130_too(tmp_path):
    """As the definition of a dataclass is one; `python -m` then kills itself at its exit."""
    (tmp_path / "program.py").write_text("""
from xpmlp.commands import guarded, run_as_program

def run():
    exec("raise KeyboardInterrupt")

run_as_program(lambda arguments: guarded("program", run))
""")
    root = str(Path(interrupt.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-m", "program"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (130, "program: interrupted\n")


def test_a_ctrl_c_before_the_command_has_begun_is_told_too(capsys):
    from xpmlp.commands import run_as_program

    def begins(arguments):
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as end:
        run_as_program(begins)
    assert (end.value.code, capsys.readouterr().err) == (130, "xpmlp: interrupted\n")
