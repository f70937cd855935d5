"""A packed list: what comes out is what went in, to the bit, and it takes little memory."""

import pickle
import tracemalloc
from copy import copy

import numpy as np
import pytest

from xpmlp.training.history import EpochRecord, History
from xpmlp.training.packed import Packed

ARRAYS = [
    np.array([0.1, -0.0], np.float32),
    np.array([0.1, 0.0], np.float32),
    np.array([0.1, 0.0]),
    np.array([0.1, 0.0]),
    np.array([np.nan, np.inf, 5e-324]),
    np.array([]),
    np.array([]),
]


def packed(items=ARRAYS):
    return Packed(np.asarray, np.asarray, items)


def assert_same(found, expected):
    assert [(a.dtype, a.tobytes()) for a in found] == [(a.dtype, a.tobytes()) for a in expected]


def test_items_come_out_as_they_went_in():
    made = packed()
    assert_same(made, ARRAYS)
    assert_same(made[1:4], ARRAYS[1:4])
    assert_same([made[-3]], [ARRAYS[-3]])
    assert_same(reversed(made), ARRAYS[::-1])
    with pytest.raises(IndexError):
        made[len(ARRAYS)]


def test_it_is_equal_to_what_has_the_same_bits():
    assert packed() == packed()
    assert packed() != packed(ARRAYS[:-1])
    assert packed(ARRAYS[:1]) != packed(ARRAYS[1:2])  # -0 and 0
    counts = Packed(np.asarray, np.ndarray.tolist, ([1.0], [2.0]))
    assert counts == [[1.0], [2.0]] == counts
    assert counts != "ab"


def test_one_that_is_changed_changes_nothing_within():
    made = packed()
    made[0][:] = 7
    assert_same(made, ARRAYS)


@pytest.mark.parametrize("length", range(len(ARRAYS) + 1))
def test_what_is_cut_off_can_be_added_again(length):
    made, before = packed(), pickle.loads(pickle.dumps(packed()))
    other = copy(made)
    made.cut(length)
    assert_same(made, ARRAYS[:length])
    for item in ARRAYS[length:]:
        made.append(item)
    for each in (made, before, other):
        assert_same(each, ARRAYS)


def test_a_history_takes_little_more_than_its_numbers():
    """As lists of arrays and records these epochs take 800 bytes each."""
    steps, rates = np.random.default_rng(0).random((6, 5), np.float32), np.full(6, 0.1)
    history = History(tuple("abcde"))
    tracemalloc.start()
    try:
        for epoch in range(1, 2001):
            record = EpochRecord(epoch, 0.1, epoch / 7, epoch / 9, None, None, 1 / epoch, 1e5)
            history.append(record, steps + epoch, rates)
        taken = tracemalloc.get_traced_memory()[0] / 2000
    finally:
        tracemalloc.stop()
    numbers = 8 * 8 + 6 * 5 * 4
    assert numbers < taken < 1.6 * numbers
    assert history.epochs[-1] == record
    np.testing.assert_array_equal(history.step_parts[-1], steps + 2000)
