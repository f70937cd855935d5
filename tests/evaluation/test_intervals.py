"""Wilson's interval: worked by hand, and beside scipy's."""

import math

import pytest
from scipy.stats import binomtest

from xpmlp.evaluation.intervals import wilson_interval


def test_worked_by_hand():
    # 8 of 10 with z = 1.959964: z² = 3.841459, 1 + z²/n = 1.384146,
    # (0.8 + 0.192073) / 1.384146 = 0.716740,
    # 1.959964·√(0.016 + 0.009604) / 1.384146 = 0.226576.
    low, high = wilson_interval(8, 10)
    assert low == pytest.approx(0.716740 - 0.226576, abs=2e-6)
    assert high == pytest.approx(0.716740 + 0.226576, abs=2e-6)


@pytest.mark.parametrize("trials", [1, 2, 7, 200, 10_000])
@pytest.mark.parametrize("share", [0, 0.001, 0.5, 0.97, 1])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_equals_scipys(trials, share, confidence):
    successes = math.ceil(share * trials)
    theirs = binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    ours = wilson_interval(successes, trials, confidence)
    assert ours == pytest.approx((theirs.low, theirs.high), rel=1e-12, abs=1e-15)
    assert 0 <= ours.low <= successes / trials <= ours.high <= 1
