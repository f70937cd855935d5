"""Ctrl-C as a wish: the first ends the run where it can go on from, the second at once."""

import _thread
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from queue import Empty, SimpleQueue
from threading import Thread, Timer, current_thread, main_thread
from types import FrameType
from typing import Any

from xpmlp.console import warn

SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
SECONDS_TO_ANSWER, SECONDS_TO_REPEAT = 0.5, 0.05
MANY, NOBODY = 4096, -1
Answers = SimpleQueue[None]  # unlike an Event it may be put to by a handler within a handler


class StopRequest:
    """Whether a stop was asked for.

    place: where the training stops, in words. saving: nothing is cut short; who asks is told to
    wait. at_once: already the first wish raises KeyboardInterrupt.
    """

    requested = False
    place = "after this epoch"
    saving = False
    at_once = False


@contextmanager
def graceful_interrupt(signals: Sequence[int] = SIGNALS) -> Iterator[StopRequest]:
    """Take Ctrl-C, and the signals that end a process, as a wish to stop.

    Inside the block the first is noted, a second raises KeyboardInterrupt and no further one
    does, so that what catches it can save. Signals that are ignored, as SIGHUP is under nohup,
    stay so. A wish that falls into a library's long call is said to be waiting.
    """
    stop, answers = StopRequest(), Answers()

    def note(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
        answers.put(None)
        first, stop.requested = not stop.requested, True
        if stop.saving:
            if first:
                warn("\nsaving, which is not cut short; please wait")
        elif first and not stop.at_once:
            warn(f"\nstopping {stop.place}; press Ctrl-C again to stop at once")
        else:
            stop.saving = True
            raise KeyboardInterrupt

    heard = [number for number in signals if signal.getsignal(number) != signal.SIG_IGN]
    if not heard:
        yield stop
        return
    previous = [(number, signal.signal(number, note)) for number in heard]
    try:
        with _late_answers(set(heard), answers), _raised_again(stop, heard):
            yield stop
    finally:
        for number, handler in previous:
            signal.signal(number, handler)


def graceful_keyboard() -> AbstractContextManager[StopRequest]:
    """Take Ctrl-C alone as a wish to stop, as `graceful_interrupt` does.

    Only where it would raise KeyboardInterrupt: not in another thread than the main one, nor in a
    program that hears it by means of its own.
    """
    main = current_thread() is main_thread()
    usual = main and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return graceful_interrupt([signal.SIGINT] if usual else [])


@contextmanager
def _late_answers(heard: set[int], answers: Answers) -> Iterator[None]:
    """Say of a signal whose handler does not come to run within half a second that it waits.

    Python runs it between two instructions of its own; an epoch of JAX is one. Where a program
    has itself woken by signals, as asyncio does, that is left to it.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    thread = Thread(target=_answer_late, args=(reader, heard, answers), daemon=True)
    before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    if before != NOBODY:
        signal.set_wakeup_fd(before)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        writer.close()
        answers.put(None)
        thread.join()
        reader.close()


def _answer_late(reader: socket.socket, heard: set[int], answers: Answers) -> None:
    """Read the numbers of signals as they come in, until the other end is closed."""
    while numbers := reader.recv(MANY):
        if heard.isdisjoint(numbers):
            continue
        try:
            answers.get(timeout=SECONDS_TO_ANSWER)
        except Empty:
            warn("\nstopping as soon as the computation in progress lets it; please wait")
            answers.get()
        reader.setblocking(False)
        with suppress(BlockingIOError):  # one run of the handler answers all that came before
            reader.recv(MANY)
        reader.setblocking(True)
        while not answers.empty():
            answers.get()


@contextmanager
def _raised_again(stop: StopRequest, heard: Sequence[int]) -> Iterator[None]:
    """Repeat a KeyboardInterrupt that Python dropped, as it does with what a callback raises.

    Matplotlib's weak references have many.
    """
    report, timers = sys.unraisablehook, list[Timer]()

    def repeat(unraisable: Any) -> None:
        if unraisable.exc_type is not KeyboardInterrupt:
            report(unraisable)
            return
        stop.saving = False
        timers.append(Timer(SECONDS_TO_REPEAT, _send, heard[:1]))
        timers[-1].start()

    sys.unraisablehook = repeat
    try:
        yield
    finally:
        sys.unraisablehook = report
        for timer in timers:
            timer.cancel()
            timer.join()


def _send(number: int) -> None:
    """Send the main thread a signal, which on Windows does not wake it where it sleeps."""
    thread = main_thread().ident
    if sys.platform == "win32" or thread is None:
        _thread.interrupt_main(signal.Signals(number))
    else:
        signal.pthread_kill(thread, number)
