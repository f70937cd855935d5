"""Training on rows that stay on disk: read, scaled and put in order on a thread, while steps run.

An epoch's rows come in chunks of whole steps, each in an array of one size, so that steps are
compiled once; what training sees is the same as from memory, to the bit.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from xpmlp.backends.base import EpochPlan
from xpmlp.data.ahead import made_ahead
from xpmlp.data.rows import Rows
from xpmlp.data.streamed import Reader, Streamed
from xpmlp.errors import InputError
from xpmlp.types import Batch

CHUNK_BYTES = 32 << 20
MOST_BYTES = 1 << 30  # of a step
BUFFERS = 3  # one is filled, one is ready, one is in use


class Span(NamedTuple):
    """Steps of an epoch whose rows are read together: the first, and one behind the last."""

    begin: int
    end: int


class Chunk(NamedTuple):
    """The rows of a span in the order of their steps; those behind `rows` are no rows."""

    span: Span
    x: np.ndarray
    y: np.ndarray
    rows: int


def streams(rows: Rows) -> bool:
    """Tell whether rows stay on disk."""
    return isinstance(rows.x, Streamed)


def nothing_of(rows: Rows) -> Rows:
    """Return none of the rows, in memory."""
    weights = None if rows.weights is None else rows.weights[:0]
    return Rows(rows.x[:0, ...], rows.y[:0], weights)


def drawn_order(rows: Rows, generator: np.random.Generator) -> np.ndarray:
    """Return the row numbers (N,) of an epoch."""
    if isinstance(rows.x, Streamed):
        return rows.x.shuffled(generator)
    return generator.permutation(len(rows))


class Stream:
    """Rows of a part that stay on disk, where else a Batch on the device would be.

    upload: puts some of them, with their targets, on the device.
    """

    def __init__(self, rows: Rows, upload: Callable[[Rows], Batch]) -> None:
        self.x: Any = rows.x
        self.y, self.upload = rows.y, upload

    def pieces(self, multiple: int) -> Iterator[Batch]:
        """Yield all rows in their own order, so many at a time, or a multiple of that."""
        width = max(1, self.x.shape[1] * self.x.dtype.itemsize)
        size = max(1, CHUNK_BYTES // (width * multiple)) * multiple
        count = -(-len(self.x) // size)
        numbers = partial(np.arange, dtype=np.int64)
        spans = [Span(i, i + 1) for i in range(count)]
        with closing(self._chunks(numbers, spans, size, self.x.reader(size))) as chunks:
            for chunk in chunks:
                yield self.upload(Rows(chunk.x[: chunk.rows], chunk.y[: chunk.rows]))

    def runs(
        self, plan: EpochPlan, cuts: Sequence[int]
    ) -> Generator[Iterator[tuple[Batch, EpochPlan]], None, None]:
        """Yield, from each cut to the next, what there is to run: rows with the plan for them."""
        size = plan.batch_size
        width = self.x.shape[1] * self.x.dtype.itemsize
        if size * width > MOST_BYTES:
            raise InputError(
                f"rows that stay on disk come in batches of at most {MOST_BYTES >> 20:,} MiB, and "
                f"{size:,} rows are {size * width >> 20:,}; choose a smaller --batch-size"
            )
        order = plan.order

        def numbers(begin: int, end: int) -> np.ndarray:
            some = np.arange(begin, end) if order is None else order[begin:end]
            return some.astype(np.int64)

        most = max(1, CHUNK_BYTES // max(1, size * width))
        spans = [
            Span(step, min(step + most, end))
            for begin, end in pairwise(cuts)
            for step in range(begin, end, most)
        ]
        with closing(self._chunks(numbers, spans, size, self.x.reader())) as chunks:
            for end in cuts[1:]:
                yield self._until(end, chunks, plan)

    def _until(
        self, end: int, chunks: Iterator[Chunk], plan: EpochPlan
    ) -> Iterator[tuple[Batch, EpochPlan]]:
        for chunk in chunks:
            rates = plan.learning_rates[chunk.span.begin : chunk.span.end]
            in_place = EpochPlan(np.arange(chunk.rows), plan.batch_size, rates)
            yield self.upload(Rows(chunk.x, chunk.y)), in_place
            if chunk.span.end == end:
                return

    def _chunks(
        self,
        numbers: Callable[[int, int], np.ndarray],
        spans: Sequence[Span],
        size: int,
        reader: Reader,
    ) -> Generator[Chunk, None, None]:
        """Yield the rows of each span, of steps of so many, read ahead on a thread.

        numbers: gives those of the rows at some places of the order.
        """
        total = len(self.x)
        longest = min(total, size * max((span.end - span.begin for span in spans), default=0))

        def make(take: Callable[[], np.ndarray]) -> Iterator[Chunk]:
            for span in spans:
                chosen = numbers(span.begin * size, min(span.end * size, total))
                x = take()
                reader.read_into(x[: len(chosen)], chosen)
                y = np.zeros((longest, *self.y.shape[1:]), _wide(self.y.dtype))
                y[: len(chosen)] = self.y[chosen]
                yield Chunk(span, x, y, len(chosen))

        shape = longest, self.x.shape[1]
        memories = [np.zeros(shape, self.x.dtype) for _ in range(min(BUFFERS, len(spans)))]
        return made_ahead(make, memories)


def _wide(dtype: np.dtype) -> np.dtype:
    """Return the dtype in which labels, kept in few bytes, are trained on."""
    return np.dtype(np.int64) if dtype.kind in "iu" else dtype


@contextmanager
def runs_of(
    rows: "Batch | Stream",
    plan: EpochPlan,
    cuts: Sequence[int],
    piece: Callable[[EpochPlan, int, int], EpochPlan],
) -> Iterator[Iterator[Any]]:
    """Give, from each cut of an epoch to the next, what there is to run: (rows, plan) one by one.

    piece: returns the plan of some steps, for rows that lie in memory.
    """
    if isinstance(rows, Stream):
        with closing(rows.runs(plan, cuts)) as runs:
            yield runs
    else:
        yield ([(rows, piece(plan, begin, end))] for begin, end in pairwise(cuts))
