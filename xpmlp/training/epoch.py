"""One epoch of one net, or of several at once as the members of an ensemble.

Members share a problem and stand at the same epoch; their states are joined over a leading
axis, trained by the same compiled step, and parted again.
"""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from xpmlp.backends.base import Backend, EpochPlan
from xpmlp.errors import RunError
from xpmlp.leaves import map_tree
from xpmlp.training.evaluation import Score
from xpmlp.training.history import EpochRecord
from xpmlp.training.problem import Problem
from xpmlp.training.step import TrainState
from xpmlp.types import Hyper, Namespace


class EpochResult(NamedTuple):
    """What one member's epoch gave: its state, metrics (S, M), scores, and its share of time."""

    state: TrainState
    metrics: np.ndarray
    train: Score | None
    validation: Score | None
    seconds: float


class Member(Protocol):
    """What takes part in an epoch: a net's state, and who says what comes next and takes it.

    score_train: whether to look at all training rows after the epoch.
    """

    problem: Problem
    backend: Backend
    state: TrainState
    hyper: Hyper
    score_train: bool

    def plan(self) -> EpochPlan:
        """Return the order of rows and the learning rates of the next epoch."""

    def accept(self, plan: EpochPlan, result: EpochResult) -> EpochRecord:
        """Take the result of the epoch that `plan` began. Raises RunError where it diverged."""


def train_epoch(members: Sequence[Member]) -> list[EpochRecord | RunError]:
    """Train one epoch of members that share problem, batch size and epoch.

    Returns the record of each, or why it diverged.
    """
    problem, backend = members[0].problem, members[0].backend
    with backend.running():
        started = time.perf_counter()
        plans = [member.plan() for member in members]
        state, plan, hyper = _joined(backend.xp, members, plans)
        state, metrics = backend.run_epoch(problem.step, state, problem.train, plan, hyper)
        backend.synchronize(state)
        seconds = (time.perf_counter() - started) / len(members)
        train = problem.train if members[0].score_train else problem.nothing
        scores = problem.evaluator.scores(state.params, (train, problem.validation))
        states = _parted(backend.xp, state, len(members))
    metrics = metrics.reshape(*metrics.shape[:2], len(members))
    outcomes: list[EpochRecord | RunError] = []
    for k, member in enumerate(members):
        on_train, on_validation = scores[k]
        result = EpochResult(states[k], metrics[..., k], on_train, on_validation, seconds)
        try:
            outcomes.append(member.accept(plans[k], result))
        except RunError as error:
            outcomes.append(error)
    return outcomes


def _joined(
    xp: Namespace, members: Sequence[Member], plans: Sequence[EpochPlan]
) -> tuple[TrainState, EpochPlan, Hyper]:
    """Return states, plans and numbers of K members over a leading axis; of one, as they are."""
    states = [member.state for member in members]
    hypers = [member.hyper for member in members]
    if len(members) == 1:
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
