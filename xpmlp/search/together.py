"""Fits of estimators, taken apart: all begin, their nets train side by side, and each ends."""

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.pipeline import Pipeline

from xpmlp.backends.base import Backend
from xpmlp.data.dataset import Dataset
from xpmlp.estimator.base import BaseMLP
from xpmlp.estimator.epochs import EpochRun, train_together
from xpmlp.estimator.starting import place
from xpmlp.training.config import Config
from xpmlp.training.pool import pool
from xpmlp.training.problem import Problem, net_of

LEAST_WORK = 4 * 10**9  # multiplications of all epochs, from which on it pays to compile
OF_A_MEMBER = {"seed", "learning_rate", "l2", "l1", "momentum", "epochs"}
TAKEN = {"sample_weight", "X_val", "y_val"}  # what `fit` may be given besides X and y


class NotPacked(Exception):
    """Why a fit can't train beside others, in words for people."""


@dataclass
class Fit:
    """A fit that has begun; failure: why it could not.

    estimator: the net, or the pipeline that ends in it.
    """

    estimator: Any
    net: BaseMLP
    run: EpochRun | None = None
    failure: Exception | None = None

    def end(self) -> Any:
        """Return the fitted estimator. Raises, and warns, as its `fit` would."""
        if self.failure is not None:
            raise self.failure
        assert self.run is not None
        self.net._end_epochs(self.run)
        return self.estimator


class Problems:
    """The problems of nets that train side by side: one for those of one net on the same rows.

    fits: how many nets there are to be.
    """

    def __init__(self, fits: int) -> None:
        self.fits = fits
        self.known: dict[Any, Problem] = {}
        self.first: dict[Any, Problem] = {}
        self.backends: dict[Any, Backend] = {}
        self.contents: dict[int, tuple[Any, Any]] = {}

    def of(self, config: Config, data: Dataset, backend: Backend) -> Problem:
        """Return the problem of a config on these rows, made where it is new."""
        backend = self.backends.setdefault(place(backend), backend)
        net = what_a_problem_has_of(config), place(backend)
        parts = data.train, data.validation
        rows = tuple(self._content(a) for part in parts for a in (part.x, part.y, part.weights))
        if (rows, net) not in self.known:
            decided = self._compiled(config, data, backend)
            problem = Problem(decided, data, backend, self.first.get(net))
            self.known[rows, net] = problem
            self.first.setdefault(net, problem)
        return self.known[rows, net]

    def _compiled(self, config: Config, data: Dataset, backend: Backend) -> Config:
        """Return a config whose `auto` is decided by the work of all nets, not of one."""
        sizes = net_of(config, data)[1]
        one = 3 * len(data.train) * sum(d * h for d, h in pairwise(sizes)) * config.epochs
        pays = config.compile == "auto" and one * self.fits >= LEAST_WORK
        return (
            config.replace(compile="always") if pays and not backend.why_not_compiled() else config
        )

    def _content(self, array: Any) -> Any:
        """Return what tells the numbers of an array from those of others."""
        if not isinstance(array, np.ndarray):
            return None if array is None else id(array)
        if id(array) not in self.contents:
            digest = hashlib.blake2b(np.ascontiguousarray(array).data, digest_size=16).digest()
            self.contents[id(array)] = array, (array.shape, array.dtype, digest)
        return self.contents[id(array)][1]


def what_a_problem_has_of(config: Config) -> tuple[Any, ...]:
    """Return what configs have alike whose nets can share a problem: all but a member's own."""
    shared = (getattr(config, name) for name in Config.names() if name not in OF_A_MEMBER)
    return (*shared, config.l2 > 0, config.l1 > 0)


class Together:
    """Fits that begin one after the other, and then train side by side.

    fits: how many there are to be.
    """

    def __init__(self, fits: int = 1) -> None:
        self.problems = Problems(fits)
        self.runs: list[EpochRun] = []

    def begin(self, estimator: Any, X: Any, y: Any, params: dict[str, Any]) -> Fit:
        """Begin the fit of an estimator, as of its `fit(X, y, **params)`.

        Raises NotPacked where it can't be among others; what else is wrong is its failure.
        """
        piped = type(estimator) is Pipeline
        net = estimator.steps[-1][1] if piped else estimator
        _require_epochs(net)
        if y is None:
            raise NotPacked("y is missing")
        own, others = _parted(estimator, params) if piped else (params, {})
        if unknown := sorted(set(own) - TAKEN):
            raise NotPacked(f"`fit` is given {', '.join(unknown)}")
        fit = Fit(estimator, net)
        try:
            if piped:
                X = _transformed(estimator, X, y, others)
            fit.run = self._run(net, X, y, **own)
            self.runs.append(fit.run)
        except Exception as error:
            fit.failure = error
        return fit

    def _run(
        self,
        net: BaseMLP,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> EpochRun:
        start = net._begin(X, y, sample_weight, given_validation=(X_val, y_val))
        return net._begin_epochs(start, problem_of=self.problems.of)

    def train(self) -> None:
        """Train all that have begun, nets of one kind in one step, where that pays."""
        alike: dict[Any, dict[int, Problem]] = {}
        for trainer in (run.trainer for run in self.runs):
            problem = trainer.problem
            if trainer.prefers_company:
                kind = problem.kind, problem.sizes, trainer.batch_size, trainer.steps_per_epoch
                alike.setdefault(kind, {})[id(problem)] = problem
        for problems in alike.values():
            if len(problems) > 1:
                pool(list(problems.values()))
        train_together(self.runs)


def require_ours(estimator: Any) -> None:
    """Raise NotPacked for an estimator that is no net of ours, and no pipeline."""
    if not (type(estimator) is Pipeline or _is_net(estimator)):
        raise NotPacked(f"{type(estimator).__name__} is no net of xpmlp")


def _is_net(estimator: Any) -> bool:
    return getattr(type(estimator), "fit", None) is BaseMLP.fit


def _require_epochs(net: Any) -> None:
    if not _is_net(net):
        raise NotPacked(f"{type(net).__name__} is no net of xpmlp")
    if net.solver == "lbfgs":
        raise NotPacked("the solver lbfgs has no epochs")


def _parted(pipeline: Pipeline, params: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the last step's `fit` is given, and what those of the steps before."""
    if params and get_config()["enable_metadata_routing"]:
        raise NotPacked("metadata is routed through a Pipeline")
    if getattr(pipeline, "transform_input", None):
        raise NotPacked("a Pipeline has transform_input")
    before = f"{pipeline.steps[-1][0]}__"
    own = {name.removeprefix(before): v for name, v in params.items() if name.startswith(before)}
    return own, {name: v for name, v in params.items() if not name.startswith(before)}


def _transformed(pipeline: Pipeline, X: Any, y: Any, params: dict[str, Any]) -> Any:
    """Fit the steps before the last, and return what they make of X."""
    earlier = pipeline[:-1]
    if not earlier.steps:
        return X
    made = earlier.fit_transform(X, y, **params)
    pipeline.steps = [*earlier.steps, pipeline.steps[-1]]
    return made
