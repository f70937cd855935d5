"""Printing that never ends a run: a reader that went away or a full disk only silences it.

And warnings that point at the code that asked for something.
"""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def warnings_as_notes() -> Iterator[None]:
    """Show each different UserWarning of the block as a note on stderr; pass others on."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    notes = [warning for warning in caught if warning.category is UserWarning]
    for text in dict.fromkeys(str(note.message) for note in notes):
        warn(f"note: {text}")
    for warning in caught:
        if warning.category is not UserWarning:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )


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


def place_outside() -> tuple[str, int]:
    """Return file and line of the code outside this package that called into it."""
    frame = sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("xpmlp."):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


def warn_outside(message: str) -> None:
    """Give a UserWarning at the place outside this package that called into it."""
    warnings.warn_explicit(message, UserWarning, *place_outside())
