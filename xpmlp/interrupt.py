"""Ctrl-C as a wish: the first ends the run after the epoch in progress, the second at once."""

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import FrameType

from xpmlp.console import warn

SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


class StopRequest:
    """Whether a stop was asked for.

    saving: nothing is cut short; who asks is told to wait. at_once: already the first wish
    raises KeyboardInterrupt.
    """

    requested = False
    saving = False
    at_once = False


@contextmanager
def graceful_interrupt(signals: Sequence[int] = SIGNALS) -> Iterator[StopRequest]:
    """Take Ctrl-C, and the signals that end a process, as a wish to stop.

    Inside the block the first is noted, a second raises KeyboardInterrupt and no further one
    does, so that what catches it can save. Signals that are ignored, as SIGHUP is under nohup,
    stay so.
    """
    stop = StopRequest()

    def note(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
        first, stop.requested = not stop.requested, True
        if stop.saving:
            if first:
                warn("\nsaving, which is not cut short; please wait")
        elif first and not stop.at_once:
            warn("\nstopping after this epoch; press Ctrl-C again to stop at once")
        else:
            stop.saving = True
            raise KeyboardInterrupt

    heard = [number for number in signals if signal.getsignal(number) != signal.SIG_IGN]
    previous = [(number, signal.signal(number, note)) for number in heard]
    try:
        yield stop
    finally:
        for number, handler in previous:
            signal.signal(number, handler)


def graceful_keyboard() -> AbstractContextManager[StopRequest]:
    """Take Ctrl-C alone as a wish to stop, as `graceful_interrupt` does.

    Only where it would raise KeyboardInterrupt: not in another thread than the main one, nor in a
    program that hears it by means of its own.
    """
    main = threading.current_thread() is threading.main_thread()
    usual = main and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return graceful_interrupt([signal.SIGINT] if usual else [])
