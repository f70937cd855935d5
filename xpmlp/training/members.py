"""Several nets trained at once: seeds, learning rates, penalties side by side.

Each net has a trainer of its own, with its own history, order of rows, early stopping and
checkpoint, as if it were alone. Those that share steps and stand at the same epoch run it
as the members of one ensemble, over a leading axis, wherever that is faster than one by one;
the answers differ by rounding alone.
"""

from collections.abc import Generator, Sequence
from contextlib import ExitStack
from itertools import groupby

from xpmlp.errors import RunError
from xpmlp.training.callbacks import Callback, Listeners
from xpmlp.training.epoch import epoch_in_pieces
from xpmlp.training.history import EpochRecord
from xpmlp.training.pieces import piece_ends
from xpmlp.training.streaming import streams
from xpmlp.training.trainer import Trainer


class Members:
    """Trainers that go through their epochs side by side.

    failures: why a member's training failed, by its place; the others go on without it.
    callbacks: each is called for each member, with that one's trainer; a member of which one asks
    to stop has ended.
    """

    def __init__(self, trainers: Sequence[Trainer], callbacks: tuple[Callback, ...] = ()) -> None:
        self.trainers = list(trainers)
        self.listeners = [Listeners(callbacks, trainer) for trainer in trainers]
        self.failures: dict[int, RunError] = {}

    def epochs(self) -> Generator[list[EpochRecord], None, None]:
        """Train all that have epochs to do, those that lag behind first, until none has.

        Yields the records of the members that ended an epoch; and none after each piece of a long
        epoch, and between those that train one by one: there every trainer can be saved as it
        stands. Close it where you leave it early (`contextlib.closing`), so that callbacks hear of
        the end.
        """
        with ExitStack() as told:
            for listeners in self.listeners:
                told.enter_context(listeners)
            while waiting := self._waiting():
                places = {i: self.trainers[i].place for i in waiting}
                behind = [i for i in waiting if places[i] == min(places.values())]
                records: list[EpochRecord] = []
                for i, group in enumerate(self._groups(behind)):
                    if i:
                        yield []
                    records += yield from self._epoch(group)
                yield records

    def _epoch(self, group: list[int]) -> Generator[list[EpochRecord], None, list[EpochRecord]]:
        """Train an epoch of some members, and return the records of those that did not fail."""
        listeners = [self.listeners[i] for i in group]
        outcomes = yield from epoch_in_pieces([self.trainers[i] for i in group], listeners)
        records = []
        for i, outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, RunError):
                self.failures[i] = outcome
            else:
                records.append(outcome)
                self.listeners[i].after_epoch(outcome)
        if any(map(self.is_waiting, group)):
            for i in group:
                if not self.is_waiting(i):
                    self.trainers[i].seat.leave()
        return records

    @property
    def stopping_place(self) -> str:
        """Where a training that is to stop does so, in words: after the piece in progress."""
        for group in self._groups(list(range(len(self.trainers)))):
            one = self.trainers[group[0]]
            if piece_ends(one.problem, one.batch_size, one.steps_per_epoch, len(group)):
                return "within this epoch, which is a long one"
        return "after this epoch"

    @property
    def finished(self) -> bool:
        """Whether no member has epochs left to do."""
        return not self._waiting()

    def is_waiting(self, i: int) -> bool:
        """Tell whether a member has epochs left to do."""
        ended = i in self.failures or self.listeners[i].stopped
        return not (ended or self.trainers[i].finished)

    def _waiting(self) -> list[int]:
        return [i for i in range(len(self.trainers)) if self.is_waiting(i)]

    def _groups(self, members: list[int]) -> list[list[int]]:
        """Return the members that run at once, in groups; a group of one runs alone."""

        def kind(i: int) -> tuple[int, int, int]:
            trainer = self.trainers[i]
            share = trainer.problem.share
            rows = id(share.rows) if share else id(trainer.problem)
            return rows, trainer.batch_size, trainer.steps_per_epoch

        groups: list[list[int]] = []
        for _, same in groupby(sorted(members, key=kind), kind):
            group = list(same)
            first = self.trainers[group[0]]
            together = first.prefers_company and not streams(first.data.train)
            groups += [group] if together else [[i] for i in group]
        return groups
