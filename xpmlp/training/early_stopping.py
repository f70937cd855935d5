"""Stop when the validation loss no longer falls, and keep the best weights."""

import math
from dataclasses import dataclass

from xpmlp.types import Params


@dataclass
class EarlyStopping:
    """The best epoch so far, and when to give up waiting for a better one.

    started: the epoch after which it began to watch, 0 unless a run was resumed with it.
    """

    patience: int
    started: int = 0
    best_loss: float = math.inf
    best_epoch: int = 0
    best_params: Params | None = None

    def update(self, epoch: int, loss: float, params: Params) -> None:
        """Take the validation loss of an epoch, counted from 1."""
        if loss < self.best_loss:
            self.best_loss, self.best_epoch, self.best_params = loss, epoch, params

    def should_stop(self, epoch: int) -> bool:
        """Tell whether the last `patience` epochs up to this one brought no better loss."""
        return epoch - max(self.best_epoch, self.started) >= self.patience
