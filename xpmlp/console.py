"""Printing that never ends a run: a reader that went away or a full disk only silences it."""

import os
import sys
from typing import TextIO


def show(text: str, stream: TextIO) -> bool:
    """Print text and flush, and tell whether that worked; if not, later output is dropped."""
    try:
        print(text, file=stream, flush=True)
    except (OSError, ValueError):
        silence(stream)
        return False
    return True


def warn(text: str) -> None:
    """Show one line on stderr."""
    show(text, sys.stderr)


def silence(stream: TextIO) -> None:
    """Send a stream's output, also what it still holds, to nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def prepare_streams() -> None:
    """Replace closed standard streams by nowhere, and unprintable characters by ?."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        getattr(sys, name).reconfigure(errors="replace")
