"""Stop when the validation loss no longer falls, and keep the best weights."""

import math
from dataclasses import dataclass, replace

from xpmlp.types import Params


@dataclass(frozen=True)
class EarlyStopping:
    """The best epoch so far, and when to give up waiting for a better one.

    started: the epoch after which it began to watch, 0 unless a run was resumed with it.
    """

    patience: int
    started: int = 0
    best_loss: float = math.inf
    best_epoch: int = 0
    best_params: Params | None = None

    def after(self, epoch: int, loss: float, params: Params) -> "EarlyStopping":
        """Return it with the validation loss of an epoch, counted from 1, taken in."""
        if not loss < self.best_loss:
            return self
        return replace(self, best_loss=loss, best_epoch=epoch, best_params=params)

    def should_stop(self, epoch: int) -> bool:
        """Tell whether the last `patience` epochs up to this one brought no better loss."""
        return epoch - max(self.best_epoch, self.started) >= self.patience
