"""xpmlp's own rows: the step and the epoch that its trainer runs, and nothing tuned for here.

Each step returns its loss, as in the other rows; what follows an epoch in `xpmlp train`,
evaluation and history, is left out, as it is in all rows. The norms of the gradients, which
xpmlp records unless told otherwise and no other row computes, are off: `record="loss"`.
"""

from contextlib import suppress
from importlib import import_module
from typing import Any, ClassVar

import numpy as np

from bench.cases import Case, Problem
from bench.contenders.base import MOMENTUM, Contender, Unavailable, Weights
from bench.processes import FULL, TF32
from xpmlp.backends.base import Backend
from xpmlp.backends.registry import BACKENDS, select_backend
from xpmlp.data.dataset import Dataset, Rows
from xpmlp.errors import BackendUnavailableError
from xpmlp.training.config import Config
from xpmlp.training.trainer import Trainer


class _Xpmlp(Contender):
    """Trains with a `Trainer`, of which it runs the epochs alone.

    how_on_gpu: the way through an epoch there, where it is another.
    """

    backend_name: ClassVar[str]
    how_on_gpu: ClassVar[str] = ""
    matmul_precision: ClassVar[str] = FULL
    compile: ClassVar[str] = "auto"

    def __init__(self, case: Case, problem: Problem, device: str) -> None:
        super().__init__(case, problem, device)
        self.backend = self._backend()
        self.order = np.arange(len(problem.y))
        self.trainer = Trainer(
            _config(case, self.compile),
            _dataset(problem),
            self.backend,
            initial=problem.initial,
            order=None if self.full_batch else lambda _: self.order,
        )
        self.state = self.trainer.state

    @classmethod
    def import_library(cls) -> None:
        """Import the backend's module; why one can't be, its selection says."""
        with suppress(ImportError, OSError):
            import_module(f"xpmlp.backends.{BACKENDS[cls.backend_name].module}")

    def _backend(self) -> Backend:
        try:
            return select_backend(
                self.backend_name,
                self.device,
                self.case.dtype,
                fallback=False,
                matmul_precision=self.matmul_precision,
            ).backend
        except BackendUnavailableError as error:
            raise Unavailable(str(error)) from error

    def epoch(self, order: np.ndarray) -> None:
        """Run one epoch as `xpmlp.training.epoch.train_epoch` does."""
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
        """Return how an epoch runs, and what the backend says of its library and itself."""
        library, _, version = self.backend.library.partition(" ")
        how = self.how if self.device == "cpu" else self.how_on_gpu or self.how
        return {
            **self.backend.describe(),
            "library": library,
            "version": version,
            "epoch": f"{how}; each step returns the loss; {self.how_it_ran}",
        }

    @property
    def how_it_ran(self) -> str:
        """What the compiled step says of its last epoch."""
        return str(getattr(self.trainer.problem.step, "how", "step by step"))

    def peak_memory(self) -> int:
        """Return what the backend tells."""
        return self.backend.memory()


def _config(case: Case, compile: str = "auto") -> Config:
    return Config(
        compile=compile,
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
    how = "hand-derived step recorded once, compiled as C with NumPy's BLAS, many steps a call"


class XpmlpNumpyReplayed(_Xpmlp):
    """xpmlp's NumPy backend without a compiler."""

    name, backend_name, compile = "xpmlp numpy replay", "numpy", "never"
    how = "hand-derived step recorded once, replayed in place on batches gathered into one buffer"


class XpmlpJax(_Xpmlp):
    """xpmlp's JAX backend."""

    name, backend_name = "xpmlp jax", "jax"
    how = "hand-derived step under jit in one lax.scan that gathers its batches; the tail apart"


class XpmlpTorch(_Xpmlp):
    """xpmlp's PyTorch backend."""

    name, backend_name = "xpmlp torch", "torch"
    how = "hand-derived step recorded once, replayed without autograd; large products by oneDNN"
    how_on_gpu = "hand-derived step recorded once, an epoch's steps captured"


class XpmlpCupy(_Xpmlp):
    """xpmlp's CuPy backend."""

    name, backend_name = "xpmlp cupy", "cupy"
    how = "hand-derived step recorded once, fused, an epoch's steps captured"


class XpmlpTorchTf32(XpmlpTorch):
    """xpmlp's PyTorch backend with TF32 products."""

    name, matmul_precision = "xpmlp torch tf32", TF32


class XpmlpTorchBf16(XpmlpTorch):
    """xpmlp's PyTorch backend with products of bfloat16 factors, where they pay."""

    name, matmul_precision = "xpmlp torch bf16", "bf16"


class XpmlpCupyTf32(XpmlpCupy):
    """xpmlp's CuPy backend with TF32 products."""

    name, matmul_precision = "xpmlp cupy tf32", TF32


class XpmlpJaxUnrolled(XpmlpJax):
    """xpmlp's JAX backend with several steps in one turn of the scan."""

    name = "xpmlp jax unroll 8"
    how = "as xpmlp jax, eight steps in one turn of the scan"

    def _backend(self) -> Backend:
        backend: Any = super()._backend()
        backend.unroll = 8
        made: Backend = backend
        return made
