"""xpmlp's own rows: what `xpmlp.fit_many` does in an epoch, and the same nets one by one.

As in the other rows, nothing is evaluated after an epoch, and a step records its loss alone.
"""

from functools import partial
from typing import ClassVar

import numpy as np

from bench.cases import Problem
from bench.contenders.base import MOMENTUM, Unavailable, Weights
from bench.members.base import PackContender
from bench.members.packs import Pack, PackProblem, net_of
from xpmlp.backends.registry import select_backend
from xpmlp.data.dataset import Dataset, Rows
from xpmlp.errors import BackendUnavailableError, InputError, RunError
from xpmlp.training.config import Config
from xpmlp.training.epoch import train_epoch
from xpmlp.training.setup import problems_for
from xpmlp.training.trainer import Trainer

FOREVER = 10**6


class Native(PackContender):
    """Compiled for the processor, a net a core."""

    name, package = "xpmlp numpy", "numpy"
    how = "all nets as members, steps compiled as C, each net on one core"
    backend_name: ClassVar[str] = "numpy"
    compile: ClassVar[str] = "always"
    threads: ClassVar[int | None] = None

    def __init__(self, case: Pack, problem: PackProblem, device: str) -> None:
        super().__init__(case, problem, device)
        self.order = problem.order(0)
        try:
            self.trainers = self._trainers(case, problem)
        except (BackendUnavailableError, InputError) as error:
            raise Unavailable(str(error)) from error

    def _trainers(self, case: Pack, problem: PackProblem) -> list[Trainer]:
        config, data = config_of(case, self.compile, self.threads), dataset(case, problem)
        backend = select_backend(self.backend_name, "cpu", case.dtype, fallback=False).backend
        configs = [config] * len(problem.initial[0].W)
        return [
            Trainer(
                config,
                data,
                backend,
                initial=net_of(problem.initial, k),
                order=partial(self._order_of, k),
                problem=shared,
                score_train=False,
            )
            for k, shared in enumerate(problems_for(configs, data, backend))
        ]

    def _order_of(self, k: int, _: int) -> np.ndarray:
        row: np.ndarray = self.order[k]
        return row

    def turn(self, order: np.ndarray) -> None:
        """Train all at once."""
        self.order = order
        _train(self.trainers)

    def weights(self) -> Weights:
        """Fetch the parameters of all."""
        nets = [t.backend.fetch(t.state.params) for t in self.trainers]
        layers = (zip(*same, strict=True) for same in zip(*nets, strict=True))
        return [(np.stack(W), np.stack(b)) for W, b in layers]


class Replayed(Native):
    """Replayed over a leading axis of members."""

    name, compile = "xpmlp numpy replay", "never"
    how = "all nets as members, steps recorded once, replayed over a leading axis"


class OverJax(Native):
    """JAX's backend."""

    name, backend_name, compile, package = "xpmlp jax", "jax", "auto", "jax"
    how = "all nets as members, hand-derived step under jit in one lax.scan"


class OverTorch(Native):
    """PyTorch's backend."""

    name, backend_name, compile, package = "xpmlp torch", "torch", "auto", "torch"
    how = "all nets as members, hand-derived step recorded once, replayed"


class OneByOneReplayed(Replayed):
    """One net after the other."""

    name = "one by one, replayed"
    how = "one net after the other, steps recorded once, replayed on all cores"

    def epoch(self, order: np.ndarray) -> None:
        """Train all epochs of a net, then those of the next."""
        self.order = order
        for trainer in self.trainers:
            for _ in range(self.case.epochs):
                _train([trainer])


class OneByOneNative(OneByOneReplayed):
    """One net after the other, compiled, on one core."""

    name, compile, threads = "one by one, native", "always", 1
    how = "one net after the other, steps compiled as C, on one core"


def _train(trainers: list[Trainer]) -> None:
    for outcome in train_epoch(trainers):
        if isinstance(outcome, RunError):
            raise outcome


def config_of(case: Pack, compile: str, threads: int | None = None) -> Config:
    """Return the choices of one net; of another seed all else is the same."""
    return Config(
        hidden=case.hidden,
        activation=(case.activation,),
        loss="softmax_cross_entropy",
        optimizer=case.optimizer,
        learning_rate=case.learning_rate,
        momentum=MOMENTUM,
        l2=case.decay if case.optimizer == "adamw" else 0.0,
        lr_schedule="constant",
        batch_size=case.batch_size,
        epochs=FOREVER,
        dtype=case.dtype,
        record="loss",
        compile=compile,
        threads=threads,
    )


def dataset(case: Pack, problem: Problem) -> Dataset:
    """Return the rows as xpmlp takes them."""
    none = Rows(problem.x[:0], problem.y[:0])
    classes = tuple(map(str, range(case.ends[1])))
    return Dataset("bench", "classification", Rows(problem.x, problem.y), none, none, classes)
