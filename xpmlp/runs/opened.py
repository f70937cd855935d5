"""Runs that are opened again: what was trained, read back from its folder."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from xpmlp.data.dataset import Dataset, Scaling
from xpmlp.data.kinds import check_kinds, read_json
from xpmlp.errors import InputError
from xpmlp.runs.directory import (
    CHECKPOINT,
    CONFIG,
    MODEL,
    SUMMARY,
    RunDirectory,
    config_in,
    require_named_rows,
    unfinished,
)
from xpmlp.runs.shown import Shown
from xpmlp.training.checkpoint import Checkpoint
from xpmlp.training.config import Config
from xpmlp.training.ensemble import open_model
from xpmlp.training.evaluation import Evaluation, Score
from xpmlp.training.history import EpochRecord, History
from xpmlp.training.model import Model
from xpmlp.training.problem import fingerprint_of, same_labels
from xpmlp.training.rates import RatePlan
from xpmlp.training.scoring import evaluate_model
from xpmlp.training.setup import load_for
from xpmlp.training.spread import PARTS
from xpmlp.training.texts import named_seeds

_PLAN = {"learning_rate": float, "lr_schedule": str, "lr_decay": float, "since": int, "begins": int}
_FIGURES = {
    "dataset": str,
    "best_epoch": (int, None),
    "learning_rates": [dict],
    "interrupted": bool,
    "threads": (int, None),
    **dict.fromkeys(("failure", "device", "device_name", "backend", "library"), (str, None)),
    **dict.fromkeys(("blas", "compile", "python", "xpmlp"), (str, None)),
    **{f"{part}_{kind}": (float, None) for part in PARTS for kind in Score._fields},
}


@dataclass(frozen=True, repr=False, eq=False)
class OpenedRun(Shown):
    """A run read back from its folder; it can do what the run that `fit` returns can.

    model: of model.safetensors. history: of history.csv and steps.csv, empty where these are
    missing. summary: of summary.json, {} where it is missing.
    """

    path: Path
    config: Config
    model: Model
    history: History
    summary: dict[str, Any]

    @classmethod
    def open(cls, path: str | Path) -> "OpenedRun":
        """Open the run of a single net. No data is loaded.

        Raises InputError where there is none, one whose results are not whole, a damaged one,
        or one of several seeds.
        """
        path = Path(path).expanduser()
        config = _config(path)
        if config.seeds:
            raise InputError(
                f"{path} is a run of several seeds ({named_seeds(config.seeds)}); open one of "
                f"them, as {RunDirectory(path, config).members[0].path}, or all by "
                "xpmlp.open_runs"
            )
        _refuse_unfinished(path)
        model = open_model(path / MODEL)
        try:
            return cls(path, config, model, History.read(path), read_summary(path))
        except InputError as error:
            if not (path / CHECKPOINT).is_file():
                raise
            remedy = f"or write all results anew: xpmlp train --resume {path}"
            raise InputError(f"{error}; {remedy}") from error

    @property
    def title(self) -> str:
        """What it is, in a line."""
        return f"run of {self.model.dataset or self.config.dataset}, opened from {self.path}"

    @property
    def best_epoch(self) -> int | None:
        """The epoch of the lowest validation loss, from 1; None without early stopping."""
        losses = self.history.epoch_values("validation_loss")
        if not self.config.early_stopping or not np.isfinite(losses).any():
            return None
        recorded = self.summary.get("best_epoch")
        if isinstance(recorded, int) and 1 <= recorded <= len(losses):
            return recorded
        return int(np.nanargmin(losses)) + 1

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended it."""
        return bool(self.summary.get("interrupted"))

    @property
    def record(self) -> EpochRecord | None:
        """The epoch whose weights the model has; None before the first has ended."""
        epochs = self.history.epochs
        return epochs[(self.best_epoch or 0) - 1] if epochs else None

    @property
    def plans(self) -> tuple[RatePlan, ...]:
        """The plans of the learning rate as the summary has them, () where it doesn't."""
        plans = self.summary.get("learning_rates", ())
        return tuple(RatePlan(*(plan[name] for name in RatePlan._fields)) for plan in plans)

    @property
    def test_score(self) -> Score | None:
        """Loss and accuracy over the test rows as the summary has them, None where it doesn't."""
        loss, accuracy = (self.summary.get(f"test_{name}") for name in Score._fields)
        return None if loss is None else Score(loss, accuracy)

    @cached_property
    def data(self) -> Dataset:
        """The rows it was trained on, loaded as the config says when they are first asked for.

        Raises InputError where they can't be had, or are no longer those of the training.
        """
        require_named_rows(self.path, self.config, "give others, such as a file, in their place")
        data = load_for(self.config)
        model = self.model
        pairs = (model.scaling, data.scaling), (model.target, data.target)
        if not all(_same_scaling(*pair) for pair in pairs):
            raise InputError(
                f"the rows of {data.name} that are found now are not those that {self.path} was "
                "trained on, as their scaling comes out differently; --data-dir, or "
                "XPMLP_DATA_DIR, names the folder of the right ones"
            )
        if not self._trained_on(data):
            raise InputError(
                f"the rows of {data.name} that {CONFIG} names are not those that {self.path} was "
                "trained on: they have changed since, or were split or chosen otherwise in Python, "
                "where run.evaluate() has them"
            )
        return data

    def _trained_on(self, data: Dataset) -> bool:
        """Tell whether the checkpoint, if there is one, is of training rows with these labels."""
        path = self.path / CHECKPOINT
        known = Checkpoint.load(path).fingerprint if path.is_file() else None
        return known is None or same_labels(known, fingerprint_of(data))

    def data_in(self, folder: str | None) -> Dataset:
        """Return `data`, with known sets looked for in a folder first. Raises as `data` does."""
        if folder is None:
            return self.data
        return replace(self, config=self.config.replace(data_dir=folder)).data

    @cached_property
    def test(self) -> Evaluation | None:
        """Loss, accuracy and logits over the test rows by NumPy, None where there are none.

        Raises InputError as `data` does, and where model and data don't fit together.
        """
        test = self.data.test
        return evaluate_model(self.model, self.data, test) if len(test) else None


