"""The learning rate of every step: as planned at first, and as planned anew on the way."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from xpmlp.optim.schedules import EPOCHWISE, SCHEDULES, Place
from xpmlp.training.config import RATE_OPTIONS, Config


class RatePlan(NamedTuple):
    """A base rate and its schedule.

    since: the epochs that were done when it came into force. begins: those that were done where
    its schedule begins; it ends with the last epoch of the config.
    """

    learning_rate: float
    lr_schedule: str
    lr_decay: float
    since: int = 0
    begins: int = 0

    @classmethod
    def of(cls, config: Config, done: int = 0) -> "RatePlan":
        """Return the plan of a config for what follows so many epochs."""
        return cls(config.learning_rate, config.lr_schedule, config.lr_decay, done, done)

    def rates(self, epoch: int, epochs: int, steps: int) -> np.ndarray:
        """Return the rates (S,) of the steps of an epoch, counted from 0, of so many."""
        schedule, done, total = (
            SCHEDULES[self.lr_schedule],
            epoch - self.begins,
            epochs - self.begins,
        )

        def factor(step: int) -> float:
            return schedule(Place(done * steps + step, total * steps, done, total, self.lr_decay))

        if self.lr_schedule in EPOCHWISE:
            return np.full(steps, self.learning_rate * factor(0))
        return self.learning_rate * np.array([factor(step) for step in range(steps)])


def after_epoch(
    epoch: int, planned: tuple[RatePlan, ...], plans: tuple[RatePlan, ...]
) -> tuple[RatePlan, ...]:
    """Return the plans of which one that was set within an epoch comes into force after it.

    epoch: counted from 0. planned: those that it began with.
    """
    return plans if plans == planned else (*planned, plans[-1]._replace(since=epoch + 1))


def same_rates(one: Config, other: Config) -> bool:
    """Tell whether two configs plan the same rates."""
    return all(getattr(one, name) == getattr(other, name) for name in RATE_OPTIONS)


def plans_text(plans: Sequence[RatePlan]) -> str:
    """Return a line for each plan, or "" for a single one, which is that of the config."""
    lines = []
    for plan in plans:
        counted = f", counted from epoch {plan.begins + 1}" if plan.begins else ""
        lines.append(
            f"learning rate from epoch {plan.since + 1} on: {plan.learning_rate:g}, "
            f"{plan.lr_schedule}{counted}"
        )
    return "\n".join(lines) if len(lines) > 1 else ""
