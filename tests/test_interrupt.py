"""Signals as wishes: which are heard, and when they are told to wait."""

import os
import signal
import sys

import pytest

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
