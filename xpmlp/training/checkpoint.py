"""All that a run needs to go on as if it had never stopped, in one file.

The state of the generator that orders the batches is JSON text, since PCG64's is 128 bits
wide. Arrays are stored as the run's dtype has them, so a run may go on with another backend.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from xpmlp.errors import InputError
from xpmlp.training.config import Config
from xpmlp.training.history import EpochRecord
from xpmlp.training.step import TrainState
from xpmlp.training.tensors import Tensors, pack, read_tensors, unpack, write_tensors
from xpmlp.types import Params

FORMAT = "xpmlp-checkpoint-1"


@dataclass(frozen=True)
class Checkpoint:
    """The state after a whole number of epochs, as NumPy arrays."""

    config: Config
    state: TrainState
    generator: dict[str, Any]
    epochs: list[EpochRecord] = field(default_factory=list)
    steps: list[np.ndarray] = field(default_factory=list)
    rates: list[np.ndarray] = field(default_factory=list)
    best_epoch: int = 0
    best_loss: float | None = None
    best_params: Params | None = None

    def save(self, path: str | Path) -> None:
        """Write the file in one piece."""
        tensors = pack("params", self.state.params)
        for i, moment in enumerate(self.state.moments):
            tensors |= pack(f"moments.{i}", moment)
        if self.best_params is not None:
            tensors |= pack("best", self.best_params)
        for i, (steps, rates) in enumerate(zip(self.steps, self.rates, strict=True)):
            tensors |= {f"steps.{i}": steps, f"rates.{i}": rates}
        tensors["step"] = np.asarray(self.state.step)
        about = {
            "config": {k: v for k, v in asdict(self.config).items() if v is not None},
            "generator": self.generator,
            "epochs": [asdict(record) for record in self.epochs],
            "n_layers": len(self.state.params),
            "n_moments": len(self.state.moments),
            "best_epoch": self.best_epoch,
            "best_loss": self.best_loss,
        }
        write_tensors(path, tensors, {"format": FORMAT, "about": json.dumps(about)})

    @classmethod
    def load(cls, path: str | Path) -> "Checkpoint":
        """Read the file. Raises InputError where it is missing, damaged or of another kind."""
        tensors, metadata = read_tensors(path, FORMAT)
        about = json.loads(metadata["about"])
        n = about["n_layers"]
        epochs = [EpochRecord(**record) for record in about["epochs"]]
        moments = tuple(unpack(f"moments.{i}", tensors, n) for i in range(about["n_moments"]))
        return cls(
            config=Config.from_dict(about["config"], str(path)),
            state=TrainState(unpack("params", tensors, n), moments, tensors["step"]),
            generator=about["generator"],
            epochs=epochs,
            steps=_parts("steps", tensors, len(epochs)),
            rates=_parts("rates", tensors, len(epochs)),
            best_epoch=about["best_epoch"],
            best_loss=about["best_loss"],
            best_params=unpack("best", tensors, n) if "best.0.W" in tensors else None,
        )


def _parts(name: str, tensors: Tensors, count: int) -> list[np.ndarray]:
    try:
        return [tensors[f"{name}.{i}"] for i in range(count)]
    except KeyError as error:
        raise InputError(f"the tensor {error} is missing from the checkpoint") from error
