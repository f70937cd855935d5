"""Limits on the threads of NumPy's products: set for a while, and put back."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Lock

import pytest

from xpmlp.backends import threads
from xpmlp.backends.numpy.blas import NoBlas
from xpmlp.backends.threads import products_on
from xpmlp.errors import InputError


class Blas:
    """A library that has eight threads, and the locks of `blas.Threads`."""

    def __init__(self):
        self.number, self.lock, self.users, self.before = 8, Lock(), 0, 1
        self.threads = self

    def read(self):
        return self.number

    def write(self, number):
        self.number = number


@pytest.fixture
def blas(monkeypatch):
    library = Blas()
    monkeypatch.setattr(threads, "numpy_blas", lambda: library)
    return library


def test_a_limit_holds_in_its_block_and_is_put_back_on_errors_too(blas):
    with products_on(None):
        assert blas.number == 8
    with products_on(3):
        with pytest.raises(ZeroDivisionError), products_on(2):
            blas.number //= 2 - blas.number
        assert blas.number == 3
    assert blas.number == 8


def test_the_last_of_several_threads_puts_back_what_the_first_found(blas):
    together = Barrier(4)

    def limited(count):
        with products_on(count):
            together.wait()
            assert blas.number in range(1, 5)
            together.wait()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(limited, range(1, 5)))
    assert blas.number == 8


def test_compiled_steps_that_run_meanwhile_keep_their_one_thread(blas):
    blas.users, blas.before, blas.number = 1, 8, 1
    with products_on(2):
        assert (blas.number, blas.before) == (1, 2)
    assert (blas.number, blas.before) == (1, 8)


def test_a_library_without_such_a_number_is_named(monkeypatch):
    def none():
        raise NoBlas("NumPy's BLAS is accelerate")

    monkeypatch.setattr(threads, "numpy_blas", none)
    message = "threads can't be set: NumPy's BLAS is accelerate; leave --threads out"
    with pytest.raises(InputError, match=message), products_on(2):
        pass
