"""Rows of IDX, `.npy` and `.npz` files in blocks, of which only one is in memory."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from xpmlp.data.blocks import Block, Columns, OnNote, by, image_shape_of
from xpmlp.data.idx import opened, read_at_most, read_header
from xpmlp.data.image_sets import is_transposed
from xpmlp.data.numpy_files import Archive, map_array, open_archive
from xpmlp.data.unpacking import require_justified
from xpmlp.errors import InputError

_NAMES = ("x", "images")
_PARTS = ("x_test", "test_images", "x_train", "train_images")


def idx_blocks(path: str, columns: Columns, batch_rows: int, on_note: OnNote) -> Iterator[Block]:
    """Yield the rows of an IDX file, gzipped or not, uint8; images of EMNIST upright, with a note.

    Raises InputError, naming the file, for another size, and for anything but exactly the
    bytes that the header promises.
    """
    with opened(Path(path)) as stream:
        shape, dtype = read_header(stream, Path(path))
        if dtype != np.uint8:
            raise InputError(f"{path}: expected unsigned bytes, got {dtype.name}")
        turned = len(shape) == 3 and is_transposed(path)
        if turned:
            on_note(f"{path}: EMNIST's files hold images column by column; they are turned upright")
            shape = shape[0], shape[2], shape[1]
        _check_shape(shape, columns, path)
        for block in _pieces(stream, shape, dtype, batch_rows, path):
            yield _turned(block, shape) if turned else block
        if stream.read(1):
            raise InputError(f"{path}: oversized: data go on after the {shape[0]:,} rows")


def npy_blocks(path: str, columns: Columns, batch_rows: int, on_note: OnNote) -> Iterator[Block]:
    """Yield the rows of an array that `numpy.save` wrote, in its dtype, through a memory map.

    Raises InputError, naming the file, where it isn't whole or has another size.
    """
    del on_note
    array = map_array(path)
    _check(array.shape, array.dtype, columns, path)
    yield from _slices(array, batch_rows, path)


def npz_blocks(path: str, columns: Columns, batch_rows: int, on_note: OnNote) -> Iterator[Block]:
    """Yield the rows of an array of an archive, packed or not, in its dtype.

    That is `x` or `images`, in any case; else, with a note, that of the test rows or of the
    training rows; else the only array of two dimensions or more. An array in Fortran order,
    whose rows lie scattered, is held in memory whole.

    Raises InputError, naming the file, where it isn't whole or has no such array.
    """
    with open_archive(path) as archive:
        name = _choose(archive, on_note)
        shape, fortran_order, dtype = header = archive.headers[name]
        _check(shape, dtype, columns, path)
        if fortran_order:
            require_justified(path, header.nbytes, remedy="save the array in C order")
            yield from _slices(archive.read(name), batch_rows, path)
            return
        with archive.rows(name) as stream:
            yield from _pieces(stream, shape, dtype, batch_rows, path)
            stream.read(1)  # the end, at which the checksum is compared


def _choose(archive: Archive, on_note: OnNote) -> str:
    """Return the name of the array that holds the rows."""
    names = {name.lower(): name for name in archive.headers}
    for wanted in _NAMES:
        if wanted in names:
            return names[wanted]
    for wanted in _PARTS:
        if wanted in names:
            on_note(f"{archive.path}: the rows of {names[wanted]} are taken")
            return names[wanted]
    tables = [name for name, header in archive.headers.items() if len(header.shape) > 1]
    if len(tables) == 1:
        return tables[0]
    found = ", ".join(f"{name} {header.shape}" for name, header in archive.headers.items())
    raise InputError(
        f"{archive.path}: expected an array x or images, or a single one of 2 dimensions or more; "
        f"found {found or 'nothing'}"
    )


def _check(shape: tuple[int, ...], dtype: np.dtype, columns: Columns, path: str) -> None:
    """Raise InputError for an array that holds no numbers, or rows of another size."""
    if dtype.kind not in "buif":
        raise InputError(f"{path}: expected numbers, got an array of {dtype}")
    _check_shape(shape, columns, path)


def _check_shape(shape: tuple[int, ...], columns: Columns, path: str) -> None:
    row = shape[1:]
    if not row:
        raise InputError(
            f"{path}: expected rows (N, D) or images (N, H, W), got an array of shape {shape}"
        )
    if len(row) == 1 and row[0] != columns.width:
        raise InputError(f"{path} has {row[0]} columns, {columns.wanted()}")
    image = image_shape_of(row) or row
    fitting = columns.image_shape or image
    if len(row) > 1 and (image != fitting or math.prod(row) != columns.width):
        found = f"{path} has images of {by(row)} pixels"
        if columns.image_shape:
            raise InputError(f"{found}, the model takes those of {by(columns.image_shape)}")
        raise InputError(f"{found}, {columns.wanted()} columns")


def _turned(block: Block, shape: tuple[int, ...]) -> Block:
    """Return images (N, H, W) that stand column by column row by row."""
    _, height, width = shape
    images = block.x.reshape(-1, width, height).swapaxes(1, 2)
    return block._replace(x=images.reshape(len(images), -1))


def _slices(array: np.ndarray, batch_rows: int, path: str) -> Iterator[Block]:
    for start in range(0, len(array), batch_rows):
        rows = array[start : start + batch_rows]
        yield Block(rows.reshape(len(rows), -1), path, "row", range(start, start + len(rows)))


def _pieces(
    stream: IO[bytes], shape: tuple[int, ...], dtype: np.dtype, batch_rows: int, path: str
) -> Iterator[Block]:
    """Yield the rows of an array in C order from the stream of its bytes."""
    row_bytes = math.prod(shape[1:]) * dtype.itemsize
    for start in range(0, shape[0], batch_rows):
        rows = min(batch_rows, shape[0] - start)
        data = read_at_most(stream, rows * row_bytes)
        if len(data) < rows * row_bytes:
            ends = start + len(data) // row_bytes
            raise InputError(
                f"{path}: truncated: its header promises {shape[0]:,} rows, but only {ends:,} "
                "whole ones follow it"
            )
        x = np.frombuffer(data, dtype).reshape(rows, -1)
        yield Block(x, path, "row", range(start, start + rows))
