"""Rows of `.npy` files, read by number, each read checked against the file as it was first seen.

They are read, not mapped: a mapped file that shrinks ends the process without a word.
"""

import io
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from xpmlp.data.numpy_files import map_array
from xpmlp.errors import InputError, RunError


class Mark(NamedTuple):
    """By which a file is known again."""

    device: int
    inode: int
    size: int
    changed: int


class RowFile:
    """The array (N, ...) of an `.npy` file in C order, as rows (N, D).

    Raises InputError, naming the file, for one that is damaged or holds no numbers.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        array = map_array(path)
        if array.ndim < 1 or array.dtype.kind not in "buif" or not array.dtype.isnative:
            raise InputError(f"{path}: expected rows of numbers, got {array.dtype} {array.shape}")
        if array.ndim > 1 and not array.flags.c_contiguous:
            raise InputError(f"{path}: in Fortran order its rows lie scattered; save it in C order")
        self.row_shape, self.dtype = array.shape[1:], array.dtype
        self.width, self._rows = int(np.prod(self.row_shape, dtype=int)), len(array)
        self.mark = _mark(os.stat(path))
        self._begin = self.mark.size - array.nbytes

    def __len__(self) -> int:
        return self._rows

    @property
    def row_bytes(self) -> int:
        """The bytes of a row."""
        return self.width * self.dtype.itemsize

    def read_into(self, out: np.ndarray, first: int) -> None:
        """Fill out (n, D), C-contiguous and of the file's dtype, with the rows from `first` on.

        Raises RunError, naming the file, where it is not what it was any more.
        """
        buffer = memoryview(out.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
        try:
            with open(self.path, "rb", buffering=0) as file:
                read = _fill(file, buffer, self._begin + first * self.row_bytes)
                mark = _mark(os.fstat(file.fileno()))
        except FileNotFoundError as error:
            raise RunError(f"{self.path}: the file vanished while it was in use") from error
        except OSError as error:
            raise RunError(f"{self.path}: can't be read: {error.strerror or error}") from error
        if mark.size < self.mark.size:
            raise RunError(
                f"{self.path}: the file shrank from {self.mark.size:,} to {mark.size:,} bytes "
                "while it was in use"
            )
        if mark != self.mark or read < len(buffer):
            raise RunError(f"{self.path}: the file was changed while it was in use")

    def read(self) -> np.ndarray:
        """Return all rows, in the shape of the file's array."""
        out = np.empty((len(self), self.width), self.dtype)
        self.read_into(out, 0)
        return out.reshape(len(self), *self.row_shape)


def _fill(file: io.RawIOBase, buffer: memoryview, place: int) -> int:
    """Read from a place into a buffer, and return how many bytes came."""
    file.seek(place)
    read = 0
    while read < len(buffer) and (more := file.readinto(buffer[read:])):
        read += more
    return read


def _mark(stat: os.stat_result) -> Mark:
    return Mark(stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
