"""Files that are written in one piece: an interrupted write leaves the old file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from xpmlp.errors import InputError


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file under another name beside it, then put it in place. Raises OSError."""
    partial = _beside(path)
    try:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """Open a text file for writing that takes its name when the block has ended well.

    Until then it stands beside it under another name; a failure or Ctrl-C takes that away and
    leaves what was there. Raises InputError for a place that can't be written, OSError with
    the path where writing fails.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"can't write {path}: it is not a regular file")
    partial = _beside(path)
    try:
        try:
            file = partial.open("w", encoding="utf-8", newline="")
        except OSError as error:
            raise InputError(f"can't write {path}: {error.strerror}") from error
        with file:
            yield file
        partial.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        partial.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.partial")
