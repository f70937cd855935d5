"""Several nets trained at once: seeds, learning rates, penalties side by side.

Each net has a trainer of its own, with its own history, order of rows, early stopping and
checkpoint, as if it were alone. Those that share a problem and stand at the same epoch run it
as the members of one ensemble, over a leading axis, wherever that is faster than one by one;
the answers differ by rounding alone.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

from xpmlp.errors import RunError
from xpmlp.training.epoch import train_epoch
from xpmlp.training.history import EpochRecord
from xpmlp.training.trainer import Trainer


class Members:
    """Trainers that go through their epochs side by side.

    failures: why a member's training failed, by its place; the others go on without it.
    """

    def __init__(self, trainers: Sequence[Trainer]) -> None:
        self.trainers = list(trainers)
        self.failures: dict[int, RunError] = {}

    def epochs(self) -> Iterator[list[EpochRecord]]:
        """Train all that have epochs to do, those that lag behind first, until none has.

        Yields the records of the members that ended an epoch.
        """
        while waiting := self._waiting():
            done = {i: len(self.trainers[i].history.epochs) for i in waiting}
            behind = [i for i in waiting if done[i] == min(done.values())]
            records = []
            for group in self._groups(behind):
                outcomes = train_epoch([self.trainers[i] for i in group])
                for i, outcome in zip(group, outcomes, strict=True):
                    if isinstance(outcome, RunError):
                        self.failures[i] = outcome
                    else:
                        records.append(outcome)
            yield records

    @property
    def finished(self) -> bool:
        """Whether no member has epochs left to do."""
        return not self._waiting()

    def _waiting(self) -> list[int]:
        return [
            i
            for i, trainer in enumerate(self.trainers)
            if i not in self.failures and not trainer.finished
        ]

    def _groups(self, members: list[int]) -> list[list[int]]:
        """Return the members that run at once, in groups; a group of one runs alone."""

        def kind(i: int) -> tuple[int, int]:
            return id(self.trainers[i].problem), self.trainers[i].batch_size

        groups: list[list[int]] = []
        for _, same in groupby(sorted(members, key=kind), kind):
            group = list(same)
            together = self.trainers[group[0]].prefers_company
            groups += [group] if together else [[i] for i in group]
        return groups
