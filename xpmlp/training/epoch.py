"""One epoch of one net, or of several at once as the members of an ensemble.

Members share a problem, or the steps of several, and stand at the same epoch; their states are
joined over a leading axis, and trained by the same compiled step.
"""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np

from xpmlp.backends.base import Backend, EpochPlan
from xpmlp.errors import InputError, RunError
from xpmlp.training.evaluation import Score
from xpmlp.training.history import EpochRecord
from xpmlp.training.pieces import Unfinished, piece_ends
from xpmlp.training.pool import order_of
from xpmlp.training.problem import Problem
from xpmlp.training.seats import Seat, joined, seats, stacked
from xpmlp.training.step import TrainState, metric_names
from xpmlp.training.streaming import Stream, runs_of
from xpmlp.types import Batch, Hyper, Namespace, Params


class EpochResult(NamedTuple):
    """What one member's epoch gave: its state, metrics (S, M), scores, and its share of time."""

    seat: Seat
    metrics: np.ndarray
    train: Score | None
    validation: Score | None
    seconds: float


class Member(Protocol):
    """What takes part in an epoch: a net's state, and who says what comes next and takes it.

    score_train: whether to look at all training rows after the epoch. columns: which metrics of
    the problem's steps are its own; None: all.
    """

    problem: Problem
    backend: Backend
    hyper: Hyper
    score_train: bool
    columns: list[int] | None

    @property
    def seat(self) -> Seat:
        """Return where its state lies."""

    @property
    def unfinished(self) -> Unfinished | None:
        """Return what was done of the next epoch, None at its begin."""

    def plan(self) -> EpochPlan:
        """Return the order of rows and the learning rates of the next epoch."""

    def hold(self, unfinished: Unfinished) -> None:
        """Take what is done of the epoch that `plan` began."""

    def accept(self, plan: EpochPlan, result: EpochResult) -> EpochRecord:
        """Take the result of the epoch that `plan` began. Raises RunError where it diverged."""


class Listener(Protocol):
    """Who looks at a member on its way through an epoch."""

    def pauses(self) -> set[int]:
        """Return the steps of the next epoch, from 1, after which it looks."""

    def pause(
        self, step: int, rate: float, metrics: np.ndarray, params: Callable[[], Params]
    ) -> None:
        """Look after a step: its rate, its metrics (M,), and the parameters on the device."""


