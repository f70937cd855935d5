"""Scaling of columns by one pass over rows that stay on disk, with their checksum.

Means and deviations of pieces are joined by the update of Chan, Golub and LeVeque (1979).
"""

import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from xpmlp.data.ahead import made_ahead
from xpmlp.data.rows import Scaling
from xpmlp.data.scaling import NEGLIGIBLE, varying
from xpmlp.data.streamed import TURNED_AT_ONCE, Block
from xpmlp.errors import InputError, unknown_name

ONE_PASS = ("none", "center", "unit", "standard")


class Moments:
    """Rows seen so far, and of each column the extremes, mean, and sum of squared differences."""

    def __init__(self, columns: int) -> None:
        self.rows = 0
        self.low, self.high = np.full(columns, np.inf), np.full(columns, -np.inf)
        self.mean, self.squares = np.zeros(columns), np.zeros(columns)

    def add(self, x: np.ndarray) -> None:
        """Take more rows (n, D), n ≥ 1, in."""
        np.minimum(self.low, x.min(axis=0), out=self.low)
        np.maximum(self.high, x.max(axis=0), out=self.high)
        mean = x.mean(axis=0, dtype=np.float64)
        centered = x - mean
        apart, rows = mean - self.mean, self.rows + len(x)
        self.mean += apart * (len(x) / rows)
        self.squares += np.einsum("nd,nd->d", centered, centered)
        self.squares += np.square(apart) * (self.rows * len(x) / rows)
        self.rows = rows

    def scaling(self, scale: str) -> Scaling:
        """Return what `scaling.statistics` does, to rounding."""
        low, high = self.low, self.high
        if scale == "none":
            return Scaling(np.zeros(len(low)), np.ones(len(low)))
        constant = high - low < NEGLIGIBLE
        if scale == "unit":
            return varying(constant, low, low, high - low)
        if scale == "center":
            return varying(constant, low, self.mean, np.ones(len(low)))
        return varying(constant, low, self.mean, np.sqrt(self.squares / self.rows))


class Seen(NamedTuple):
    """What a pass saw: the moments, and a checksum of the values as they lie in the blocks."""

    moments: Moments
    checksum: str


def check_scale(scale: str | None, origin: str) -> None:
    """Raise InputError for a scale that one pass can't give."""
    if scale is None or scale in ONE_PASS:
        return
    if scale not in ("auto", "robust", "quantile"):
        raise unknown_name("scale", scale, ONE_PASS)
    raise InputError(
        f"{origin}: scale {scale} sorts the values of each column, which rows that stay on disk "
        f"can't have; use --scale {', '.join(ONE_PASS[:-1])} or {ONE_PASS[-1]}"
    )


def look_through(blocks: "list[Block]") -> Seen:
    """Read all blocks once. Raises InputError, naming file and row, for NaN and infinity."""
    file, checksum = blocks[0].file, 0
    moments = Moments(file.width)
    size = max(block.rows for block in blocks)
    step = max(1, TURNED_AT_ONCE // max(1, file.width))

    def make(take: Callable[[], Any]) -> Iterator[tuple[Block, np.ndarray, int]]:
        checksum = 0
        for block in blocks:
            x = take()[: block.rows]
            block.read_into(x)
            checksum = zlib.crc32(x, checksum)
            yield block, x, checksum

    memories = [np.empty((size, file.width), file.dtype) for _ in range(min(3, len(blocks)))]
    with np.errstate(all="ignore"):
        for block, x, checksum in made_ahead(make, memories):  # noqa: B007
            for begin in range(0, len(x), step):
                moments.add(x[begin : begin + step])
            if not (np.isfinite(moments.low) & np.isfinite(moments.high)).all():
                row = block.first + int(np.argmin(np.isfinite(x).all(axis=1)))
                raise InputError(f"{block.file.path}: the features of row {row} are NaN or inf")
    return Seen(moments, f"{checksum:08x}")
