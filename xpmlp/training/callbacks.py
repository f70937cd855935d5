"""Callbacks: what is told how a training goes, and may ask it to stop."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

import numpy as np

from xpmlp.errors import InputError
from xpmlp.leaves import map_tree
from xpmlp.training.history import EpochRecord
from xpmlp.training.model import Model
from xpmlp.training.trainer import Trainer
from xpmlp.types import Params


@dataclass(frozen=True)
class Steps:
    """Where a training stands between two steps.

    epoch, step: the numbers of the last step and of its epoch, from 1; steps count on over the
    epochs. learning_rate, metrics: those of that step, by the names of `History.metric_names`.
    """

    trainer: Trainer
    epoch: int
    step: int
    learning_rate: float
    metrics: Mapping[str, float]
    params_on_device: Callable[[], Params]

    def model(self) -> Model:
        """Return the network with the weights of this moment, on the host."""
        backend = self.trainer.backend
        with backend.running():
            params = map_tree(
                lambda leaf: np.array(backend.to_numpy(leaf)), self.params_on_device()
            )
        return replace(self.trainer.model(), params=params)


class Callback:
    """Is told how a training goes: make a subclass with the methods that you need.

    every: after how many steps `after_steps` is called; None: never. An epoch then runs in
    pieces, to the same numbers; on a GPU and on JAX each new length of a piece is compiled once,
    so that a divisor of an epoch's steps is quickest.

    One that returns True asks to stop: the net's training ends after the epoch in progress.
    """

    every: int | None = None

    def before_training(self, trainer: Trainer) -> None:
        """Is called before the first epoch."""

    def after_steps(self, steps: Steps) -> bool | None:
        """Is called after every `every` steps, in the middle of an epoch."""

    def after_epoch(self, trainer: Trainer, record: EpochRecord) -> bool | None:
        """Is called after each epoch; `trainer.model()` has its weights."""

    def after_training(self, trainer: Trainer) -> None:
        """Is called at the end, be it the last epoch, Ctrl-C, a divergence or an error."""


_CALLS = ("before_training", "after_steps", "after_epoch", "after_training")


class AfterEpoch(Callback):
    """A function as a callback that is called after each epoch."""

    def __init__(self, function: Callable[[Trainer, EpochRecord], Any]) -> None:
        self.function = function

    def after_epoch(self, trainer: Trainer, record: EpochRecord) -> bool | None:
        """Call the function."""
        answer: bool | None = self.function(trainer, record)
        return answer


def callbacks_of(given: Any) -> tuple[Callback, ...]:
    """Return callbacks from one or several, of which some may be functions.

    Raises InputError for anything else, and for an `every` that is no count of steps.
    """
    several = isinstance(given, Iterable) and not isinstance(given, Callback)
    callbacks = tuple(map(_callback, given if several else (given,)))
    for callback in callbacks:
        every = callback.every
        if every is None or (isinstance(every, int | np.integer) and every > 0):
            continue
        raise InputError(
            f"{type(callback).__name__}.every is {every!r}; it must be a number of steps, 1 or "
            "more, or None for never"
        )
    return callbacks


def _callback(given: Any) -> Callback:
    if isinstance(given, Callback):
        if all(getattr(type(given), name) is getattr(Callback, name) for name in _CALLS):
            raise InputError(
                f"{type(given).__name__} would never be called: it has none of {', '.join(_CALLS)}"
            )
        return given
    if callable(given) and not isinstance(given, type):
        return AfterEpoch(given)
    got = f"the class {given.__name__}" if isinstance(given, type) else repr(given)
    raise InputError(
        "callbacks must be objects of subclasses of xpmlp.Callback, or functions of a trainer and "
        f"the record of its epoch; got {got}"
    )


class Listeners:
    """The callbacks of one trainer; as a context they are told when it begins and ends.

    stopped: whether one of them has asked to stop.
    """

    def __init__(self, callbacks: tuple[Callback, ...], trainer: Trainer) -> None:
        self.callbacks, self.trainer, self.stopped = callbacks, trainer, False
        self._ends = ExitStack()

    def __enter__(self) -> "Listeners":
        with ExitStack() as ends:
            for callback in self.callbacks:
                callback.before_training(self.trainer)
                ends.callback(callback.after_training, self.trainer)
            self._ends = ends.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ends.__exit__(kind, error, trace)

    def pauses(self) -> set[int]:
        """Return the steps of the next epoch, from 1, after which one of them is called."""
        every = {callback.every for callback in self.callbacks if callback.every}
        if not every:
            return set()
        done, steps = self._done(), self.trainer.steps_per_epoch
        return {step for n in every for step in range(n - done % n, steps + 1, n)}

    def pause(
        self, step: int, rate: float, metrics: np.ndarray, params: Callable[[], Params]
    ) -> None:
        """Call those whose turn it is after a step of the epoch, with its metrics (M,)."""
        history, number = self.trainer.history, self._done() + step
        figures = dict(zip(history.metric_names, map(float, metrics), strict=True))
        steps = Steps(self.trainer, len(history.epochs) + 1, number, rate, figures, params)
        for callback in self.callbacks:
            if callback.every and number % callback.every == 0:
                self._heed(callback.after_steps(steps))

    def after_epoch(self, record: EpochRecord) -> None:
        """Call all of them."""
        for callback in self.callbacks:
            self._heed(callback.after_epoch(self.trainer, record))

    def _done(self) -> int:
        return len(self.trainer.history.epochs) * self.trainer.steps_per_epoch

    def _heed(self, answer: Any) -> None:
        self.stopped |= isinstance(answer, bool | np.bool_) and bool(answer)
