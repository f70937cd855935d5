"""Work on several pieces at once, on as many threads as Arrow has, with the answers in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import TypeVar

import pyarrow as pa

Piece = TypeVar("Piece")
Answer = TypeVar("Answer")


def answers(work: Callable[[Piece], Answer], pieces: Iterable[Piece]) -> Iterator[Answer]:
    """Yield what becomes of each piece, in their order; few more than there are threads are held.

    A single piece needs no thread. Raises what the work raises, or the pieces, at its place.
    """
    failures: list[Exception] = []
    yield from _answers(work, _until_failure(pieces, failures))
    if failures:
        raise failures[0]


def _answers(work: Callable[[Piece], Answer], pieces: Iterator[Piece]) -> Iterator[Answer]:
    threads = pa.cpu_count()
    first = [*islice(pieces, 2)]
    pieces = chain(first, pieces)
    if threads == 1 or len(first) == 1:
        yield from map(work, pieces)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Answer]] = deque()
        for piece in pieces:
            waiting.append(pool.submit(work, piece))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _until_failure(pieces: Iterable[Piece], failures: list[Exception]) -> Iterator[Piece]:
    """Yield pieces; note what they raise, as the work on those before may raise something."""
    try:
        yield from pieces
    except Exception as error:
        failures.append(error)
