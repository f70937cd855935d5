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

from xpmlp.data.kinds import check_kinds
from xpmlp.errors import InputError, unknown_name
from xpmlp.optim.schedules import SCHEDULES
from xpmlp.training.config import RESUMABLE, Config
from xpmlp.training.history import EPOCH_COLUMNS, EpochRecord
from xpmlp.training.journal import Mark, read_journal
from xpmlp.training.pieces import Unfinished
from xpmlp.training.rates import RatePlan
from xpmlp.training.seats import Seat
from xpmlp.training.step import TrainState
from xpmlp.training.tensors import (
    Tensors,
    pack,
    read_tensors,
    require_tensors,
    unpack,
    write_tensors,
)
from xpmlp.types import Affine, Params

FORMAT, FORMAT_APART = "xpmlp-checkpoint-1", "xpmlp-checkpoint-2"
UNFINISHED = "unfinished."  # before the names of what is done of an epoch
ABOUT: dict[str, Any] = {
    "config": dict,
    "fingerprint": str,
    "generator": dict,
    "n_layers": int,
    "n_moments": int,
    "best_epoch": int,
    "best_loss": (float, None),
    "epochs": [dict],
    "rates": [dict],
    "unfinished_seconds": float,
    "history": dict,
    "saving": str,
}
OPTIONAL = ("epochs", "rates", "unfinished_seconds", "history", "saving")
OF_A_RECORD = {
    name: (float, None) if name.startswith("validation") or name.endswith("accuracy") else float
    for name in EPOCH_COLUMNS
} | {"epoch": int}
OF_A_PLAN = {
    "learning_rate": float,
    "lr_schedule": str,
    "lr_decay": float,
    "since": int,
    "begins": int,
}
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

    def check_config(self, config: Config) -> None:
        """Raise InputError where an option differs that can't change within a run."""
        fixed = [name for name in Config.names() if name not in RESUMABLE]
        other = [name for name in fixed if getattr(config, name) != getattr(self.config, name)]
        if other:
            raise InputError(f"the checkpoint is of a run with another {', '.join(other)}")

    def check_history(self, steps: int, metrics: int) -> None:
        """Raise InputError where epochs have not so many steps, or steps not so many metrics."""
        part = self.unfinished
        fits = self.steps.shape == (len(self.epochs), steps, metrics)
        if not fits or (part and (part.steps >= steps or part.metrics.shape[1] != metrics)):
            raise InputError(
                f"the checkpoint has steps of shape {self.steps.shape}, and the run "
                f"{steps} steps with {metrics} metrics in each epoch"
            )

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
        check_kinds(about, ABOUT, optional=OPTIONAL)
        config = Config.from_dict(OLDER | about["config"]).filled()
        form = about["n_layers"], about["n_layers"] - config.freeze, about["n_moments"]
        _check_states(tensors, *form)
        np.random.PCG64().state = about["generator"]
        if "history" in about:
            epochs, steps, rates = read_journal(folder, Mark(**about["history"]))
        else:
            epochs = [_record(record) for record in about["epochs"]]
            steps, rates = tensors["steps"], tensors["rates"]
            if not len(epochs) == len(steps) == len(rates) or steps.shape[:-1] != rates.shape:
                raise ValueError(f"its {len(epochs)} epochs have steps {steps.shape}")
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
            best_params=unpack("best", tensors, form[0]) if "best.0.W" in tensors else None,
            plans=tuple(map(_plan, about.get("rates", ()))),
            unfinished=_unpack_unfinished(tensors, about, form),
            saving=about.get("saving", ""),
        )


def _record(record: dict[str, Any]) -> EpochRecord:
    check_kinds(record, OF_A_RECORD)
    return EpochRecord(**record)


def _plan(plan: dict[str, Any]) -> RatePlan:
    check_kinds(plan, OF_A_PLAN)
    if plan["lr_schedule"] not in SCHEDULES:
        raise unknown_name("lr_schedule", plan["lr_schedule"], SCHEDULES)
    return RatePlan(**plan)


def _check_states(tensors: Tensors, layers: int, trained: int, moments: int) -> None:
    """Raise ValueError or KeyError where tensors are not those of one net and its moments."""
    if not 1 <= trained <= layers <= len(tensors) or not 0 <= moments <= len(tensors):
        raise ValueError(f"it says {layers} layers, {trained} of them trained, {moments} moments")
    pairs = [
        [tensors[f"params.{i}.{leaf}"].shape for leaf in Affine._fields] for i in range(layers)
    ]

    def shapes(prefix: str, of: int = layers) -> dict[str, tuple[int | None, ...]]:
        return {
            f"{prefix}.{i}.{leaf}": shape
            for i, pair in enumerate(pairs[layers - of :])
            for leaf, shape in zip(Affine._fields, pair, strict=True)
        }

    needed, optional = shapes("params"), shapes("best") | shapes(f"{UNFINISHED}params")
    for i in range(moments):
        needed |= shapes(f"moments.{i}", trained)
        optional |= shapes(f"{UNFINISHED}moments.{i}", trained)
    optional |= {"steps": (None, None, None), "rates": (None, None)}
    optional |= {f"{UNFINISHED}metrics": (None, None), f"{UNFINISHED}rates": (None,)}
    counts = {name: tensor for name, tensor in tensors.items() if name.endswith("step")}
    if any(count.shape or count.dtype.kind not in "iu" for count in counts.values()):
        raise ValueError("its count of steps is no whole number")
    floats = {name: tensor for name, tensor in tensors.items() if name not in counts}
    require_tensors(floats, needed | optional, optional)


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
    metrics, rates = tensors[f"{UNFINISHED}metrics"], tensors[f"{UNFINISHED}rates"]
    if not len(metrics) == len(rates) > 0:
        raise ValueError(f"its unfinished epoch has {len(metrics)} steps and {len(rates)} rates")
    state = _unpack_state(UNFINISHED, tensors, *form)
    return Unfinished(Seat(state), metrics, rates, float(about["unfinished_seconds"]))


def require_checkpoint(saved: Any) -> Checkpoint:
    """Return a checkpoint as it is. Raises InputError, with the right call, for anything else."""
    if isinstance(saved, Checkpoint):
        return saved
    right = "run.trainer.checkpoint() makes one, xpmlp.Checkpoint.load(path) reads one"
    raise InputError(f"expected an xpmlp.Checkpoint, got {type(saved).__name__}: {right}")
