"""What every way to train many nets is."""

from abc import abstractmethod

import numpy as np

from bench.contenders.base import Contender
from bench.members.packs import Pack, PackProblem


class PackContender(Contender):
    """One row: K nets from the given weights, each in its own order of rows.

    Momentum is as in `Contender`; AdamW decays W and not b.
    """

    case: Pack

    def __init__(self, case: Pack, problem: PackProblem, device: str) -> None:
        super().__init__(case, problem, device)

    def epoch(self, order: np.ndarray) -> None:
        """Train the epochs of a round, all of them in this order (K, N)."""
        for _ in range(self.case.epochs):
            self.turn(order)

    @abstractmethod
    def turn(self, order: np.ndarray) -> None:
        """Train an epoch of each net."""
