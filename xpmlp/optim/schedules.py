"""Learning-rate schedules: the rate of a step as a function of how far the run is.

Each takes the place of a step in the run and returns the factor on the base rate. `epoch`
counts whole finished epochs, `step` the steps before this one. Plain Python floats: the rates
of an epoch are computed on the host.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

STEP_DROP = 0.1
ONE_CYCLE_RISE = 0.3
ONE_CYCLE_START = 1.0 / 25.0
ONE_CYCLE_END = 1e-4 / 25.0


class Place(NamedTuple):
    """Where a step lies in its run, and the run's decay per epoch."""

    step: int
    steps: int
    epoch: int
    epochs: int
    decay: float = 1.0

    @property
    def progress(self) -> float:
        """The share of all steps that lie before this one, in [0, 1)."""
        return self.step / self.steps


def constant(place: Place) -> float:  # noqa: ARG001
    """Return 1."""
    return 1.0


def exponential(place: Place) -> float:
    """Return decay^epoch: the assignments' rate, multiplied by `decay` after each epoch."""
    return place.decay**place.epoch


def step(place: Place) -> float:
    """Return 1, then 0.1 after half of the epochs, then 0.01 after three quarters.

    The drops of He et al. 2015 (arXiv:1512.03385, section 4.2, CIFAR-10).
    """
    share = place.epoch / place.epochs
    return STEP_DROP ** ((share >= 0.5) + (share >= 0.75))


def cosine(place: Place) -> float:
    """Return ½(1 + cos(π progress)) (Loshchilov & Hutter 2016, arXiv:1608.03983), per step."""
    return 0.5 * (1.0 + math.cos(math.pi * place.progress))


def linear_warmup(place: Place) -> float:
    """Return a factor that rises evenly to 1 over the first tenth of the steps, then stays."""
    return min(1.0, 10.0 * (place.step + 1) / place.steps)


def one_cycle(place: Place) -> float:
    """Return a rise from 1/25 to 1 over 30 % of the steps, then a fall to 1/250,000.

    Both along half a cosine (Smith & Topin 2017, arXiv:1708.07120, with PyTorch's constants and
    positions: the last step has the lowest rate); the momentum stays as it is.
    """

    def between(a: float, b: float, share: float) -> float:
        return b + (a - b) * 0.5 * (1.0 + math.cos(math.pi * share))

    peak = ONE_CYCLE_RISE * place.steps - 1.0
    if place.step <= peak:
        return between(ONE_CYCLE_START, 1.0, place.step / peak)
    return between(1.0, ONE_CYCLE_END, (place.step - peak) / (place.steps - 1.0 - peak))


TIMELESS = ("constant", "exponential")
EPOCHWISE = (*TIMELESS, "step")
SCHEDULES: dict[str, Callable[[Place], float]] = {
    "constant": constant,
    "exponential": exponential,
    "step": step,
    "cosine": cosine,
    "linear_warmup": linear_warmup,
    "one_cycle": one_cycle,
}
