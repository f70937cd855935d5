"""The columns of a comparison: runs of one net, or of several seeds, and their figures."""

import math
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from xpmlp import __version__
from xpmlp.errors import InputError
from xpmlp.pictures.curve import Curve, stack_runs
from xpmlp.runs.opened import OpenedRun, open_runs
from xpmlp.runs.run import Run
from xpmlp.runs.saving import config_of
from xpmlp.training.config import OF_COMPILED_STEPS, Config
from xpmlp.training.finished import FinishedRun
from xpmlp.training.spread import spread_figures
from xpmlp.training.texts import loss_text

LEARNT = ("dataset", "label", "task")
UNITS = "units of the loss"
OF_SEEDS = ("seed", "seeds", *OF_COMPILED_STEPS)
Given = str | Path | Run | OpenedRun


class Measure(NamedTuple):
    """One figure of a net, and whether a higher one is better.

    shared: the settings that two runs must share for the figure to mean the same in both; one of
        them may be the units in which values are learnt.
    has_spread: whether its spread over seeds tells anything; seeds that trained at once share
        their time.
    """

    name: str
    highest: bool = False
    shared: tuple[str, ...] = ()
    has_spread: bool = True
    text: Callable[[float], str] = loss_text

    @property
    def title(self) -> str:
        """As it is printed."""
        return self.name.replace("_", " ")

    def of(self, net: FinishedRun) -> float | None:
        """Return the figure of one net, None where there is none."""
        part, _, kind = self.name.partition("_")
        if self.name == "seconds_per_epoch":
            seconds = net.history.epoch_values("seconds")
            value = float(np.median(seconds)) if len(seconds) else None
        elif part == "test":
            value = getattr(net.test_score, kind, None)
        else:
            value = getattr(net.record, self.name, None)
        return value if value is not None and math.isfinite(value) else None


def _steps(config: Config) -> dict[str, Any]:
    return {"compile": config.compile, "threads": config.threads}


MEASURES = (
    *(
        measure
        for part in ("train", "validation", "test")
        for measure in (
            Measure(f"{part}_loss", shared=(*LEARNT, "loss", UNITS)),
            Measure(f"{part}_accuracy", highest=True, shared=LEARNT),
        )
    ),
    Measure("seconds_per_epoch", has_spread=False, text=lambda seconds: f"{seconds:.2g}"),
)


class Net(NamedTuple):
    """A run of one net.

    config: with every `auto` replaced by what it came to. about: what its summary says, or would
    say, of data, machine, failure and interruption.
    """

    run: FinishedRun
    config: Config
    about: Mapping[str, Any]

    @classmethod
    def of(cls, run: Run | OpenedRun) -> "Net":
        """Return a run with what is known around it."""
        if isinstance(run, OpenedRun):
            return cls(run, run.config, run.summary | _steps(run.config))
        machine = run.trainer.backend.describe() | _steps(run.config)
        about = {
            "dataset": run.data.name,
            "interrupted": run.interrupted,
            "failure": str(run.failure) if run.failure else None,
            "blas": machine.get("blas") or None,
            "python": platform.python_version(),
            "xpmlp": __version__,
        }
        return cls(run, config_of(run), machine | about)


