"""Features that stay on disk: rows that lie there in blocks, read in any order, block by block.

The order of an epoch: the blocks in a random order; then, of each window, so many of them one
after the other as have WINDOW_BYTES, all rows in a random order. So two windows are all that is in
memory, and each byte of a file is read once in an epoch; what fits a window is shuffled as a whole.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from xpmlp.data.row_files import RowFile
from xpmlp.data.rows import Scaling

BLOCK_BYTES = 4 << 20
FEWEST_BLOCKS = 64  # of a file, so that a small one is shuffled too
WINDOW_BYTES = 32 * BLOCK_BYTES
TURNED_AT_ONCE = 1 << 18  # values that are scaled at once, in a processor's cache


class Block(NamedTuple):
    """Consecutive rows of a file."""

    file: RowFile
    first: int
    rows: int

    def read_into(self, out: np.ndarray) -> None:
        """Fill the first rows of out (n, D). Raises RunError where the file was changed."""
        self.file.read_into(out[: self.rows], self.first)


def blocks_of(files: Sequence[RowFile]) -> list[Block]:
    """Return the blocks of some files, one after the other, all but a file's last of one size."""
    total = sum(map(len, files))
    most = BLOCK_BYTES // max(1, files[0].row_bytes) if files else 1
    size = max(1, min(most, -(-total // FEWEST_BLOCKS)))
    return [
        Block(file, first, min(size, len(file) - first))
        for file in files
        for first in range(0, len(file), size)
    ]


class Turning(NamedTuple):
    """What raw values become: divided by full_scale, if there is one, else scaled."""

    scaling: Scaling
    full_scale: float | None
    dtype: str

    def into(self, out: np.ndarray, raw: np.ndarray) -> None:
        """Fill out (n, D) with raw rows (n, D), to the bit as `scale_parts` turns them."""
        if self.full_scale is not None:
            np.divide(raw, self.full_scale, out=out, dtype=self.dtype)
        elif self.is_plain:
            out[...] = raw
        else:
            out[...] = self.scaling.apply(raw, self.dtype)

    @property
    def is_plain(self) -> bool:
        """Whether values stay as they are."""
        return not self.scaling.shift.any() and bool((self.scaling.width == 1).all())


class Streamed:
    """The features x (N, D) of one part of a data set, which lie on disk.

    blocks: its rows, in their own order. turning: what they become as they are read.
    checksum: of the raw values; "" where they are not trained on.
    """

    ndim = 2
    stays_on_disk = True

    def __init__(self, blocks: Sequence[Block], turning: Turning, checksum: str = "") -> None:
        self.blocks, self.turning, self.checksum = tuple(blocks), turning, checksum
        self.starts = np.concatenate([[0], np.cumsum([b.rows for b in blocks], dtype=np.int64)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def shape(self) -> tuple[int, int]:
        """(N, D)."""
        return len(self), self.blocks[0].file.width

    @property
    def dtype(self) -> np.dtype:
        """That of the rows as they are read."""
        return np.dtype(self.turning.dtype)

    @property
    def window(self) -> int:
        """How many blocks are shuffled together."""
        return max(1, WINDOW_BYTES // max(1, self.blocks[0].rows * self.blocks[0].file.row_bytes))

    @property
    def nbytes(self) -> int:
        """The bytes of the rows on disk."""
        return len(self) * self.blocks[0].file.row_bytes

    def shuffled(self, generator: np.random.Generator) -> np.ndarray:
        """Return the row numbers (N,) of an epoch, in the order that the module describes."""
        order = np.empty(len(self), np.min_scalar_type(len(self)))
        places, done = generator.permutation(len(self.blocks)), 0
        for begin in range(0, len(places), self.window):
            window = places[begin : begin + self.window]
            rows = np.concatenate([np.arange(*self.starts[b : b + 2]) for b in window])
            generator.shuffle(rows)
            order[done : done + len(rows)] = rows
            done += len(rows)
        return order

    def reader(self, together: int | None = None) -> "Reader":
        """Return a reader of so many consecutive rows at once; None: of our order of an epoch."""
        slots = 2 * self.window
        if together is not None:
            slots = together // self.blocks[0].rows + 2
        return Reader(self, min(len(self.blocks), slots))

    def read(self, numbers: np.ndarray) -> np.ndarray:
        """Return the rows (n, D) of some numbers (n,), ready to be used."""
        out = np.empty((len(numbers), self.shape[1]), self.dtype)
        self.reader(1).read_into(out, numbers)
        return out

    @property
    def _raw_dtype(self) -> np.dtype:
        return self.blocks[0].file.dtype

    def __getitem__(self, key: Any) -> np.ndarray:
        """Return some rows in memory, chosen as those of an array are; `...` may follow."""
        rows, *_ = key if isinstance(key, tuple) else (key,)
        numbers = np.arange(len(self))[rows]
        return self.read(np.atleast_1d(numbers)).reshape(*numbers.shape, self.shape[1])


class Reader:
    """Reads rows by their numbers; the blocks that were used last stay in memory.

    slots: how many blocks, one or more.
    """

    def __init__(self, x: Streamed, slots: int) -> None:
        self.x, self.at = x, dict[int, int]()  # the slot of a block
        self._size = max((b.rows for b in x.blocks), default=0)
        self._memory = np.empty((slots, self._size, x.shape[1]), x._raw_dtype)

    def read_into(self, out: np.ndarray, numbers: np.ndarray) -> None:
        """Fill out (n, D) with the rows of these numbers (n,). Raises RunError as a file does."""
        blocks = np.searchsorted(self.x.starts, numbers, "right") - 1
        needed, slots = np.unique(blocks), len(self._memory)
        if len(needed) <= slots:
            self._take(out, numbers, blocks, needed)
            return
        for begin in range(0, len(needed), slots):  # an order that is not one of ours
            some = needed[begin : begin + slots]
            here = np.flatnonzero(np.isin(blocks, some))
            rows = np.empty((len(here), out.shape[1]), out.dtype)
            self._take(rows, numbers[here], blocks[here], some)
            out[here] = rows

    def _take(
        self, out: np.ndarray, numbers: np.ndarray, blocks: np.ndarray, needed: np.ndarray
    ) -> None:
        """Fill out from blocks that have room in memory together."""
        self._load([int(block) for block in needed])
        slot_of = np.zeros(len(self.x.blocks), np.int64)
        slot_of[list(self.at)] = list(self.at.values())
        places = slot_of[blocks] * self._size + (numbers - self.x.starts[blocks])
        rows = self._memory.reshape(-1, out.shape[1])
        step = max(1, TURNED_AT_ONCE // max(1, out.shape[1]))
        for begin in range(0, len(out), step):
            some = slice(begin, begin + step)
            self.x.turning.into(out[some], rows[places[some]])

    def _load(self, needed: Sequence[int]) -> None:
        """Bring blocks into memory, in place of those that are needed no more."""
        missing = [block for block in needed if block not in self.at]
        wanted = set(needed)
        taken = set(self.at.values())
        free = [slot for slot in range(len(self._memory)) if slot not in taken]
        old = [block for block in self.at if block not in wanted]
        for block in missing:
            slot = free.pop() if free else self.at.pop(old.pop(0))
            self.x.blocks[block].read_into(self._memory[slot])
            self.at[block] = slot
