"""Greedy selection against cases worked by hand, and what holds of all of them."""

import numpy as np
import pytest

from xpmlp.errors import InputError
from xpmlp.nn.losses import LOSSES
from xpmlp.search.selection import COSTS, averaged, cost_of, select

SQUARE = COSTS["mean_squared_error"]


def errors(*rows):
    """Return the errors of K nets (K, N, 1)."""
    return np.array(rows, np.float64)[:, :, None]


def test_two_nets_that_err_the_other_way_are_taken_together():
    """Errors 1, -2 and 3 of one row: ½ alone, (1 - 2)/2 = -½ with the second, 0 with it twice.

    The picks are: net 0 (loss ½); of the means 1, -½, 2 net 1 (⅛); of (-1 + e)/3 for e = 1, -2, 3,
    which is 0, -1, ⅔, net 0 again (0). So the counts are 2, 1, 0.
    """
    counts, loss = select(errors([1.0], [-2.0], [3.0]), SQUARE, start=1)
    assert counts.tolist() == [2, 1, 0]
    assert loss == 0.0


def test_it_begins_with_the_best_by_themselves():
    """Losses 2, ½ and ⅛: the best two are nets 2 and 1, and nothing makes their mean better."""
    counts, loss = select(errors([2.0], [1.0], [-0.5]), SQUARE, start=2, picks=0)
    assert counts.tolist() == [0, 1, 1]
    assert loss == pytest.approx(0.5 * 0.25**2)


def test_of_equals_the_earliest_is_taken():
    counts, _ = select(errors([1.0], [1.0], [1.0]), SQUARE, start=1)
    assert counts.tolist() == [1, 0, 0]


def test_weights_of_rows_count():
    values = errors([0.0, 1.0], [1.0, 0.0])
    assert select(values, SQUARE, np.array([1.0, 9.0]), start=1, picks=0)[0].tolist() == [0, 1]
    assert select(values, SQUARE, np.array([9.0, 1.0]), start=1, picks=0)[0].tolist() == [1, 0]


@pytest.mark.parametrize("loss", COSTS)
@pytest.mark.parametrize("seed", range(5))
def test_it_is_never_worse_than_the_best_single_net(loss, seed):
    rng = np.random.default_rng(seed)
    values = rng.random((9, 30, 2)) if "entropy" in loss else rng.standard_normal((9, 30, 2))
    weights = rng.random(30)
    counts, found = select(values, COSTS[loss], weights, start=1)
    share = weights / weights.sum()
    singles = COSTS[loss](values).sum(axis=-1) @ share
    mean = np.tensordot(counts / counts.sum(), values, 1)
    assert found == pytest.approx(COSTS[loss](mean).sum(axis=-1) @ share, rel=1e-12)
    assert found <= singles.min()


@pytest.mark.parametrize("loss", COSTS)
def test_the_loss_of_one_net_is_that_of_its_training(loss):
    rng = np.random.default_rng(0)
    z = rng.standard_normal((1, 20, 3))
    t = rng.standard_normal((20, 3))
    if loss == "softmax_cross_entropy":
        t = rng.integers(0, 3, 20)
    elif loss == "binary_cross_entropy":
        t = rng.integers(0, 2, (20, 3)).astype(float)
    values = averaged(loss, LOSSES[loss].predict(np, z), t)
    expected, _ = LOSSES[loss].function(np, z[0], t)
    assert select(values, COSTS[loss], start=1, picks=0)[1] == pytest.approx(expected, rel=1e-9)


def test_a_loss_without_a_mean_is_refused():
    with pytest.raises(InputError, match="not selected by loss poisson"):
        cost_of("poisson")
