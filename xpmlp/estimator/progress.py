"""What a training by epochs has come to, on the host, for the next `fit` to go on from."""

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from xpmlp.errors import InputError
from xpmlp.leaves import leaves
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
    learning_rate_init: what it began with. frozen: how many layers have no moments. masks_seed: of
    dropout, None until there is some. samples: rows trained on, over all epochs. unimproved:
    epochs since the loss, or the validation score, got better by `tol`. best_params: those of the
    best validation score. scored: whether the last call ended with these. measure: what scored
    them, and on which rows. rows: what partial_fit was given.
    takes_back: whether an order may be taken back. before_order: while it trains, the
    epoch of this call that the last order was drawn for, with `random` and `order` before that.
    """

    state: TrainState
    optimizer: str
    random: Any
    learning_rate: float
    learning_rate_init: float
    frozen: int = 0
    split: Split | None = None
    masks_seed: int | None = None
    scored: bool = False
    measure: Any = None
    rows: Any = None
    order: np.ndarray | None = None
    samples: int = 0
    unimproved: int = 0
    best_loss: float = math.inf
    best_score: float = -math.inf
    best_params: Params | None = None
    takes_back: bool = False
    before_order: tuple[int, Any, np.ndarray | None] | None = None
    history: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in HISTORY})

    @property
    def shown(self) -> Params:
        """What the estimator predicts by: the best weights where they count, else the last."""
        return self.best_params if self.scored and self.best_params else self.state.params

    def begin_at(self, rate: float, optimizer: str, frozen: int) -> None:
        """Take a first learning rate, or an optimiser, that is another than the one so far.

        Moments are of one optimiser and of the layers that it trains; for others they begin anew.
        """
        if rate != self.learning_rate_init or optimizer != self.optimizer:
            self.learning_rate = self.learning_rate_init = rate
        if (optimizer, frozen) != (self.optimizer, self.frozen):
            self.optimizer, self.frozen = optimizer, frozen
            self.state = TrainState(self.state.params, (), np.asarray(0))

    def take_changed(self, params: Params, goes_by_score: bool) -> None:
        """Go on from the estimator's weights where somebody changed them.

        So too where the score has chosen them and no longer does.
        """
        same = all(map(np.array_equal, leaves(params), leaves(self.shown)))
        if not same or (self.scored and not goes_by_score):
            self.state = self.state._replace(params=params)

    def judge_by(self, measure: Any) -> None:
        """Forget the best where it was scored otherwise, or on other rows."""
        if measure != self.measure:
            self.measure, self.unimproved = measure, 0
            self.best_score, self.best_params = -math.inf, None

    def refuse_other_rows(self, rows: Any) -> None:
        """Raise InputError for other rows than the last call's, whose scores mean another thing."""
        if self.rows is not None and rows != self.rows:
            raise InputError(
                "early stopping compares scores of the same rows: give partial_fit X_val and "
                "y_val, or the same X and y in each call"
            )
        self.rows = rows

    def seed_of_masks(self) -> int:
        """Return the seed of dropout's masks, drawn when it is first asked for."""
        if self.masks_seed is None:
            self.masks_seed = int(self.random.randint(2**31 - 1))
        return self.masks_seed

    def next_order(self, rows: int, shuffled: bool, epoch: int) -> np.ndarray:
        """Return the order (N,) of an epoch; a shuffled one is that of the last epoch, shuffled.

        It draws what `sklearn.utils.shuffle` draws. epoch: its number in this call.
        """
        if self.takes_back:
            self.before_order = epoch, self.random.get_state(), self.order
        order = self.order
        if order is None or len(order) != rows or not shuffled:
            order = np.arange(rows)
        if shuffled:
            places = np.arange(rows)
            self.random.shuffle(places)
            order = order[places]
        self.order = order
        return order

    def take_back_order(self, epoch: int) -> None:
        """Be as if no order had been drawn for an epoch of this call, which did not end."""
        if self.before_order and self.before_order[0] == epoch:
            _, state, self.order = self.before_order
            self.random.set_state(state)

    def judge_loss(self, loss: float, tol: float) -> None:
        """Count an epoch whose loss is not below the best by `tol`."""
        self.unimproved = self.unimproved + 1 if loss > self.best_loss - tol else 0
        self.best_loss = min(loss, self.best_loss)

    def judge_score(self, score: float, tol: float, params: Params) -> None:
        """Count an epoch whose score is not above the best by `tol`; keep the best's params."""
        self.unimproved = self.unimproved + 1 if score < self.best_score + tol else 0
        if score > self.best_score:
            self.best_score, self.best_params = score, params
