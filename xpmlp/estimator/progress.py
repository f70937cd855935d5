"""What a training by epochs has come to, on the host, for the next `fit` to go on from."""

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from xpmlp.training.step import TrainState
from xpmlp.types import Params

HISTORY = ("loss", "train_loss", "train_score", "validation_loss", "validation_score")


class Split(NamedTuple):
    """The numbers of the rows that train and of those that validate."""

    train: np.ndarray
    validation: np.ndarray

    def fits(self, n: int) -> bool:
        """Tell whether it is a split of N rows."""
        return len(self.train) + len(self.validation) == n


@dataclass
class Progress:
    """All that an exact continuation needs, as NumPy arrays and numbers.

    state: after the last epoch. optimizer: whose moments it has. random: draws the orders.
    order: that of the last epoch, which the next one shuffles. learning_rate: the next epoch's,
    learning_rate_init: what it began with. masks_seed: of dropout, None until there is some.
    samples: rows trained on, over all epochs. unimproved: epochs since the loss, or the
    validation score, got better by `tol`. best_params: those of the best validation score.
    """

    state: TrainState
    optimizer: str
    random: Any
    learning_rate: float
    learning_rate_init: float
    split: Split | None = None
    masks_seed: int | None = None
    order: np.ndarray | None = None
    samples: int = 0
    unimproved: int = 0
    best_loss: float = math.inf
    best_score: float = -math.inf
    best_params: Params | None = None
    history: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in HISTORY})

    def begin_at(self, rate: float) -> None:
        """Take a first learning rate that is another than the one it began with."""
        if rate != self.learning_rate_init:
            self.learning_rate = self.learning_rate_init = rate

    def seed_of_masks(self) -> int:
        """Return the seed of dropout's masks, drawn when it is first asked for."""
        if self.masks_seed is None:
            self.masks_seed = int(self.random.randint(2**31 - 1))
        return self.masks_seed

    def next_order(self, rows: int, shuffled: bool) -> np.ndarray:
        """Return the order (N,) of an epoch; a shuffled one is that of the last epoch, shuffled.

        It draws what `sklearn.utils.shuffle` draws.
        """
        order = self.order
        if order is None or len(order) != rows or not shuffled:
            order = np.arange(rows)
        if shuffled:
            places = np.arange(rows)
            self.random.shuffle(places)
            order = order[places]
        self.order = order
        return order

    def judge_loss(self, loss: float, tol: float) -> None:
        """Count an epoch whose loss is not below the best by `tol`."""
        self.unimproved = self.unimproved + 1 if loss > self.best_loss - tol else 0
        self.best_loss = min(loss, self.best_loss)

    def judge_score(self, score: float, tol: float, params: Params) -> None:
        """Count an epoch whose score is not above the best by `tol`; keep the best's params."""
        self.unimproved = self.unimproved + 1 if score < self.best_score + tol else 0
        if score > self.best_score:
            self.best_score, self.best_params = score, params
