"""How many rows are evaluated at once."""

from itertools import pairwise

import numpy as np
import pytest

from xpmlp.backends.base import blocks
from xpmlp.training.evaluation import ON_ONE_CORE, rows_at_once
from xpmlp.types import Affine


def net(*sizes, members=()):
    return tuple(
        Affine(np.zeros((*members, d, h)), np.zeros((*members, h))) for d, h in pairwise(sizes)
    )


@pytest.mark.parametrize(
    ("params", "device", "expected"),
    [
        (net(784, 100, 10), "cpu", 1000),
        (net(4, 3), "cpu", 1000),
        (net(20, 100, 10), "cpu", 500),
        (net(10, 20, 200, 5), "cpu", 250),
        (net(64, 100, 10), "cpu", 1000),
        (net(784, 64, 10, members=(64,)), "cpu", 156),
        (net(20, 100, 10, members=(64,)), "cpu", 156),
        (net(20, 100, 10), "cuda:0", 10_000),
        (net(20, 100, 10, members=(20_000,)), "cuda:0", 1),
    ],
)
def test_a_small_net_takes_as_many_rows_as_stay_on_one_core(params, device, expected):
    assert rows_at_once(device, params) == expected
    if expected in (250, 500):
        assert expected * max(layer.W.size for layer in params) == ON_ONE_CORE


@pytest.mark.parametrize(("n", "most"), [(0, 3), (1, 3), (3, 3), (7, 3), (9, 3)])
def test_blocks_have_every_row_once(n, most):
    rows = [np.arange(n)[block] for block in blocks(n, most)]
    assert all(0 < len(block) <= most for block in rows)
    np.testing.assert_array_equal(np.concatenate([[], *rows]), np.arange(n))
