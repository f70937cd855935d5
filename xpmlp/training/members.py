"""Several nets trained at once: seeds, learning rates, penalties side by side.

Each net has a trainer of its own, with its own history, order of rows, early stopping and
checkpoint, as if it were alone. Those that share a problem and stand at the same epoch run it
as the members of one ensemble, over a leading axis, wherever that is faster than one by one;
the answers differ by rounding alone.
"""

import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from xpmlp.backends.base import EpochPlan
from xpmlp.errors import RunError
from xpmlp.leaves import map_tree
from xpmlp.training.evaluation import Score
from xpmlp.training.history import EpochRecord
from xpmlp.training.step import TrainState
from xpmlp.types import Hyper, Namespace

if TYPE_CHECKING:
    from xpmlp.training.trainer import Trainer


class EpochResult(NamedTuple):
    """What one member's epoch gave: its state, metrics (S, M), scores, and its share of time."""

    state: TrainState
    metrics: np.ndarray
    train: Score | None
    validation: Score | None
    seconds: float


class Members:
    """Trainers that go through their epochs side by side.

    failures: why a member's training failed, by its place; the others go on without it.
    """

    def __init__(self, trainers: Sequence["Trainer"]) -> None:
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


def train_epoch(trainers: Sequence["Trainer"]) -> list[EpochRecord | RunError]:
    """Train one epoch of trainers that share problem, batch size and epoch.

    Returns the record of each, or why it diverged.
    """
    problem, backend = trainers[0].problem, trainers[0].backend
    with backend.running():
        started = time.perf_counter()
        plans = [trainer.plan() for trainer in trainers]
        state, plan, hyper = _joined(backend.xp, trainers, plans)
        state, metrics = backend.run_epoch(problem.step, state, problem.train, plan, hyper)
        backend.synchronize(state)
        seconds = (time.perf_counter() - started) / len(trainers)
        train = problem.train if trainers[0].score_train else problem.nothing
        scores = problem.evaluator.scores(state.params, (train, problem.validation))
        states = _parted(backend.xp, state, len(trainers))
    metrics = metrics.reshape(*metrics.shape[:2], len(trainers))
    outcomes: list[EpochRecord | RunError] = []
    for k, trainer in enumerate(trainers):
        on_train, on_validation = scores[k]
        result = EpochResult(states[k], metrics[..., k], on_train, on_validation, seconds)
        try:
            outcomes.append(trainer.accept(plans[k], result))
        except RunError as error:
            outcomes.append(error)
    return outcomes


def _joined(
    xp: Namespace, trainers: Sequence["Trainer"], plans: Sequence[EpochPlan]
) -> tuple[TrainState, EpochPlan, Hyper]:
    """Return states, plans and numbers of K members over a leading axis; of one, as they are."""
    states = [trainer.state for trainer in trainers]
    hypers = [trainer.hyper for trainer in trainers]
    if len(trainers) == 1:
        return states[0], plans[0], hypers[0]
    params = _stacked(xp, [state.params for state in states])
    moments = _stacked(xp, [state.moments for state in states])
    orders = [plan.order for plan in plans if plan.order is not None]
    plan = EpochPlan(
        np.stack(orders) if orders else None,
        plans[0].batch_size,
        np.stack([plan.learning_rates for plan in plans], axis=1),
    )
    return TrainState(params, moments, states[0].step), plan, _stacked(xp, hypers)


def _stacked(xp: Namespace, trees: Sequence[Any]) -> Any:
    """Return one tree of arrays (K, ...) from K trees of arrays (...)."""
    return map_tree(lambda *leaves: xp.stack(list(leaves)), *trees)


def _parted(xp: Namespace, state: TrainState, members: int) -> list[TrainState]:
    """Return each member's own state, in memory of its own."""
    if members == 1:
        return [state]

    def own(tree: Any, k: int) -> Any:
        return map_tree(lambda leaf: xp.asarray(leaf[k, ...], copy=True), tree)

    return [
        TrainState(own(state.params, k), own(state.moments, k), state.step) for k in range(members)
    ]
