"""Several runs beside each other: what they came to, how they differ, and their curves."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from xpmlp.errors import InputError
from xpmlp.pictures.compared_curves import compared_curves
from xpmlp.pictures.curves import Curve, stack_runs
from xpmlp.runs.opened import OpenedRun, open_runs
from xpmlp.training.config import Config
from xpmlp.training.spread import spread_figures, spread_of
from xpmlp.training.texts import UNKNOWN, loss_text, setting_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LONGEST_LABEL = 44
MACHINE = ("device", "device_name", "backend", "library", "blas", "python", "xpmlp")
APART = ("device", "backend", "seed", "seeds")
LEARNT = ("dataset", "label", "task")
UNITS = "units of the loss"
Table = list[list[str]]


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

    def of(self, net: OpenedRun) -> float | None:
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


@dataclass(frozen=True)
class ComparedRun:
    """One column: a run of one net, or of several seeds together.

    nets: those that did not fail, or all of them where every one did.
    """

    name: str
    path: Path
    nets: Sequence[OpenedRun]
    failures: Sequence[str]

    @property
    def config(self) -> Config:
        """The settings of its nets, which differ in the seed alone."""
        return self.nets[0].config

    @property
    def dataset(self) -> str:
        """The name of the data set; of a file, without its folder."""
        return Path(str(self.nets[0].summary.get("dataset", self.config.dataset))).name

    @property
    def net(self) -> str:
        """The widths from the inputs to the outputs, as 784-300-10."""
        return "-".join(map(str, self.nets[0].model.sizes))

    @property
    def seeds(self) -> list[int]:
        """The seed of each net."""
        return [net.config.seed for net in self.nets]

    @property
    def epochs(self) -> list[int]:
        """The epochs that each net did."""
        return [len(net.history.epochs) for net in self.nets]

    @property
    def best_epochs(self) -> list[int]:
        """The epoch whose weights each net has; none without early stopping."""
        return [net.best_epoch for net in self.nets if net.best_epoch]

    @property
    def interrupted(self) -> bool:
        """Whether it was ended before its last epoch."""
        return any(net.summary.get("interrupted") for net in self.nets)

    def values(self, measure: Measure) -> list[float]:
        """Return a figure of each net; none where a net lacks it."""
        values = [measure.of(net) for net in self.nets]
        known = [value for value in values if value is not None]
        return known if len(known) == len(values) else []

    def curve(self, label: str, name: str) -> Curve:
        """Return a column of the epochs as a line, or as the mean of the seeds in its band."""
        return Curve.of_runs(
            label, stack_runs([net.history.epoch_values(name) for net in self.nets])
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the column for machines; a figure of several seeds has mean, std, extremes."""
        several = len(self.nets) > 1
        figures = {m.name: self.values(m) for m in MEASURES}
        return {
            "name": self.name,
            "path": str(self.path),
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


@dataclass(frozen=True, repr=False)
class Comparison:
    """Runs side by side; Python and notebooks show it as `text`. `figure` draws the curves."""

    runs: Sequence[ComparedRun]

    @cached_property
    def settings(self) -> dict[str, list[Any]]:
        """The settings that differ, by name, a value per run; the seeds of each run as a list."""
        names = [name for name in Config.names() if name not in APART]
        values = {name: [getattr(run.config, name) for run in self.runs] for name in names}
        return _differing(values | {"seed": [run.seeds for run in self.runs]})

    @cached_property
    def machine(self) -> dict[str, list[Any]]:
        """What differs in library, device and versions, by name, a value per run."""
        return _differing(
            {name: [run.nets[0].summary.get(name) for run in self.runs] for name in MACHINE}
        )

    @cached_property
    def best(self) -> dict[str, list[str]]:
        """The names of the runs that are best in each figure.

        Runs that look the same in the table are equally good; where all do, or where the figure
        does not mean the same in all, none is best.
        """
        return {m.name: best for m in MEASURES if (best := self._best(m))}

    def _best(self, measure: Measure) -> list[str]:
        means = {run.name: np.mean(v) for run in self.runs if (v := run.values(measure))}
        if any(self._differs(name) for name in measure.shared) or len(means) < 2:
            return []
        best = measure.text(float((max if measure.highest else min)(means.values())))
        names = [name for name, mean in means.items() if measure.text(float(mean)) == best]
        return names if len(names) < len(means) else []

    def _differs(self, *settings: str) -> bool:
        units = {UNITS: [run.nets[0].model.target is None for run in self.runs]}
        return any(name in self.settings | _differing(units) for name in settings)

    @property
    def notes(self) -> list[str]:
        """What to know before one takes a difference for a finding, a line each."""
        notes = [f"{run.name}: {failure}" for run in self.runs for failure in run.failures]
        notes += [f"{run.name} was interrupted" for run in self.runs if run.interrupted]
        if self._differs("dataset"):
            names = ", ".join(dict.fromkeys(run.dataset for run in self.runs))
            notes.append(
                f"different data sets ({names}): losses and accuracies are not to be compared, so "
                "none is marked as best"
            )
        elif self._differs(*LEARNT):
            notes.append("different labels or tasks, so no loss or accuracy is marked as best")
        elif self._differs("loss"):
            notes.append("different losses: their values are not to be compared, accuracies are")
        elif self._differs(UNITS):
            notes.append(
                "some losses are of values in their own units, others of values in units of their "
                "deviation: they are not to be compared"
            )
        elif self._differs("data_seed", "validation"):
            notes.append("data_seed or validation differs, so the rows are not all the same")
        kinds = {bool(run.nets[0].model.class_names) for run in self.runs}
        if len(kinds) > 1:
            notes.append("some runs fit values instead of classes: these have no accuracy")
        return notes

    @property
    def labels(self) -> list[str]:
        """What tells the runs apart in a picture: their settings where short, else their names."""
        named = {name: v for name, v in self.settings.items() if name != "data_dir"}
        labels = [
            ", ".join(f"{name.replace('_', ' ')} {setting_text(v[i])}" for name, v in named.items())
            for i in range(len(self.runs))
        ]
        short = all(0 < len(label) <= LONGEST_LABEL for label in labels)
        apart = len(set(labels)) == len(labels)
        return labels if short and apart else [run.name for run in self.runs]

    def tables(self) -> dict[str, Table]:
        """Return the tables as texts, by title: results, settings and machines that differ."""
        heading = ["", *(run.name for run in self.runs)]
        tables = {"results": [heading, *self._results()]}
        for title, values in (("settings", self.settings), ("machines", self.machine)):
            if values:
                rows = [[name, *map(setting_text, row)] for name, row in values.items()]
                tables[f"{title} that differ"] = [heading, *rows]
        return tables

    def _results(self) -> Table:
        rows = [
            ["data set", *(run.dataset for run in self.runs)],
            ["net", *(run.net for run in self.runs)],
            ["seeds", *(str(len(run.nets)) for run in self.runs)],
            ["epochs", *(_range(run.epochs) for run in self.runs)],
            ["best epoch", *(_range(run.best_epochs) for run in self.runs)],
            *([m.title, *(self._cell(run, m) for run in self.runs)] for m in MEASURES),
        ]
        dull = {"seeds": {"1"}}
        return [row for row in rows if not set(row[1:]) <= dull.get(row[0], {UNKNOWN})]

    def _cell(self, run: ComparedRun, measure: Measure) -> str:
        values = run.values(measure)
        if not values:
            return UNKNOWN
        mean, sd, *_ = spread_of(values)
        text = measure.text(mean)
        if len(values) > 1 and measure.has_spread:
            text += f" ± {measure.text(sd)}"
        return f"{text} *" if run.name in self.best.get(measure.name, ()) else text

    def text(self, width: int = 100) -> str:
        """Return tables and notes as they are printed, in blocks of columns that fit."""
        parts = []
        for title, table in self.tables().items():
            parts.append(f"{title}\n{table_text(table, width)}")
        legend = ["* best of its row"] if self.best else []
        if any(len(run.nets) > 1 for run in self.runs):
            legend.append("mean ± standard deviation over the seeds of a run")
        if not self.settings:
            legend.append("the settings do not differ")
        legend += [f"note: {note}" for note in self.notes]
        return "\n\n".join([*parts, *(["\n".join(legend)] if legend else [])])

    __repr__ = text

    def as_dict(self) -> dict[str, Any]:
        """Return all of it for machines."""
        return {
            "runs": [run.as_dict() for run in self.runs],
            "best": self.best,
            "settings": self.settings,
            "machine": self.machine,
            "notes": self.notes,
        }

    @property
    def has_curves(self) -> bool:
        """Whether any run has done an epoch."""
        return any(any(run.epochs) for run in self.runs)

    def figure(self) -> "Figure":
        """Draw loss and accuracy per epoch, training beside validation, a colour per run."""
        curves = {
            (part, kind): [
                run.curve(label, f"{part}_{kind}")
                for run, label in zip(self.runs, self.labels, strict=True)
            ]
            for kind in ("loss", "accuracy")
            for part in ("train", "validation")
        }
        return compared_curves(curves)


def compare(runs: Iterable[str | Path | OpenedRun]) -> Comparison:
    """Return runs side by side, each given by its folder or already opened.

    Raises InputError for fewer than two, for the same one twice, and for a folder that is no run.
    """
    opened = [_opened(run) for run in runs]
    if len(opened) < 2:
        raise InputError(f"a comparison needs two runs or more, got {len(opened)}")
    paths = [path.resolve() for path, _ in opened]
    for path, _ in opened:
        if paths.count(path.resolve()) > 1:
            raise InputError(f"{path} is given twice; a run can't be compared with itself")
    columns = zip(short_names(paths), opened, strict=True)
    return Comparison([_column(name, path, nets) for name, (path, nets) in columns])


def _opened(run: str | Path | OpenedRun) -> tuple[Path, list[OpenedRun]]:
    if isinstance(run, OpenedRun):
        return run.path, [run]
    return Path(run).expanduser(), open_runs(run)


def _column(name: str, path: Path, nets: Sequence[OpenedRun]) -> ComparedRun:
    failed = {n.config.seed: why for n in nets if (why := n.summary.get("failure"))}
    good = [net for net in nets if net.config.seed not in failed]
    failures = [f"seed {seed} failed: {why}" for seed, why in failed.items()]
    return ComparedRun(name, path, good or nets, failures)


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


def table_text(table: Table, width: int) -> str:
    """Return a table with a heading as text; columns beyond the width go to a block below."""
    widths = [max(map(len, column)) + 2 for column in zip(*table, strict=True)]
    blocks: list[list[int]] = [[]]
    for i, needed in enumerate(widths[1:], start=1):
        if blocks[-1] and widths[0] + sum(widths[j] for j in blocks[-1]) + needed > width:
            blocks.append([])
        blocks[-1].append(i)
    return "\n\n".join(
        "\n".join(
            (row[0].ljust(widths[0]) + "".join(_aligned(row[i], widths[i]) for i in block)).rstrip()
            for row in table
        )
        for block in blocks
    )


def _aligned(cell: str, width: int) -> str:
    """Return a cell to the right of its column, the star of the best hanging over."""
    return f"{cell}".rjust(width + 2) if cell.endswith(" *") else cell.rjust(width) + "  "


def _differing(values: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {name: row for name, row in values.items() if any(v != row[0] for v in row)}


def _range(numbers: Sequence[int]) -> str:
    if not numbers:
        return UNKNOWN
    low, high = min(numbers), max(numbers)
    return f"{low}" if low == high else f"{low} to {high}"
