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

    A single piece needs no thread. Raises what the work raises, at the piece in question.
    """
    threads, rest = pa.cpu_count(), iter(pieces)
    first = [*islice(rest, 2)]
    pieces = chain(first, rest)
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
