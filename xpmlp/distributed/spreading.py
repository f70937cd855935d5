"""Many nets over many ranks: each trains its own, and rank 0 gets what came of them.

Every rank holds a trainer for each net and trains every size-th one, as if nobody else were there.
Now and then, and at the end, rank 0 takes over where the others' nets stand, so that it can save
and finish all of them.
"""

import pickle
import time
from collections.abc import Generator
from contextlib import closing
from typing import Any

import numpy as np

from xpmlp.distributed.ranks import Ranks, table_of
from xpmlp.training.history import EpochRecord
from xpmlp.training.members import Members

SECONDS_BETWEEN = 10.0  # until rank 0 asks again where the others' nets stand


class SpreadMembers(Members):
    """Trainers of which a rank trains its own; on rank 0 the others' follow."""

    def __init__(self, members: Members, ranks: Ranks) -> None:
        super().__init__(members.trainers)
        self.ranks = ranks
        self.mine = range(ranks.rank, len(self.trainers), ranks.size)

    def epochs(self) -> Generator[list[EpochRecord], None, None]:
        """Train this rank's nets, as `Members.epochs`; all ranks yield as often."""
        own = Members([self.trainers[i] for i in self.mine])
        taken = time.monotonic()
        with closing(own.epochs()) as epochs:
            while True:
                records = next(epochs, None)
                due = float(self.ranks.rank == 0 and time.monotonic() - taken > SECONDS_BETWEEN)
                table = table_of(self.ranks, np.array([float(records is None), due]))
                ended = bool(table[:, 0].all())
                if ended or table[:, 1].any():
                    self._take_over(own)
                    taken = time.monotonic()
                if ended:
                    return
                try:
                    yield records or []
                except GeneratorExit:
                    self._take_over(own)
                    raise

    @property
    def finished(self) -> bool:
        """Whether no net has epochs left to do, as far as this rank knows them."""
        known = self.mine if self.ranks.rank else range(len(self.trainers))
        return not any(self.is_waiting(i) for i in known)

    def _take_over(self, own: Members) -> None:
        """Let rank 0 have where the others' nets stand, and which have failed."""
        self.failures |= {self.mine[k]: error for k, error in own.failures.items()}
        mine = {} if self.ranks.rank == 0 else {i: self.trainers[i].checkpoint() for i in self.mine}
        sent = gathered(self.ranks, (mine, self.failures if self.ranks.rank else {}))
        if self.ranks.rank:
            return
        for checkpoints, failures in sent:
            for i, checkpoint in checkpoints.items():
                self.trainers[i].resume(checkpoint)
            self.failures |= failures


def gathered(ranks: Ranks, value: Any) -> list[Any]:
    """Return what every rank hands in, on each."""
    text = np.frombuffer(pickle.dumps(value), np.uint8)
    lengths = table_of(ranks, np.array([len(text)]))[:, 0]
    ends = np.cumsum(lengths)
    together = np.zeros(ends[-1], np.uint8)
    together[ends[ranks.rank] - len(text) : ends[ranks.rank]] = text
    ranks.all_sum(together)
    return [pickle.loads(piece.tobytes()) for piece in np.split(together, ends[:-1])]