class Clock:
    """Seconds that training takes, without those in which others look at it."""

    def __init__(self) -> None:
        self.started, self.paused = time.perf_counter(), 0.0

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Leave out what happens inside."""
        begun = time.perf_counter()
        yield
        self.paused += time.perf_counter() - begun

    def seconds(self) -> float:
        """Return what has passed."""
        return time.perf_counter() - self.started - self.paused


def train_epoch(
    members: Sequence[Member], listeners: Sequence[Listener] = ()
) -> list[EpochRecord | RunError]:
    """Return what `epoch_in_pieces` does, of an epoch that nobody looks into."""
    pieces = epoch_in_pieces(members, listeners)
    while True:
        try:
            next(pieces)
        except StopIteration as end:
            outcomes: list[EpochRecord | RunError] = end.value
            return outcomes


def epoch_in_pieces(
    members: Sequence[Member], listeners: Sequence[Listener] = ()
) -> Generator[list[EpochRecord], None, list[EpochRecord | RunError]]:
    """Train one epoch, or what is left of it, of members that share steps, place, batch size.

    listeners: one per member, or none. Of a long epoch it yields, without a record, after each
    piece but the last; each member then has what is done, and may go on from there.
    Returns the record of each, or why it diverged.
    """
    problem, backend, clock = members[0].problem, members[0].backend, Clock()
    before = [member.unfinished.seconds if member.unfinished else 0.0 for member in members]
    with problem.running():
        plans = [_narrow(member.plan()) for member in members]
        state, plan, hyper = _joined(backend.xp, members, plans)
        plans = [one._replace(order=None) for one in plans]
        rows = _rows_of(members)
    state, metrics = yield from _run(members, listeners, state, rows, plan, hyper, clock)
    seconds = clock.seconds() / len(members)
    places = seats(state, [_seat(member) for member in members])
    with problem.running():
        scores = _scores(members, places)
    outcomes: list[EpochRecord | RunError] = []
    for k, member in enumerate(members):
        on_train, on_validation = scores[k]
        took = before[k] + seconds
        own = own_columns(metrics[..., k], members[k].columns)
        result = EpochResult(places[k], own, on_train, on_validation, took)
        try:
            outcomes.append(member.accept(plans[k], result))
        except RunError as error:
            outcomes.append(error)
    return outcomes


def _run(
    members: Sequence[Member],
    listeners: Sequence[Listener],
    state: TrainState,
    rows: Batch | Stream,
    plan: EpochPlan,
    hyper: Hyper,
    clock: Clock,
) -> Generator[list[EpochRecord], None, tuple[TrainState, np.ndarray]]:
    """Run an epoch, or what is left of it, and return the state and the metrics, (S, M, K).

    It is cut where somebody looks and where a piece ends; one net's also where its loss is not
    finite any more.
    """
    problem, backend, steps = members[0].problem, members[0].backend, len(plan.learning_rates)
    done = [member.unfinished for member in members]
    metrics = [_metrics_of(members)] if done[0] else []
    begin = done[0].steps if done[0] else 0
    ends = set(piece_ends(problem, plan.batch_size, steps, len(members)))
    pauses = set[int]().union(*(listener.pauses() for listener in listeners))
    rates = plan.learning_rates.reshape(steps, -1)
    cuts = [begin, *sorted(step for step in pauses | ends | {steps} if step > begin)]
    with runs_of(rows, plan, cuts, _piece) as runs:
        for end, of_piece in zip(cuts[1:], runs, strict=True):
            with problem.running():
                for some, piece in of_piece:
                    state, made = backend.run_epoch(problem.step, state, some, piece, hyper)
                    metrics.append(made.reshape(*made.shape[:2], len(members)))
                backend.synchronize(state)
            with clock.stopped():
                for k, listener in enumerate(listeners if end in pauses else ()):
                    params = partial(_params_of, members, state, k)
                    last = own_columns(metrics[-1][-1, :, k], members[k].columns)
                    listener.pause(end, float(rates[end - 1, k]), last, params)
                if len(members) == 1 and not np.isfinite(metrics[-1][:, 0]).all():
                    break
                if end in ends:
                    metrics = [np.concatenate(metrics)]
                    _hold(members, done, state, metrics[0], rates[:end], clock)
                    yield []
    return state, np.concatenate(metrics)


def _hold(
    members: Sequence[Member],
    before: Sequence[Unfinished | None],
    state: TrainState,
    metrics: np.ndarray,
    rates: np.ndarray,
    clock: Clock,
) -> None:
    """Let each member have what is done of its epoch; before: what it had when this one began."""
    seconds = clock.seconds() / len(members)
    places = seats(state, [_seat(member) for member in members])
    for k, (member, part) in enumerate(zip(members, before, strict=True)):
        took = seconds + (part.seconds if part else 0.0)
        own = own_columns(metrics[..., k], member.columns)
        member.hold(Unfinished(places[k], own, rates[:, k], took))


def _piece(plan: EpochPlan, begin: int, end: int) -> EpochPlan:
    """Return the plan of some of an epoch's steps."""
    rows = slice(begin * plan.batch_size, end * plan.batch_size)
    order = None if plan.order is None else plan.order[..., rows].astype(np.int64)
    return EpochPlan(order, plan.batch_size, plan.learning_rates[begin:end])