def load(path: str | Path) -> OpenedRun:
    """Open the run in a folder, as `OpenedRun.open`."""
    return OpenedRun.open(path)


def open_runs(path: str | Path) -> list[OpenedRun]:
    """Open a run: one for a single net, one per seed, in order, for several seeds.

    Raises InputError where there is none, or a damaged one.
    """
    path = Path(path).expanduser()
    return [OpenedRun.open(place.path) for place in RunDirectory(path, _config(path)).members]


def _config(path: Path) -> Config:
    """Return the config of a run's folder; say what is wrong with a path that is none."""
    if path.is_file():
        raise InputError(
            f"{path} is a file; a run is a folder, with {CONFIG} and {MODEL} in it; of a model "
            "alone use xpmlp.Model.load"
        )
    if not path.is_dir():
        raise InputError(f"there is no folder {path}; give that of a run, such as runs/NAME")
    if not (path / CONFIG).is_file():
        raise InputError(
            f"{path} is no run: it holds no {CONFIG}; give the folder that xpmlp train wrote"
        )
    return config_in(path)


def _refuse_unfinished(path: Path) -> None:
    """Raise InputError where a run was ended before its results were whole.

    Its summary is taken away before they are written, and written last. Without a checkpoint the
    folder is what somebody kept of a run, and needs none.
    """
    needed = (MODEL, SUMMARY) if (path / CHECKPOINT).is_file() else (MODEL,)
    for name in needed:
        if not (path / name).exists():
            raise unfinished(path, name)


def _same_scaling(known: Scaling | None, found: Scaling | None) -> bool:
    """Tell whether two scalings, where both are known, are equal up to rounding."""
    if known is None or found is None:
        return True
    return all(_are_equal(*pair) for pair in zip(known, found, strict=True))


def _are_equal(a: np.ndarray | None, b: np.ndarray | None) -> bool:
    if a is None or b is None:
        return a is b
    return a.shape == b.shape and np.allclose(a, b, rtol=1e-9, atol=1e-12, equal_nan=True)


def read_summary(path: Path) -> dict[str, Any]:
    """Return the figures of a run from its folder, {} where there are none.

    Raises InputError for a file that is damaged.
    """
    try:
        summary = read_json((path / SUMMARY).read_text(encoding="utf-8"))
        check_kinds(summary, _FIGURES, optional=_FIGURES)
        for plan in summary.get("learning_rates", ()):
            check_kinds(plan, _PLAN)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InputError(f"{path / SUMMARY} can't be read: {error.strerror}") from error
    except (KeyError, ValueError) as error:
        reason = f"a learning rate lacks {error}" if isinstance(error, KeyError) else error
        raise InputError(f"{path / SUMMARY} is damaged: {reason}") from error
    return summary
