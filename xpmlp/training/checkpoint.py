"""All that a run needs to go on as if it had never stopped.

It is one file; in the folder of a run the history is in another one beside it, which grows, so
that a checkpoint stays as small as its net. The state of the generator that orders the batches is
JSON text, since PCG64's is 128 bits wide. Arrays are stored as the run's dtype has them, so a run
may go on with another backend.
"""

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from xpmlp.errors import InputError
from xpmlp.training.config import Config
from xpmlp.training.history import EpochRecord
from xpmlp.training.journal import Mark, read_journal
from xpmlp.training.pieces import Unfinished
from xpmlp.training.rates import RatePlan
from xpmlp.training.step import TrainState
from xpmlp.training.tensors import Tensors, pack, read_tensors, unpack, write_tensors
from xpmlp.types import Params

FORMAT, FORMAT_APART = "xpmlp-checkpoint-1", "xpmlp-checkpoint-2"
UNFINISHED = "unfinished."  # before the names of what is done of an epoch
OLDER = {"compile": "never"}  # what a run's config lacks where it is from before these options


@dataclass(frozen=True)
class Checkpoint:
    """The state after E whole epochs, as NumPy arrays.

    fingerprint: of the training rows, so that a run does not go on with others. generator: the
    state of the one that orders the batches. steps: (E, S, M), rates: (E, S), as in `History`.
    plans: of the learning rate, each in force until the next; () for that of the config.
    unfinished: what is done of the epoch after these. saving: a name that the checkpoints of
    several seeds have in common where they were saved together.
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
    unfinished: Unfinished | None = None
    saving: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "plans", self.plans or (RatePlan.of(self.config),))

    @property
    def place(self) -> tuple[int, int]:
        """How many epochs are done, and how many steps of the next one."""
        return len(self.epochs), self.unfinished.steps if self.unfinished else 0

    def save(self, path: str | Path, history: Mark | None = None) -> None:
        """Write the file in one piece.

        history: that of the journal beside it that has epochs, steps and rates; None: they go
        into the file.
        """
        tensors = _pack_state("", self.state)
        if self.best_params is not None:
            tensors |= pack("best", self.best_params)
        about = {
            "config": self.config.given(),
            "fingerprint": self.fingerprint,
            "generator": self.generator,
            "n_layers": len(self.state.params),
            "n_moments": len(self.state.moments),
            "best_epoch": self.best_epoch,
            "best_loss": self.best_loss,
            "rates": [plan._asdict() for plan in self.plans],
        }
        if self.unfinished:
            part = self.unfinished
            tensors |= _pack_state(UNFINISHED, part.state)
            tensors |= {f"{UNFINISHED}metrics": part.metrics, f"{UNFINISHED}rates": part.rates}
            about["unfinished_seconds"] = part.seconds
        if history:
            about |= {"history": history._asdict(), "saving": self.saving}
        else:
            about["epochs"] = [asdict(record) for record in self.epochs]
            tensors |= {"steps": self.steps, "rates": self.rates}
        write_tensors(path, tensors, FORMAT_APART if history else FORMAT, about)

    @classmethod
    def load(cls, path: str | Path) -> "Checkpoint":
        """Read the file, and where its history is apart that too.

        Raises InputError where one is missing, damaged or of another kind.
        """
        build = partial(cls._unpack, Path(path).parent)
        return read_tensors(path, (FORMAT, FORMAT_APART), build)

    @classmethod
    def _unpack(cls, folder: Path, tensors: Tensors, about: dict[str, Any]) -> "Checkpoint":
        n = about["n_layers"]
        config = Config.from_dict(OLDER | about["config"]).filled()
        np.random.PCG64().state = about["generator"]
        if "history" in about:
            epochs, steps, rates = read_journal(folder, Mark(**about["history"]))
        else:
            epochs = [EpochRecord(**record) for record in about["epochs"]]
            steps, rates = tensors["steps"], tensors["rates"]
        form = n, n - config.freeze, about["n_moments"]
        return cls(
            config=config,
            fingerprint=about["fingerprint"],
            state=_unpack_state("", tensors, *form),
            generator=about["generator"],
            epochs=epochs,
            steps=steps,
            rates=rates,
            best_epoch=about["best_epoch"],
            best_loss=about["best_loss"],
            best_params=unpack("best", tensors, n) if "best.0.W" in tensors else None,
            plans=tuple(RatePlan(**plan) for plan in about.get("rates", ())),
            unfinished=_unpack_unfinished(tensors, about, form),
            saving=about.get("saving", ""),
        )


def _pack_state(prefix: str, state: TrainState) -> Tensors:
    tensors = pack(f"{prefix}params", state.params)
    for i, moment in enumerate(state.moments):
        tensors |= pack(f"{prefix}moments.{i}", moment)
    return {**tensors, f"{prefix}step": np.asarray(state.step)}


def _unpack_state(
    prefix: str, tensors: Tensors, layers: int, trained: int, moments: int
) -> TrainState:
    """Return the state of a net of so many layers, some of them trained, by so many moments."""
    return TrainState(
        unpack(f"{prefix}params", tensors, layers),
        tuple(unpack(f"{prefix}moments.{i}", tensors, trained) for i in range(moments)),
        tensors[f"{prefix}step"],
    )


def _unpack_unfinished(
    tensors: Tensors, about: dict[str, Any], form: tuple[int, int, int]
) -> Unfinished | None:
    if "unfinished_seconds" not in about:
        return None
    return Unfinished(
        _unpack_state(UNFINISHED, tensors, *form),
        tensors[f"{UNFINISHED}metrics"],
        tensors[f"{UNFINISHED}rates"],
        float(about["unfinished_seconds"]),
    )


def require_checkpoint(saved: Any) -> Checkpoint:
    """Return a checkpoint as it is. Raises InputError, with the right call, for anything else."""
    if isinstance(saved, Checkpoint):
        return saved
    right = "run.trainer.checkpoint() makes one, xpmlp.Checkpoint.load(path) reads one"
    raise InputError(f"expected an xpmlp.Checkpoint, got {type(saved).__name__}: {right}")