@dataclass(frozen=True)
class ComparedRun:
    """One column: a run of one net, or of several seeds together.

    path: its folder, None for one that was not opened from any. nets: those that did not fail,
    or all of them where every one did.
    """

    name: str
    path: Path | None
    nets: Sequence[Net]
    failures: Sequence[str]

    @classmethod
    def of(cls, name: str, path: Path | None, nets: Sequence[Net]) -> "ComparedRun":
        """Return the column of nets that differ in the seed alone."""
        failed = [(net.config.seed, why) for net in nets if (why := net.about.get("failure"))]
        good = [net for net in nets if not net.about.get("failure")]
        failures = [f"seed {seed} failed: {why}" for seed, why in failed]
        return cls(name, path, good or nets, failures)

    @property
    def config(self) -> Config:
        """The settings of its nets, which differ in the seed alone."""
        return self.nets[0].config

    @property
    def dataset(self) -> str:
        """The name of the data set; of a file, without its folder."""
        return Path(str(self.nets[0].about.get("dataset", self.config.dataset))).name

    @property
    def net(self) -> str:
        """The widths from the inputs to the outputs, as 784-300-10."""
        return self.nets[0].run.model.widths

    @property
    def seeds(self) -> list[int]:
        """The seed of each net."""
        return [net.config.seed for net in self.nets]

    @property
    def epochs(self) -> list[int]:
        """The epochs that each net did."""
        return [len(net.run.history.epochs) for net in self.nets]

    @property
    def best_epochs(self) -> list[int]:
        """The epoch whose weights each net has; none without early stopping."""
        return [net.run.best_epoch for net in self.nets if net.run.best_epoch]

    @property
    def interrupted(self) -> bool:
        """Whether it was ended before its last epoch."""
        return any(net.about.get("interrupted") for net in self.nets)

    def values(self, measure: Measure) -> list[float]:
        """Return a figure of each net; none where a net lacks it."""
        values = [measure.of(net.run) for net in self.nets]
        known = [value for value in values if value is not None]
        return known if len(known) == len(values) else []

    def curve(self, label: str, name: str) -> Curve:
        """Return a column of the epochs as a line, or as the mean of the seeds in its band."""
        return Curve.of_runs(
            label, stack_runs([net.run.history.epoch_values(name) for net in self.nets])
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the column for machines; a figure of several seeds has mean, std, extremes."""
        several = len(self.nets) > 1
        figures = {m.name: self.values(m) for m in MEASURES}
        return {
            "name": self.name,
            "path": str(self.path) if self.path else None,
            "dataset": self.dataset,
            "net": self.net,
            "seeds": self.seeds,
            "epochs": max(self.epochs),
            "best_epochs": self.best_epochs,
            "interrupted": self.interrupted,
            "failures": list(self.failures),
            **{
                name: spread_figures(values) if several else next(iter(values), None)
                for name, values in figures.items()
            },
        }


class Found(NamedTuple):
    """What was given for a column: its folder, or None, and its nets."""

    path: Path | None
    nets: list[Net]


def found(given: Given | Sequence[Given]) -> Found:
    """Return what is given for one column, opened where it is a path.

    given: a run, a path, or several of them that differ in the seed alone. Raises InputError for
    anything else, and where there is no run.
    """
    if isinstance(given, Run):
        return Found(None, [Net.of(given)])
    if isinstance(given, OpenedRun):
        return Found(given.path, [Net.of(given)])
    if isinstance(given, str | Path):
        return Found(Path(given).expanduser(), [Net.of(run) for run in open_runs(given)])
    if not isinstance(given, Sequence) or not given:
        raise InputError(
            f"a run to compare is what fit or load returns, a folder, or a list of seeds' runs; "
            f"got {type(given).__name__}"
        )
    nets = [net for each in given for net in found(each).nets]
    _refuse_others_than_seeds(nets)
    return Found(None, nets)


def _refuse_others_than_seeds(nets: Sequence[Net]) -> None:
    first = nets[0].config
    differing = [
        name
        for name in Config.names()
        if name not in OF_SEEDS
        and any(getattr(net.config, name) != getattr(first, name) for net in nets)
    ]
    if differing:
        raise InputError(
            "runs in a list of their own are one column, the mean over their seeds, and these "
            f"differ in {', '.join(differing)}; give such runs one by one"
        )


def short_names(paths: Sequence[Path]) -> list[str]:
    """Return the folder's name of each path, after as many parents as tell it from the others."""
    names = []
    for path in paths:
        others = [other for other in paths if other != path]
        length = 1
        while any(other.parts[-length:] == path.parts[-length:] for other in others):
            length += 1
        names.append("/".join(path.parts[-length:]))
    return names
