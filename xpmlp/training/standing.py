"""Where a run stands: all that its next epoch changes, but the history."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from xpmlp.training.early_stopping import EarlyStopping
from xpmlp.training.pieces import Unfinished
from xpmlp.training.rates import RatePlan
from xpmlp.training.seats import Seat


class Standing(NamedTuple):
    """After so many whole epochs.

    generator_state: of the generator that orders the batches. plans: of the learning rate, each
    in force until the next. unfinished: what is done of the epoch after these.
    """

    epochs: int
    seat: Seat
    generator_state: Mapping[str, Any]
    stopping: EarlyStopping | None
    plans: tuple[RatePlan, ...]
    unfinished: Unfinished | None = None

    @property
    def place(self) -> tuple[int, int]:
        """How many epochs are done, and how many steps of the next one."""
        return self.epochs, self.unfinished.steps if self.unfinished else 0