def checked_order(order: np.ndarray, rows: int) -> np.ndarray:
    """Return the row order (N,) of an epoch. Raises InputError for what is none of N rows."""
    if order.ndim != 1 or order.dtype.kind not in "iu" or (order < 0).any():
        raise InputError(f"an order must be row numbers, got {order.dtype} {order.shape}")
    if len(order) != rows or order.max() >= rows:
        raise InputError(f"an order must have each of {rows} rows, numbered from 0")
    return order


def _narrow(plan: EpochPlan) -> EpochPlan:
    """Return a plan whose rows are numbered in few bytes, as many nets keep one each."""
    if plan.order is None:
        return plan
    return plan._replace(order=plan.order.astype(np.min_scalar_type(len(plan.order))))


def _joined(
    xp: Namespace, members: Sequence[Member], plans: Sequence[EpochPlan]
) -> tuple[TrainState, EpochPlan, Hyper]:
    """Return states, plans and numbers of K members over a leading axis; of one, as they are."""
    state = joined(xp, [_seat(member) for member in members])
    if len(members) == 1:
        return state, plans[0], members[0].hyper
    plan = EpochPlan(
        _orders(members, [plan.order for plan in plans]),
        plans[0].batch_size,
        np.stack([plan.learning_rates for plan in plans], axis=1),
    )
    return state, plan, stacked(xp, [member.hyper for member in members])


def _orders(members: Sequence[Member], orders: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """Return the row orders (K, N) of K members; None where all take all rows in place."""
    if _are_of_one(members):
        known = [order for order in orders if order is not None]
        return np.stack(known) if known else None
    counts = [int(member.problem.train.x.shape[0]) for member in members]
    shares = [member.problem.share for member in members]
    given = zip(shares, orders, counts, strict=True)
    return np.stack([order_of(s, order, n, max(counts)) for s, order, n in given if s])


def _rows_of(members: Sequence[Member]) -> Batch | Stream:
    """Return the rows that members train on: of one problem its own, else those of all."""
    problem = members[0].problem
    return problem.train if _are_of_one(members) or not problem.share else problem.share.rows


def _are_of_one(members: Sequence[Member]) -> bool:
    return all(member.problem is members[0].problem for member in members)


def _scores(members: Sequence[Member], places: Sequence[Seat]) -> list[list[Score | None]]:
    """Return the scores of each member over its training rows, where wished, and to validate."""
    found: dict[int, list[Score | None]] = {}
    for k, member in enumerate(members):
        if k in found:
            continue
        problem = member.problem
        train = problem.train if member.score_train else problem.nothing
        if not train.x.shape[0] and not problem.validation.x.shape[0]:
            found[k] = [None, None]
            continue
        of_it = [i for i, other in enumerate(members) if other.problem is problem]
        params = joined(member.backend.xp, [places[i] for i in of_it]).params
        scores = problem.evaluator.scores(params, (train, problem.validation))
        found.update(zip(of_it, scores, strict=True))
    return [found[k] for k in range(len(members))]


def own_columns(metrics: np.ndarray, columns: list[int] | None) -> np.ndarray:
    """Return the metrics (..., M) of a net; columns: which these are, None for all."""
    return metrics if columns is None else metrics[..., columns]


def _metrics_of(members: Sequence[Member]) -> np.ndarray:
    """Return the metrics (S, M, K) of what is done of an epoch; 0 where one has no such metric."""
    problem = members[0].problem
    names = metric_names(problem.objective, len(problem.sizes) - 1)
    done = [member.unfinished.metrics for member in members if member.unfinished]
    metrics = np.zeros((len(done[0]), len(names), len(members)), done[0].dtype)
    for k, (member, own) in enumerate(zip(members, done, strict=True)):
        metrics[:, slice(None) if member.columns is None else member.columns, k] = own
    return metrics


def _seat(member: Member) -> Seat:
    """Return where the state lies that a member goes on from."""
    return member.unfinished.seat if member.unfinished else member.seat


def _params_of(members: Sequence[Member], state: TrainState, k: int) -> Params:
    """Return what member k has of the parameters (K, ...), in memory of its own."""
    return seats(state, [_seat(member) for member in members])[k].params
