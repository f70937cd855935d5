"""A long epoch in pieces: what has been done of it, for a run to go on from there.

Where the pieces end depends on net, rows and batch alone, never on the clock: a run that is gone
on with takes the same pieces as one that never stopped, and so gives the same numbers.
"""

from dataclasses import dataclass

import numpy as np

from xpmlp.training.problem import Problem
from xpmlp.training.seats import Seat
from xpmlp.training.step import TrainState

PIECE_SECONDS = 5.0  # about, by the figures below
CPU_SPEED, GPU_SPEED = 2e10, 2e12  # multiplications a second
STEP_SECONDS = 1e-4  # of a step, whatever its work
PASSES = 3  # a step's products, in units of those of its forward pass


@dataclass(frozen=True)
class Unfinished:
    """An epoch of which some steps are done: all that they changed.

    metrics: (s, M), of these s steps. rates: (s,), theirs. seconds: that they took.
    """

    seat: Seat
    metrics: np.ndarray
    rates: np.ndarray
    seconds: float

    @property
    def state(self) -> TrainState:
        """The state after these steps."""
        return self.seat.state

    @property
    def steps(self) -> int:
        """How many steps are done."""
        return len(self.metrics)


def piece_ends(problem: Problem, batch_size: int, steps: int, members: int = 1) -> range:
    """Return the numbers of steps, counted from 1, after which a piece ends, but the last's.

    All but the last have the same length, so that there is little to compile.
    """
    speed = CPU_SPEED if problem.backend.device == "cpu" else GPU_SPEED
    passes = PASSES * problem.multiplications(batch_size)
    work = members * (passes + problem.update_multiplications)
    seconds = steps * (STEP_SECONDS + work / speed)
    pieces = max(1, min(steps, round(seconds / PIECE_SECONDS)))
    length = -(-steps // pieces)
    return range(length, steps, length)
