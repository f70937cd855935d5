"""Ctrl-C as a wish: the first ends the run after the epoch in progress, the second at once."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Whether Ctrl-C was pressed."""

    requested = False


@contextmanager
def graceful_interrupt() -> Iterator[StopRequest]:
    """Catch the first Ctrl-C inside the block and note it; a second raises KeyboardInterrupt."""
    stop = StopRequest()

    def note(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
        if stop.requested:
            raise KeyboardInterrupt
        stop.requested = True
        print(
            "\nstopping after this epoch; press Ctrl-C again to stop at once",
            file=sys.stderr,
            flush=True,
        )

    previous = signal.signal(signal.SIGINT, note)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, previous)
