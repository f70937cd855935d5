"""A reader of IDX files, the format of MNIST, that trusts nothing it reads.

Two zero bytes, a type code, the number of dimensions, each size as four bytes with the
highest first, then the values in C order (http://yann.lecun.com/exdb/mnist/).
"""

import gzip
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, cast

import numpy as np

from xpmlp.data.blocks import by
from xpmlp.errors import InputError

_GZIP_MAGIC = b"\x1f\x8b"
_DTYPES: dict[int, np.dtype] = {0x08: np.dtype(np.uint8), 0x0C: np.dtype(">i4")}
_MAX_DIMENSIONS = 4
_CHUNK = 1 << 20


class Header(NamedTuple):
    """What the header of an IDX file says."""

    shape: tuple[int, ...]
    dtype: np.dtype


def read_idx(path: str | Path, *, max_bytes: int = 1 << 30) -> np.ndarray:
    """Read an IDX file, gzipped or not, into an array, uint8 or big-endian int32 as it has it.

    Gzip is known by its first two bytes, not by the file's name. Memory grows with the bytes
    that really come, never with what the header says, and not beyond `max_bytes`.

    Raises InputError, naming the file, for anything but exactly the bytes the header promises.
    """
    path = Path(path)
    with opened(path) as stream:
        shape, dtype = read_header(stream, path)
        expected = math.prod(shape) * dtype.itemsize
        promised = by(shape) if dtype.itemsize == 1 else f"{by(shape)} x {dtype.itemsize}"
        if expected > max_bytes:
            raise InputError(
                f"{path}: its header promises {promised} = {expected:,} bytes, "
                f"more than the {max_bytes:,} allowed"
            )
        values = read_at_most(stream, expected)
        if len(values) < expected:
            raise InputError(
                f"{path}: truncated: its header promises {promised} = {expected:,} bytes, "
                f"but only {len(values):,} follow it"
            )
        if stream.read(1):
            raise InputError(
                f"{path}: oversized: data go on after the {expected:,} bytes "
                f"({promised}) that its header promises"
            )
    return np.frombuffer(values, dtype).reshape(shape)


def read_image_pair(
    images_path: str | Path, labels_path: str | Path, n_classes: int, first_label: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Read images (N, H, W), uint8, and the indices of their classes (N,), int64, from 0.

    first_label: the label of class 0. Labels are a 1-dimensional array, or as in QMNIST a table
        of int32, of which the first column is meant.

    Raises InputError when either file is no such array, when their numbers differ, or when a
    label isn't one of `n_classes`.
    """
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.ndim != 3 or images.dtype != np.uint8:
        raise InputError(
            f"{images_path}: expected images, a 3-dimensional array of unsigned bytes, "
            f"got {by(images.shape)} of {images.dtype.name}"
        )
    if labels.ndim == 2 and labels.dtype != np.uint8:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise InputError(
            f"{labels_path}: expected labels, a 1-dimensional array, got {by(labels.shape)}"
        )
    if len(images) != len(labels):
        raise InputError(
            f"{images_path} holds {len(images):,} images but {labels_path} holds "
            f"{len(labels):,} labels; they must be of the same part of the same set"
        )
    indices = labels.astype(np.int64) - first_label
    outside = (indices < 0) | (indices >= n_classes)
    if outside.any():
        row = int(np.argmax(outside))
        raise InputError(
            f"{labels_path}: label {labels[row]} of row {row} is outside "
            f"{first_label}..{first_label + n_classes - 1}"
        )
    return images, indices


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, unpacking gzip, and turn what goes wrong with it into InputError."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP_MAGIC
            file.seek(0)
            yield cast(IO[bytes], gzip.GzipFile(fileobj=file)) if packed else file
    except EOFError as error:
        raise InputError(f"{path}: truncated: its gzip data end too early") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path}: damaged gzip data: {error}") from error
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error


def read_header(stream: IO[bytes], path: Path) -> Header:
    """Read the header. Raises InputError where it is none of IDX's."""
    magic = read_at_most(stream, 4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise InputError(
            f"{path}: not an IDX file: expected two zero bytes, a type and a number of "
            f"dimensions, got {magic.hex(' ') or 'an empty file'}"
        )
    kind, dimensions = magic[2], magic[3]
    if kind not in _DTYPES:
        raise InputError(
            f"{path}: expected type 0x08 (unsigned bytes) or 0x0c (int32), got 0x{kind:02x}"
        )
    if not 1 <= dimensions <= _MAX_DIMENSIONS:
        raise InputError(f"{path}: expected 1 to {_MAX_DIMENSIONS} dimensions, got {dimensions}")
    sizes = read_at_most(stream, 4 * dimensions)
    if len(sizes) < 4 * dimensions:
        raise InputError(f"{path}: truncated: it ends inside its header")
    shape = tuple(int.from_bytes(sizes[i : i + 4]) for i in range(0, len(sizes), 4))
    if 0 in shape:
        raise InputError(f"{path}: holds no data: its header says {by(shape)}")
    return Header(shape, _DTYPES[kind])


def read_at_most(stream: IO[bytes], count: int) -> bytearray:
    """Read up to `count` bytes, fewer where the stream ends, in bounded pieces."""
    data = bytearray()
    while len(data) < count and (piece := stream.read(min(_CHUNK, count - len(data)))):
        data += piece
    return data
