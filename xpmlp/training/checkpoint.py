"""All that a run needs to go on as if it had never stopped, in one file.

The state of the generator that orders the batches is JSON text, since PCG64's is 128 bits
wide. Arrays are stored as the run's dtype has them, so a run may go on with another backend.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xpmlp.errors import InputError
from xpmlp.training.config import Config
from xpmlp.training.history import EpochRecord
from xpmlp.training.rates import RatePlan
from xpmlp.training.step import TrainState
from xpmlp.training.tensors import Tensors, pack, read_tensors, unpack, write_tensors
from xpmlp.types import Params

FORMAT = "xpmlp-checkpoint-1"
OLDER = {"compile": "never"}  # what a run's config lacks where it is from before these options


@dataclass(frozen=True)
class Checkpoint:
    """The state after E whole epochs, as NumPy arrays.

    fingerprint: of the training rows, so that a run does not go on with others. generator: the
    state of the one that orders the batches. steps: (E, S, M), rates: (E, S), as in `History`.
    plans: of the learning rate, each in force until the next; () for that of the config.
    """

    config: Config
    fingerprint: str
    state: TrainState
    generator: dict[str, Any]
    epochs: list[EpochRecord]
    steps: np.ndarray
    rates: np.ndarray
    best_epoch: int = 0
    best_loss: float | None = None
    best_params: Params | None = None
    plans: tuple[RatePlan, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "plans", self.plans or (RatePlan.of(self.config),))

    def save(self, path: str | Path) -> None:
        """Write the file in one piece."""
        tensors = pack("params", self.state.params)
        for i, moment in enumerate(self.state.moments):
            tensors |= pack(f"moments.{i}", moment)
        if self.best_params is not None:
            tensors |= pack("best", self.best_params)
        tensors |= {"step": np.asarray(self.state.step), "steps": self.steps, "rates": self.rates}
        about = {
            "config": self.config.given(),
            "fingerprint": self.fingerprint,
            "generator": self.generator,
            "epochs": [asdict(record) for record in self.epochs],
            "n_layers": len(self.state.params),
            "n_moments": len(self.state.moments),
            "best_epoch": self.best_epoch,
            "best_loss": self.best_loss,
            "rates": [plan._asdict() for plan in self.plans],
        }
        write_tensors(path, tensors, FORMAT, about)

    @classmethod
    def load(cls, path: str | Path) -> "Checkpoint":
        """Read the file. Raises InputError where it is missing, damaged or of another kind."""
        return read_tensors(path, FORMAT, cls._unpack)

    @classmethod
    def _unpack(cls, tensors: Tensors, about: dict[str, Any]) -> "Checkpoint":
        n = about["n_layers"]
        config = Config.from_dict(OLDER | about["config"]).filled()
        trained = n - config.freeze
        moments = tuple(unpack(f"moments.{i}", tensors, trained) for i in range(about["n_moments"]))
        np.random.PCG64().state = about["generator"]
        return cls(
            config=config,
            fingerprint=about["fingerprint"],
            state=TrainState(unpack("params", tensors, n), moments, tensors["step"]),
            generator=about["generator"],
            epochs=[EpochRecord(**record) for record in about["epochs"]],
            steps=tensors["steps"],
            rates=tensors["rates"],
            best_epoch=about["best_epoch"],
            best_loss=about["best_loss"],
            best_params=unpack("best", tensors, n) if "best.0.W" in tensors else None,
            plans=tuple(RatePlan(**plan) for plan in about.get("rates", ())),
        )


def require_checkpoint(saved: Any) -> Checkpoint:
    """Return a checkpoint as it is. Raises InputError, with the right call, for anything else."""
    if isinstance(saved, Checkpoint):
        return saved
    right = "run.trainer.checkpoint() makes one, xpmlp.Checkpoint.load(path) reads one"
    raise InputError(f"expected an xpmlp.Checkpoint, got {type(saved).__name__}: {right}")
