"""The same fit by both libraries, one after the other, seed by seed."""

import gc
import time
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.estimators.problems import Parts, Problem
from bench.worker import wait_until_idle

if TYPE_CHECKING:
    from xpmlp.interrupt import StopRequest

OWN, THEIRS = SIDES = ("xpmlp", "scikit-learn")


class Fit(NamedTuple):
    """What came of one fit: accuracy on the test rows, epochs, seconds."""

    accuracy: float
    epochs: int
    fit_seconds: float
    predict_seconds: float


class Pair(NamedTuple):
    """The fits of one seed, by side."""

    seed: int
    fits: dict[str, Fit]


def make_estimator(side: str, parameters: dict[str, Any], place: dict[str, str]) -> Any:
    """Return an estimator of a library; place: backend and device, which are xpmlp's alone."""
    import sklearn.neural_network

    import xpmlp

    if side == OWN:
        return xpmlp.MLPClassifier(**parameters, **place)
    return sklearn.neural_network.MLPClassifier(**parameters)


def measure(estimator: Any, parts: Parts) -> Fit:
    """Fit and predict, and time both; that the epochs are at an end is no warning here."""
    from sklearn.exceptions import ConvergenceWarning

    gc.collect()
    wait_until_idle()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        start = time.perf_counter()
        estimator.fit(parts.x_train, parts.y_train)
        fitted = time.perf_counter()
    predicted = estimator.predict(parts.x_test)
    end = time.perf_counter()
    accuracy = float((predicted == parts.y_test).mean())
    return Fit(accuracy, int(estimator.n_iter_), fitted - start, end - fitted)


class Pairing:
    """The pairs of one problem and one solver.

    pairs: those that are complete. tick: called after each fit.
    """

    def __init__(
        self,
        problem: Problem,
        solver: str,
        place: dict[str, str],
        stop: "StopRequest",
        tick: Callable[[], object],
    ) -> None:
        self.problem, self.solver, self.place = problem, solver, place
        self.stop, self.tick = stop, tick
        self.pairs: list[Pair] = []

    def warm_up(self, parts: Parts) -> None:
        """Fit one epoch by each library, so that what is done once is not timed."""
        for side in SIDES:
            parameters = self.problem.with_epochs(1).parameters(self.solver, 0)
            self._measure(side, parameters, parts)

    def add(self, seed: int, parts: Parts) -> None:
        """Fit by both, xpmlp first for even seeds. Raises KeyboardInterrupt where asked to stop.

        Both libraries end a fit quietly at an interrupt, so that a stop is looked for after it.
        """
        fits = {}
        for side in in_turn(seed):
            fits[side] = self._measure(side, self.problem.parameters(self.solver, seed), parts)
            self.tick()
        self.pairs.append(Pair(seed, fits))

    def _measure(self, side: str, parameters: dict[str, Any], parts: Parts) -> Fit:
        fit = measure(make_estimator(side, parameters, self.place), parts)
        if self.stop.requested:
            raise KeyboardInterrupt
        return fit


def in_turn(seed: int) -> Sequence[str]:
    """Return the sides in the order of a seed."""
    return SIDES if seed % 2 == 0 else SIDES[::-1]
