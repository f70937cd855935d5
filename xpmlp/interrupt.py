"""Ctrl-C as a wish: the first ends the run after the epoch in progress, the second at once."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
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
def graceful_interrupt() -> Iterator[StopRequest]:
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

    heard = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    previous = [(number, signal.signal(number, note)) for number in heard]
    try:
        yield stop
    finally:
        for number, handler in previous:
            signal.signal(number, handler)
