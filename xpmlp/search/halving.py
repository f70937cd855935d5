"""Which trials go on, and which are dropped, as pure functions of their scores at the rungs.

Successive halving (Jamieson and Talwalkar 2016, arXiv:1502.07943; Li et al. 2018, Hyperband,
arXiv:1603.06560): after r, rη, rη², … epochs the best η⁻¹ of the trials go on. All wait for each
other there. The asynchronous form (ASHA, Li et al. 2020, arXiv:1810.05934) waits for nobody: a
trial goes on where it is among the best η⁻¹ of those that came to that rung before it or with it.
ASHA promotes trials that paused; here one that is not good enough when it arrives ends, as in the
stopping form of Ray Tune and Syne Tune, so that nobody has to be kept for later.

A score is a loss, lower is better; NaN is that of a trial that failed, which never goes on.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

from xpmlp.errors import InputError

KINDS = ("sync", "async")
USUAL_ETA = 3
Scores = Mapping[int, float]


class Halving(NamedTuple):
    """How trials are dropped: after which epochs (rungs), and of how many one goes on (eta)."""

    kind: str
    eta: int
    rungs: tuple[int, ...]

    @property
    def text(self) -> str:
        """What it does, in words."""
        after = ", ".join(map(str, self.rungs))
        if self.kind == "sync":
            return f"one in {self.eta} of the trials goes on after epoch {after}"
        return f"a trial goes on where it is in the best 1/{self.eta} so far after epoch {after}"


def make_halving(
    kind: str, epochs: int, trials: int, eta: int = USUAL_ETA, first: int | None = None
) -> Halving:
    """Return the rungs of trials of so many epochs.

    first: the first rung; else there are as many as the number of trials allows, ⌊log_η n⌋ at
    most, and the last is an η-th of the epochs. Raises InputError where there is no rung.
    """
    if eta < 2:
        raise InputError(f"--eta is {eta}; it must be 2 or more: one in so many trials goes on")
    if first is not None and not 1 <= first < epochs:
        raise InputError(
            f"--first-rung is {first}; it must be from 1 to {epochs - 1}, before the last epoch"
        )
    rungs = [first] if first else [epochs // eta ** _steps(min(epochs, trials), eta)]
    while rungs[-1] * eta < epochs and (first or len(rungs) < _steps(min(epochs, trials), eta)):
        rungs.append(rungs[-1] * eta)
    if rungs[0] >= epochs:
        raise InputError(
            f"{trials} trials of {epochs} epochs have no rung to drop any at by --eta {eta}; leave "
            "--halving out, or give more trials and --epochs"
        )
    return Halving(kind, eta, tuple(rungs))


def _steps(number: int, eta: int) -> int:
    """Return ⌊log_η number⌋."""
    steps = 0
    while eta ** (steps + 1) <= number:
        steps += 1
    return steps


def kept_together(scores: Scores, trials: int, eta: int, rung: int) -> set[int]:
    """Return who goes on from a rung, counted from 0, that all who are left have reached.

    These are ⌊trials · η^-(rung + 1)⌋, at least one; trials: of the sweep, failed ones included.
    """
    return set(ranked(scores)[: max(1, trials // eta ** (rung + 1))])


def kept_so_far(scores: Scores, eta: int) -> set[int]:
    """Return the best η⁻¹, at least one, of all that have come to a rung so far."""
    ranks = ranked(scores)
    return set(ranks[: max(1, len(ranks) // eta)])


def ranked(scores: Scores) -> list[int]:
    """Return the trials from the best to the worst, without those that failed.

    Of equal ones the first comes first.
    """
    return sorted((t for t in scores if not math.isnan(scores[t])), key=lambda t: (scores[t], t))
