"""A learning-rate range test: rates that rise from step to step, and what the losses say.

L. N. Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017, section 3.3; the
rates rise geometrically, as in later practice, and the losses are those of the steps' batches.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from xpmlp.backends.base import EpochPlan
from xpmlp.errors import DivergenceError, InputError
from xpmlp.training.streaming import streams
from xpmlp.training.trainer import Trainer

LEAST_STEPS = 200
SLOPE_SHARE, LEVEL_SHARE = 6, 12
CAP = 2.0
BOTTOM, LEAST_FALL, SURE = 0.1, 0.01, 7.0
BELOW_LOWEST = 3.0


@dataclass(frozen=True)
class Rise:
    """What was measured: rates (S,) and the losses (S,) of the batches before each step.

    per_epoch: steps of a pass over the rows. steps: that were planned; there are fewer where a
        loss was not finite.
    """

    rates: np.ndarray
    losses: np.ndarray
    per_epoch: int
    steps: int

    @property
    def passes(self) -> int:
        """How often the rows were gone through, the last time perhaps in part."""
        return -(-len(self.losses) // self.per_epoch)


@dataclass(frozen=True)
class Reading:
    """What a curve of losses against rates says.

    smoothed: means of so many steps as `window` says, (S,), of losses that are cut at a few
        times the first. steepest: the rates between which the loss falls at least half as fast
        as where it falls fastest. lowest: the rate at which it is lowest. grows_from: the rate
        from which on it has left its lowest tenth, and noise, for good; None where it does not.
    suggestion: halfway, in powers of ten, from the fastest fall to the lowest loss, at most a
        third of the latter; NaN where the loss does not fall, and steepest is None.
    at_start: whether it falls fastest at the lowest rates there are.
    """

    smoothed: np.ndarray
    window: int
    steepest: tuple[float, float] | None
    lowest: float
    grows_from: float | None
    suggestion: float
    at_start: bool


def rise(trainer: Trainer, lowest: float, highest: float) -> Rise:
    """Take steps at rising rates from where a trainer stands, and leave the trainer as it is.

    One pass over the rows, or as many as make 200 steps; the pass with a loss that is not finite
    is the last. Raises InputError for rates that don't rise and for rows that stay on disk,
    RunError where the first loss is not finite.
    """
    if not 0 < lowest < highest < np.inf:
        raise InputError(f"the rates must rise from above 0, got {lowest:g} to {highest:g}")
    if streams(trainer.data.train):
        raise InputError(
            f"the rows of {trainer.data.name} stay on disk, and rates are tried on rows in memory; "
            "try them on a part of the rows, or set learning_rate"
        )
    per_epoch, backend, problem = trainer.steps_per_epoch, trainer.backend, trainer.problem
    steps = per_epoch * max(1, -(-LEAST_STEPS // per_epoch))
    rates = np.geomspace(lowest, highest, steps)
    state, losses = trainer.state, np.empty(0)
    with problem.running():
        for plan in _plans(trainer, rates):
            state, metrics = backend.run_epoch(
                problem.step, state, problem.train, plan, trainer.hyper
            )
            losses = np.concatenate([losses, metrics[:, 0].astype(np.float64)])
            if not np.isfinite(losses).all():
                break
    finite = np.isfinite(losses)
    end = len(losses) if finite.all() else int(finite.argmin())
    if end == 0:
        raise DivergenceError(f"the loss is {losses[0]} before any step; nothing can be tested")
    return Rise(rates[:end], losses[:end], per_epoch, steps)


def _plans(trainer: Trainer, rates: np.ndarray) -> Iterator[EpochPlan]:
    """Yield a plan per pass, with the orders of the trainer's next epochs; one for full batches."""
    size, per_epoch, done = trainer.batch_size, trainer.steps_per_epoch, len(trainer.history.epochs)
    if trainer.order is None and per_epoch == 1:
        yield EpochPlan(None, size, rates)
        return
    generator, rows = copy.deepcopy(trainer.generator), len(trainer.data.train)
    for taken, part in enumerate(rates.reshape(-1, per_epoch)):
        order = trainer.order(done + taken) if trainer.order else generator.permutation(rows)
        yield EpochPlan(order, size, part)


def read(rates: np.ndarray, losses: np.ndarray, *, steps: int | None = None) -> Reading:
    """Return what losses (S,) at rates (S,), which rise geometrically, say.

    steps: that were planned, where fewer were taken; then the loss grows to infinity.
    """
    planned = steps or len(losses)
    half, reach = planned // (2 * LEVEL_SHARE), planned // (2 * SLOPE_SHARE)
    start = float(losses[: 2 * half + 1].mean())
    cut = np.minimum(losses, start + CAP * (start - losses.min()))
    smoothed = _levels(cut, half)
    low = int(smoothed.argmin())
    fall = start - float(smoothed[low])
    noise = float(np.std(cut[: low + 1] - smoothed[: low + 1])) / np.sqrt(2 * half + 1)
    sure = SURE * noise
    grows_from = _growth(smoothed, low, max(BOTTOM * fall, sure), len(losses) < planned)
    falls = fall > max(sure, LEAST_FALL * abs(start))
    steepest, suggestion, at_start = None, float("nan"), False
    if falls:
        first, fastest, last = _steepest(np.log(rates), smoothed, low, reach)
        steepest = float(rates[first]), float(rates[last])
        between = float(np.sqrt(rates[fastest] * rates[low]))
        suggestion = float(f"{min(between, rates[low] / BELOW_LOWEST):.2g}")
        at_start = fastest <= reach
    return Reading(
        smoothed,
        2 * half + 1,
        steepest,
        float(rates[low]),
        None if grows_from is None else float(rates[grows_from]),
        suggestion,
        at_start,
    )


def _levels(losses: np.ndarray, half: int) -> np.ndarray:
    """Return the mean of up to `half` steps on both sides of each, (S,)."""
    sums = np.concatenate([[0.0], np.cumsum(losses)])
    at = np.arange(len(losses))
    first, last = np.maximum(at - half, 0), np.minimum(at + half + 1, len(losses))
    means: np.ndarray = (sums[last] - sums[first]) / (last - first)
    return means


def _growth(smoothed: np.ndarray, low: int, room: float, ended: bool) -> int | None:
    """Return the step from which on the loss is never again within `room` of its lowest."""
    near = smoothed <= smoothed[low] + room
    last = len(smoothed) - 1 - int(near[::-1].argmax())
    if last < len(smoothed) - 1:
        return last + 1
    return last if ended else None


def _steepest(logs: np.ndarray, smoothed: np.ndarray, low: int, reach: int) -> tuple[int, int, int]:
    """Return the first, the fastest and the last step of the steepest fall to new lows.

    The slope at a step is that of least squares over `reach` steps on both sides.
    """
    lows = np.minimum.accumulate(smoothed)
    slopes = np.zeros(low + 1)
    for step in range(low + 1):
        around = slice(max(0, step - reach), step + reach + 1)
        away = logs[around] - logs[around].mean()
        slopes[step] = away @ lows[around] / (away @ away)
    begin = min(reach, low)
    first = fastest = last = begin + int(slopes[begin:].argmin())
    steep = slopes <= slopes[fastest] / 2
    while first > 0 and steep[first - 1]:
        first -= 1
    while last < low and steep[last + 1]:
        last += 1
    return first, fastest, last
