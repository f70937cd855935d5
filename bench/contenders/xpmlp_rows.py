"""xpmlp's own rows: the step and the epoch that its trainer runs, and nothing tuned for here.

Each step returns its loss, as in the other rows; what follows an epoch in `xpmlp train`,
evaluation and history, is left out, as it is in all rows. The norms of the gradients, which
xpmlp records unless told otherwise and no other row computes, are off: `record="loss"`.
"""

from typing import ClassVar

import numpy as np

from bench.cases import Case, Problem
from bench.contenders.base import MOMENTUM, Contender, Unavailable, Weights
from xpmlp.backends.registry import select_backend
from xpmlp.data.dataset import Dataset, Rows
from xpmlp.errors import BackendUnavailableError
from xpmlp.training.config import Config
from xpmlp.training.trainer import Trainer


class _Xpmlp(Contender):
    """Trains with a `Trainer`, of which it runs the epochs alone."""

    backend_name: ClassVar[str]

    def __init__(self, case: Case, problem: Problem, device: str) -> None:
        super().__init__(case, problem, device)
        name, dtype = self.backend_name, case.dtype
        try:
            self.backend = select_backend(name, device, dtype, fallback=False).backend
        except BackendUnavailableError as error:
            raise Unavailable(str(error)) from error
        self.order = np.arange(len(problem.y))
        self.trainer = Trainer(
            _config(case),
            _dataset(problem),
            self.backend,
            initial=problem.initial,
            order=None if self.full_batch else lambda _: self.order,
        )
        self.state = self.trainer.state

    def epoch(self, order: np.ndarray) -> None:
        """Run one epoch as `xpmlp.training.members.train_epoch` does."""
        self.order = order
        backend, trainer, problem = self.backend, self.trainer, self.trainer.problem
        with backend.running():
            self.state, _ = backend.run_epoch(
                problem.step, self.state, problem.train, trainer.plan(), trainer.hyper
            )
            backend.synchronize(self.state)

    def weights(self) -> Weights:
        """Fetch the parameters."""
        return [(layer.W, layer.b) for layer in self.backend.fetch(self.state.params)]

    def describe(self) -> dict[str, str]:
        """Return what the backend says of its library, and how an epoch runs."""
        library, _, version = self.backend.library.partition(" ")
        return {
            "library": library,
            "version": version,
            "device": self.backend.device,
            "device_name": self.backend.device_name(),
            "epoch": f"{self.how}; each step returns the loss",
        }

    def peak_memory(self) -> int:
        """Return what the backend tells."""
        return self.backend.memory()


def _config(case: Case) -> Config:
    return Config(
        hidden=case.hidden,
        activation=(case.activation,),
        optimizer=case.optimizer,
        learning_rate=case.learning_rate,
        momentum=MOMENTUM,
        lr_schedule="constant",
        batch_size=case.batch_size,
        dtype=case.dtype,
        record="loss",
    )


def _dataset(problem: Problem) -> Dataset:
    none = Rows(problem.x[:0], problem.y[:0])
    classes = tuple(map(str, range(len(problem.initial[-1].b))))
    return Dataset("bench", "classification", Rows(problem.x, problem.y), none, none, classes)


class XpmlpNumpy(_Xpmlp):
    """xpmlp's NumPy backend."""

    name, backend_name = "xpmlp numpy", "numpy"
    how = "hand-derived step recorded once, replayed in place on batches gathered into one buffer"


class XpmlpJax(_Xpmlp):
    """xpmlp's JAX backend."""

    name, backend_name = "xpmlp jax", "jax"
    how = "hand-derived step under jit in one lax.scan that gathers its batches; the tail apart"


class XpmlpTorch(_Xpmlp):
    """xpmlp's PyTorch backend."""

    name, backend_name = "xpmlp torch", "torch"
    how = "hand-derived step recorded once, replayed without autograd; large products by oneDNN"


class XpmlpCupy(_Xpmlp):
    """xpmlp's CuPy backend."""

    name, backend_name = "xpmlp cupy", "cupy"
    how = "hand-derived step called batch by batch"
