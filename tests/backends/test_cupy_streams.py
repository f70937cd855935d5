"""The CuPy backend beside other streams, on the stand-in, whose streams are late."""

import importlib

import numpy as np
import pytest

from xpmlp.backends.locate import Home

ROWS = np.random.default_rng(0).standard_normal((5, 3))


@pytest.fixture
def cupy(cuda):
    """The device is entered, as in a program that works with CuPy itself."""
    cuda.enter(1)
    yield importlib.import_module("cupy")
    cuda.enter(-1)


@pytest.fixture
def xp(cupy):
    return importlib.import_module("array_api_compat.cupy")


def test_what_is_put_is_there_for_other_streams(cupy, xp, cupy_backend):
    for given in (ROWS, np.float64(2.0), [1, 2]):
        placed = cupy_backend.asarray(given)
        np.testing.assert_array_equal(cupy.asnumpy(placed + 1), np.asarray(given) + 1)


def test_an_array_of_another_stream_is_put_when_it_is_made(cupy, xp, make_backend):
    backend = make_backend("float32")
    made = cupy.asarray(ROWS) * 2
    np.testing.assert_array_equal(cupy.asnumpy(backend.asarray(made)), np.float32(ROWS * 2))
    made = cupy.asarray(ROWS) * 3
    with backend.running():
        np.testing.assert_array_equal(backend.to_numpy(backend.asarray(made)), np.float32(ROWS * 3))


def test_what_another_stream_makes_is_fetched_when_it_is_made(cupy, xp, cupy_backend):
    with cupy_backend.running():
        placed = cupy_backend.asarray(ROWS)
        cupy_backend.synchronize(placed)
    np.testing.assert_array_equal(cupy_backend.to_numpy(xp.exp(placed)), np.exp(ROWS))
    with cupy.cuda.Stream(non_blocking=True):
        made = xp.exp(placed)
    np.testing.assert_array_equal(cupy_backend.to_numpy(made), np.exp(ROWS))


def test_targets_that_are_being_made_are_read_when_they_are(cupy, xp, monkeypatch):
    arrays = importlib.import_module("xpmlp.estimator.arrays")
    monkeypatch.setattr(arrays, "locate", lambda array: Home("cupy", "cuda:0"))
    monkeypatch.setattr(arrays, "is_numpy_array", lambda array: type(array) is np.ndarray)
    for stream in (cupy.cuda.Stream.null, cupy.cuda.Stream(non_blocking=True)):
        with stream:
            labels = (cupy.asarray(ROWS) > 0).astype("int64")
        np.testing.assert_array_equal(arrays.to_host(labels), ROWS > 0)


def test_while_it_runs_nothing_waits_that_need_not(cuda, cupy_backend):
    with cupy_backend.running():
        before = cuda.synchronizations
        placed = cupy_backend.put((ROWS, np.float64(1.0)))
        fetched = cupy_backend.fetch(placed)
        assert cuda.synchronizations == before
    np.testing.assert_array_equal(fetched[0], ROWS)
