"""What CuPy's own kernels do: NumPy does it, but only when the stream's turn comes."""

import ctypes
import itertools
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from tests.fake_cuda.library import check, runtime
from tests.fake_cuda.state import MACHINE

WAITING: dict[int, Callable[[], Any]] = {}
NUMBERS = itertools.count(1)


@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_long)
def do(number: int) -> int:
    try:
        with np.errstate(all="ignore"):
            WAITING.pop(number)()
    except Exception:
        traceback.print_exc()
        return 0
    return 1


def later(what: str, work: Callable[[], Any], stream: int | None = None) -> None:
    """Have a stream, by default the current one, do this after its other work."""
    number, stream = next(NUMBERS), MACHINE.stream if stream is None else stream
    WAITING[number] = work
    check(runtime().fake_host_work(stream, what.encode(), do, number))


def wait(stream: int | None = None) -> None:
    """Have all work of a stream done, by default of the current one."""
    check(runtime().fake_wait(MACHINE.stream if stream is None else stream))


def unowned(array: np.ndarray) -> np.ndarray:
    """Return the same memory for work that waits, which keeps none of it allocated."""
    if not array.size:
        return np.empty(array.shape, array.dtype)
    first, end = byte_bounds(array)
    buffer = (ctypes.c_ubyte * (end - first)).from_address(first)
    offset = array.__array_interface__["data"][0] - first
    return np.ndarray(array.shape, array.dtype, buffer, offset, array.strides)
