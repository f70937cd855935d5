"""Files that are written in one piece: an interrupted write leaves the old file."""

import errno
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TextIO

from xpmlp.errors import InputError

PARTIAL = re.compile(r"\..+\.(?P<process>\d+)(-[0-9a-f]+)?\.partial")
CAN_NOT_FLUSH = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)


@contextmanager
def put_in_place(path: Path) -> Iterator[Path]:
    """Give a name beside `path` to write to, and rename that file to `path` at the block's end.

    The name is nobody else's, so that several threads and processes may write to one path: the
    last to end wins. The content is flushed to the disk before the renaming: without that, a
    machine that loses its power may have the new name and neither content. The folder is flushed
    after it: without that, the old file may come back. A block that fails takes its file away.
    Raises OSError.
    """
    partial = path.with_name(f".{path.name[:60]}.{os.getpid()}-{os.urandom(6).hex()}.partial")
    try:
        yield partial
        with partial.open("rb+") as file:
            flush(file)
        partial.replace(path)
        flush_folder(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file under another name beside it, read it back, and put it in place.

    Raises OSError, also where the file system gives back something else.
    """
    whole = content.encode() if isinstance(content, str) else content
    with put_in_place(path) as partial:
        partial.write_bytes(whole)
        if partial.read_bytes() != whole:
            raise OSError(errno.EIO, "what was written could not be read back", str(path))


@contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """Open a text file for writing that takes its name when the block has ended well.

    Until then it stands beside it under another name; a failure or Ctrl-C takes that away and
    leaves what was there. Raises InputError for a place that can't be written, OSError with
    the path where writing fails.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"can't write {path}: it is not a regular file")
    try:
        with put_in_place(path) as partial, _opened(partial, path) as file:
            yield file
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def clear_partials(folder: Path) -> None:
    """Take away the unfinished files of processes that were killed while they wrote here.

    The folder must be locked: a process of this one's number is then a dead one. On Windows,
    where nothing harmless asks whether a process lives, they stay.
    """
    for path in folder.glob(".*.partial"):
        match = PARTIAL.fullmatch(path.name)
        if match and not _lives(int(match["process"])):
            with suppress(OSError):
                path.unlink()


def _lives(process: int) -> bool:
    if process == os.getpid():
        return False
    if sys.platform == "win32":
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def _opened(partial: Path, path: Path) -> TextIO:
    try:
        return partial.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise InputError(f"can't write {path}: {error.strerror}") from error


def flush(file: IO[Any]) -> None:
    """Have what was written to an open file on the disk, where the file system can say so."""
    file.flush()
    _sync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Have the names in a folder on the disk, where the system lets it be opened for that.

    Windows never does, others not where it may be written to but not read.
    """
    if sys.platform == "win32":
        return
    try:
        number = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return
    try:
        _sync(number)
    finally:
        os.close(number)


def _sync(number: int) -> None:
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in CAN_NOT_FLUSH:
            raise
