"""Arrays in NumPy's format, alone and in archives, whose headers are not to be trusted."""

import io
import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal, NamedTuple

import numpy as np

from xpmlp.data.idx import read_at_most
from xpmlp.errors import InputError

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_LAST_CHARACTER = 0x10FFFF
_SURROGATES = 0xD800, 0xDFFF


class Header(NamedTuple):
    """What the header of an array says; nbytes: how many bytes follow it."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype

    @property
    def nbytes(self) -> int:
        """The bytes of all values."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def order(self) -> Literal["C", "F"]:
        """As NumPy's functions have it."""
        return "F" if self.fortran_order else "C"


class Archive:
    """The arrays of an `.npz` archive.

    headers: those of the arrays, by their names. Raises InputError for two of one name, and
    ValueError, naming the array, for what is damaged or not as the archive's directory says.
    """

    def __init__(self, path: str | Path, file: zipfile.ZipFile) -> None:
        self.path, self.file = path, file
        self.headers: dict[str, Header] = {}
        for about in file.infolist():
            name = about.filename.removesuffix(".npy")
            if name == about.filename:
                continue
            if not name.isprintable():
                raise ValueError(f"an array is called {name!r}")
            if name in self.headers:
                raise InputError(f"{path}: holds two arrays that are called {name}")
            if about.compress_type not in _METHODS:
                raise ValueError(f"{name} is packed in another way")
            with file.open(about) as stream:
                header = read_header(stream, name)
                whole = about.file_size == stream.tell() + header.nbytes
                if not (whole or header.dtype.hasobject):
                    raise ValueError(f"{name}: {_promised(header)}")
            self.headers[name] = header

    @contextmanager
    def rows(self, name: str) -> Iterator[IO[bytes]]:
        """Give the bytes of an array, behind its header. Raises ValueError for one of objects."""
        _require_values(self.headers[name], name)
        with self.file.open(f"{name}.npy") as stream:
            read_header(stream, name)
            yield stream

    def read(self, name: str) -> np.ndarray:
        """Return a whole array. Memory grows with the bytes that really come."""
        header = self.headers[name]
        with self.rows(name) as stream:
            values = read_at_most(stream, header.nbytes)
            stream.read(1)  # the end, at which the checksum is compared
        if len(values) < header.nbytes:
            raise ValueError(f"{name}: {_promised(header)}")
        if header.dtype.kind == "U" and not _are_characters(values, header.dtype):
            raise ValueError(f"{name} has texts of codes that are no characters")
        flat: np.ndarray = np.frombuffer(values, header.dtype)
        return flat.reshape(header.shape, order=header.order)


@contextmanager
def open_archive(path: str | Path) -> Iterator[Archive]:
    """Open an archive. Raises InputError, naming it, for whatever goes wrong with it meanwhile."""
    kind = "a whole .npz archive of numbers and texts, as numpy.savez writes it"
    with _foreign(path, kind), zipfile.ZipFile(path) as file:
        yield Archive(path, file)


def map_array(path: str | Path) -> np.ndarray:
    """Return the array of an `.npy` file through a memory map, that of no values without.

    Raises InputError, naming it, for anything but exactly the bytes that its header promises.
    """
    with _foreign(path, "a whole .npy file of numbers, as numpy.save writes it"):
        with open(path, "rb") as file:
            header = read_header(file, "it")
            _require_values(header, "it")
            start, end = file.tell(), file.seek(0, io.SEEK_END)
        if end - start != header.nbytes:
            raise ValueError(f"{_promised(header)}, but {end - start:,} follow it")
        if not header.nbytes:
            return np.empty(header.shape, header.dtype)
        return np.memmap(path, header.dtype, "r", start, header.shape, header.order)


def read_header(stream: IO[bytes], name: str) -> Header:
    """Read the header of an array; name: of the array, for messages. Raises ValueError.

    It is a text in Python, and reading it may go wrong in any way.
    """
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_2_0
        if version == (1, 0):
            read = np.lib.format.read_array_header_1_0
        header = Header(*read(stream))
    except (zipfile.BadZipFile, zlib.error, OSError):
        raise
    except Exception as error:
        raise ValueError(f"{name} has no header in NumPy's format") from error
    if any(size < 0 for size in header.shape):
        raise ValueError(f"{name} has the shape {header.shape} in its header")
    return header


def _require_values(header: Header, name: str) -> None:
    if header.dtype.hasobject or not header.dtype.itemsize:
        raise ValueError(f"{name} holds values of type {header.dtype}")


@contextmanager
def _foreign(path: str | Path, expected: str) -> Iterator[None]:
    """Turn whatever goes wrong with a foreign file into InputError."""
    try:
        yield
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    except Exception as error:
        raise InputError(f"{path}: not {expected} ({error or type(error).__name__})") from error


def _promised(header: Header) -> str:
    shape = " x ".join(map(str, header.shape)) or "1"
    return f"its header promises {shape} of {header.dtype} = {header.nbytes:,} bytes"


def _are_characters(values: bytearray, dtype: np.dtype) -> bool:
    codes = np.frombuffer(values, np.dtype(np.uint32).newbyteorder(dtype.byteorder))
    first, last = _SURROGATES
    return not ((codes > _LAST_CHARACTER) | ((codes >= first) & (codes <= last))).any()
