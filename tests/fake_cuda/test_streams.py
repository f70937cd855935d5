"""Streams that are late: what waits for what, and what nobody waits for."""

import importlib

import numpy as np
import pytest

ONES = np.ones(4, "float32")


def is_there(array):
    """Tell whether the device has written ones into an array, without waiting for it."""
    return bool((array.view(np.ndarray) == 1).all())


@pytest.fixture
def other(cupy):
    return cupy.cuda.Stream(non_blocking=True)


@pytest.mark.parametrize(
    "work",
    [
        lambda cupy, given: cupy.asarray(ONES),
        lambda cupy, given: cupy.asarray(np.float32(1)),
        lambda cupy, given: given * 1,
        lambda cupy, given: importlib.import_module("array_api_compat.cupy").square(given),
        lambda cupy, given: given[cupy.zeros(4, "int64")],
        lambda cupy, given: given.astype("float64"),
    ],
    ids=["upload", "scalar", "ufunc", "function", "indexing", "method"],
)
def test_work_is_done_when_somebody_waits(fake, cupy, other, work):
    given = cupy.asarray(ONES)
    fake.finish()
    with other:
        made = work(cupy, given)
        assert not other.done
        assert not is_there(made)
        other.synchronize()
        assert other.done
    assert is_there(made)


def test_kernels_copies_and_assignments_are_late_too(fake, cupy, other):
    kernel = cupy.RawModule(
        code='extern "C" __global__ void one(float* x) { x[threadIdx.x] = 1; }'
    ).get_function("one")
    launched, copied, assigned, added = (cupy.zeros(4, "float32") for _ in range(4))
    given = cupy.asarray(ONES)
    fake.finish()
    with other:
        kernel((1,), (4,), (launched,))
        cupy.copyto(copied, given)
        assigned[...] = 1.0
        added += given
        for made in (launched, copied, assigned, added):
            assert not is_there(made)
        other.synchronize()
        assert all(map(is_there, (launched, copied, assigned, added)))


def test_a_download_waits_for_its_own_stream_alone(cupy, other):
    here = cupy.asarray(ONES)
    with other:
        there = cupy.asarray(ONES)
        assert np.isnan(cupy.asnumpy(here)).all()
        np.testing.assert_array_equal(cupy.asnumpy(there), ONES)
    np.testing.assert_array_equal(cupy.asnumpy(here), ONES)
    with other:
        later = there + 1
        assert np.isnan(cupy.asnumpy(later, cupy.cuda.Stream.null)).all()
        np.testing.assert_array_equal(cupy.asnumpy(later), ONES + 1)


@pytest.mark.parametrize("non_blocking", [False, True])
def test_the_null_stream_waits_for_blocking_streams_and_they_for_it(cupy, non_blocking):
    stream = cupy.cuda.Stream(non_blocking=non_blocking)
    with stream:
        there = cupy.asarray(ONES)
    here = there + 1
    with stream:
        back = here + 1
        np.testing.assert_array_equal(
            cupy.asnumpy(back), np.full(4, np.nan) if non_blocking else ONES + 2
        )


def test_streams_that_nothing_orders_end_in_the_wrong_order(fake, cupy, other):
    with other:
        there = cupy.asarray(ONES)
    here = there + 1
    fake.finish()
    assert np.isnan(here.view(np.ndarray)).all()
    assert is_there(there)


def test_memory_that_is_freed_stays_for_the_work_that_waits(fake, cupy):
    made = cupy.asarray(ONES) * 1
    fake.finish()
    assert is_there(made)
