"""One run at a time in a folder: a lock that ends with its process, however that ends."""

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from xpmlp.console import warn
from xpmlp.errors import InputError

LOCK = ".lock"
TAKEN = (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)


class FolderInUseError(InputError):
    """A folder that another process has locked."""


class FolderLock:
    """What keeps other runs out of a folder: its file `.lock`, open and locked by the system.

    As a context it lets go at the end and takes the file away; one that a killed run has left
    is locked by nobody. Where the file system has no locks, that is said, and nothing is kept
    out.
    """

    def __init__(self) -> None:
        self._own: tuple[Path, BinaryIO] | None = None
        self._around: BinaryIO | None = None

    def take(self, folder: Path, around: Path | None = None) -> None:
        """Lock a folder instead of the one so far.

        around: that of several seeds, where `folder` is one of them. It is locked too, against
        a run of all of them, not against another seed (on Windows against that as well).
        Raises FolderInUseError where another process has one of them, OSError where no file can
        be made.
        """
        self.release()
        self._own = folder / LOCK, _locked(folder / LOCK)
        if around:
            self._around = _locked(around / LOCK, shared=True)

    def is_held(self) -> bool:
        """Tell whether the folder that was locked is still there, under its name."""
        return self._own is not None and _is_at(*self._own)

    def release(self) -> None:
        """Let go of the folder, and take its file away.

        That of several seeds stays, as another seed may be about to share it.
        """
        if self._around:
            self._around.close()
            self._around = None
        if self._own:
            path, file = self._own
            self._own = None
            with file, suppress(OSError, FolderInUseError):
                _lock(file)
                if _is_at(path, file):
                    path.unlink()  # on Windows an open file stays

    def __enter__(self) -> "FolderLock":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def _locked(path: Path, *, shared: bool = False) -> BinaryIO:
    """Open and lock a file; again where whoever had it took it away in between."""
    while True:
        file = path.open("a+b")  # NFS shares a lock only among those that may read
        try:
            _lock(file, shared=shared)
        except FolderInUseError:
            file.close()
            raise
        except OSError as error:
            warn(
                f"note: {path.parent} can't be locked ({error.strerror}), so nothing keeps a "
                "second run out of it"
            )
            return file
        if _is_at(path, file):
            return file
        file.close()


def _is_at(path: Path, file: BinaryIO) -> bool:
    """Tell whether an open file is the one of this name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False


def _lock(file: BinaryIO, *, shared: bool = False) -> None:
    """Lock an open file, or raise FolderInUseError at once; the system ends it with the process."""
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            fcntl.flock(file.fileno(), kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in TAKEN:
            raise
        raise FolderInUseError(
            f"{Path(file.name).parent} is in use by another run; wait until that has ended, or "
            "choose another folder"
        ) from None
