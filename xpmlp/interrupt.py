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
    """Whether a stop was asked for; while `saving` is set, nothing is cut short."""

    requested = False
    saving = False


@contextmanager
def graceful_interrupt() -> Iterator[StopRequest]:
    """Take Ctrl-C, and the signals that end a process, as a wish to stop.

    Inside the block the first is noted, a second raises KeyboardInterrupt unless the block is
    saving.
    """
    stop = StopRequest()

    def note(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
        if stop.saving:
            return
        if stop.requested:
            raise KeyboardInterrupt
        stop.requested = True
        warn("\nstopping after this epoch; press Ctrl-C again to stop at once")

    previous = [(number, signal.signal(number, note)) for number in SIGNALS]
    try:
        yield stop
    finally:
        for number, handler in previous:
            signal.signal(number, handler)
