"""How many threads NumPy's products use for a while, where its BLAS lets that be set."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from xpmlp.backends.numpy.blas import NoBlas, Threads, numpy_blas
from xpmlp.errors import InputError


class Limits:
    """The numbers that are asked for at present, the latest last, and the one before them all."""

    def __init__(self) -> None:
        self.lock, self.counts, self.before = Lock(), list[int](), 1

    def begin(self, threads: Threads, count: int) -> None:
        """Set a number."""
        with self.lock:
            if not self.counts:
                self.before = _standing(threads)
            self.counts.append(count)
            _set(threads, count)

    def end(self, threads: Threads, count: int) -> None:
        """Put back the latest of the numbers that are still asked for, else the one before."""
        with self.lock:
            self.counts.reverse()
            self.counts.remove(count)
            self.counts.reverse()
            _set(threads, self.counts[-1] if self.counts else self.before)


LIMITS = Limits()


@contextmanager
def products_on(count: int | None) -> Iterator[None]:
    """Let NumPy's products use so many threads inside this block; None: as many as they do.

    The number is one of the process. Blocks may be nested, and open in several threads at once:
    the last that ends puts back what was before the first. Raises InputError where NumPy's BLAS
    has no number that can be set.
    """
    if count is None:
        yield
        return
    try:
        threads = numpy_blas().threads
    except NoBlas as reason:
        raise InputError(f"threads can't be set: {reason}; leave --threads out") from reason
    LIMITS.begin(threads, count)
    try:
        yield
    finally:
        LIMITS.end(threads, count)


def _standing(threads: Threads) -> int:
    """Return the number of the process, also while compiled steps let calls use one thread."""
    with threads.lock:
        return threads.before if threads.users else threads.read()


def _set(threads: Threads, count: int) -> None:
    """Set the number of the process, now or when compiled steps put it back."""
    with threads.lock:
        if threads.users:
            threads.before = count
        else:
            threads.write(count)
