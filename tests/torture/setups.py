"""The trainings that are tortured: tiny, and of each kind that is saved in a way of its own."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

NEVER = 1e9


@dataclass(frozen=True)
class Setup:
    """A training. resumes: epochs that the run has done that is gone on with, 0 for a new run.

    checkpoint_seconds: between two checkpoints, 0 for one at every occasion.
    """

    name: str
    backend: str
    flags: tuple[str, ...]
    epochs: int = 4
    resumes: int = 0
    pictures: bool = False
    checkpoint_seconds: float = 0.0

    def options(self, epochs: int) -> list[str]:
        return [*self.flags, "--backend", self.backend, "--epochs", str(epochs)]

    def command(self, out: Path) -> list[str]:
        """Return the arguments of the training that is tortured."""
        if self.resumes:
            return self.going_on(out)
        return [*self.options(self.epochs), *self._plots(), "--out", str(out)]

    def begin(self, out: Path) -> list[str]:
        """Return those of the run that a `resumes` goes on with."""
        return [*self.options(self.resumes), "--no-plots", "--out", str(out)]

    def going_on(self, out: Path) -> list[str]:
        longer = ["--epochs", str(self.epochs)] if self.resumes else []
        return ["--resume", str(out), *longer, *self._plots()]

    def _plots(self) -> list[str]:
        return [] if self.pictures else ["--no-plots"]


MOONS = ("--dataset", "moons", "--hidden", "8")
COMPILED, REPLAYED = ("--compile", "always"), ("--compile", "never")
TIMELESS = ("--lr-schedule", "constant")
ADAM = ("--optimizer", "adam", "--learning-rate", "0.01")
PATIENT = ("--early-stopping", "1", "--learning-rate", "0.5")

NUMPY = (
    Setup("compiled", "numpy", (*MOONS, *COMPILED, "--dropout", "0.2")),
    Setup("replayed", "numpy", (*MOONS, *REPLAYED, *ADAM, "--clip-norm", "1")),
    Setup("stopping", "numpy", (*MOONS, *REPLAYED, *PATIENT), epochs=12),
    Setup("seeds", "numpy", (*MOONS, *COMPILED, "--seeds", "3"), epochs=3),
    Setup("going-on", "numpy", (*MOONS, *COMPILED, *TIMELESS, *ADAM), epochs=5, resumes=2),
    Setup("rarely", "numpy", (*MOONS, *REPLAYED), checkpoint_seconds=NEVER),
    Setup(
        "stopping-seeds",
        "numpy",
        (*MOONS, *REPLAYED, *PATIENT, "--seeds", "3", "--dropout", "0.1"),
        epochs=8,
    ),
    Setup("digits", "numpy", ("--dataset", "digits", "--hidden", "16", *COMPILED), epochs=3),
    Setup(
        "table",
        "numpy",
        ("--dataset", "{table}", "--hidden", "8", "--loss", "huber", *REPLAYED),
        epochs=3,
    ),
    Setup(
        "going-on-seeds",
        "numpy",
        (*MOONS, *COMPILED, *TIMELESS, "--seeds", "2", "--dropout", "0.2"),
        epochs=4,
        resumes=2,
    ),
)
PICTURES = (
    Setup("pictures", "numpy", ("--dataset", "xor", "--hidden", "8", *COMPILED), 2, pictures=True),
    Setup(
        "pictures-seeds",
        "numpy",
        ("--dataset", "xor", "--hidden", "8", *COMPILED, "--seeds", "2"),
        2,
        pictures=True,
    ),
)
OTHERS = (
    Setup("torch", "torch", (*MOONS, "--dropout", "0.2", *ADAM), epochs=3),
    Setup("torch-seeds", "torch", (*MOONS, "--seeds", "2", *PATIENT), epochs=4),
    Setup("jax", "jax", (*MOONS, "--dropout", "0.2"), epochs=3),
    Setup("jax-seeds", "jax", (*MOONS, "--seeds", "2", *ADAM), epochs=3),
)
SETUPS = (*NUMPY, *PICTURES, *OTHERS)
BACKENDS = tuple(dict.fromkeys(setup.backend for setup in SETUPS))


def write_table(path: Path) -> None:
    """Write a table of 60 rows with a column of texts, made from a fixed seed."""
    rng = np.random.default_rng(0)
    rows = [f"{x:.6f},{'abc'[i % 3]},{x * x:.6f}" for i, x in enumerate(rng.normal(size=60))]
    path.write_text("\n".join(["width,kind,area", *rows]) + "\n")
