"""Rows of a file of arrays in blocks, so that it may be larger than memory."""

from collections.abc import Iterator
from pathlib import Path

from xpmlp.data.array_blocks import idx_blocks, npy_blocks, npz_blocks
from xpmlp.data.blocks import Block, Columns, OnNote, Reader
from xpmlp.data.svmlight import SUFFIXES, svmlight_blocks
from xpmlp.data.tables.endings import ARROW, PARQUET, TEXT
from xpmlp.errors import InputError

READERS: dict[str, Reader] = {
    ".npy": npy_blocks,
    ".npz": npz_blocks,
    **dict.fromkeys(SUFFIXES, svmlight_blocks),
}


def stream_rows(
    path: str | Path, columns: Columns, batch_rows: int, on_note: OnNote
) -> Iterator[Block]:
    """Yield the rows of a file in blocks of up to `batch_rows`, unscaled, finite, in order.

    path: `.npy`, `.npz`, svmlight's, or an IDX file, gzipped or not, known by `idx` in its name.
    columns: what each row must be. on_note: is called with what a person should know.

    Raises InputError, with the file and mostly the place, for anything else.
    """
    if batch_rows < 1:
        raise InputError(f"a batch must have 1 row or more, got {batch_rows}")
    block = None
    for block in _reader(Path(path))(str(path), columns, batch_rows, on_note):
        block.require_finite(block.x, "NaN or infinity can't be predicted on")
        yield block
    if block is None:
        raise InputError(f"{path}: holds no rows")


def _reader(path: Path) -> Reader:
    """Return the reader that a file's name asks for."""
    if not path.exists():
        raise InputError(f"{path}: there is no such file")
    if path.is_dir():
        raise InputError(f"{path}: this is a folder; name a file in it")
    name = path.name.lower()
    suffix = Path(name.removesuffix(".gz")).suffix
    if suffix in READERS:
        return READERS[suffix]
    if "idx" in name:
        return idx_blocks
    raise InputError(
        f"{path}: expected a file that ends in {', '.join((*TEXT, *PARQUET, *ARROW, *READERS))}, "
        "or images in an IDX file such as t10k-images-idx3-ubyte[.gz]; text of another name can "
        "come through - (a pipe)"
    )
