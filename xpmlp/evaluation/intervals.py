"""How sure a share is that was counted in a sample."""

import math
from statistics import NormalDist
from typing import NamedTuple

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """The lowest and the highest share that go with a count."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:.4f} to {self.high:.4f}"


def wilson_interval(successes: int, trials: int, confidence: float = CONFIDENCE) -> Interval:
    """Return Wilson's score interval for the share of successes, of one trial at least.

    With p = k/n and z the normal quantile of the confidence, it is
    (p + z²/2n ± z·√(p(1 - p)/n + z²/4n²)) / (1 + z²/n), within [0, 1] and of use for p near 1
    too, as accuracies are. E. B. Wilson, "Probable inference, the law of succession, and
    statistical inference", Journal of the American Statistical Association 22 (1927), 209-212.
    """
    p, n = successes / trials, trials
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return Interval(max(0.0, min(p, middle - half)), min(1.0, max(p, middle + half)))
