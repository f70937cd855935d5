"""Several runs beside each other: what they came to, how they differ, and their curves."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from xpmlp.errors import InputError
from xpmlp.pictures.compared_curves import compared_curves
from xpmlp.runs.compared import (
    LEARNT,
    MEASURES,
    UNITS,
    ComparedRun,
    Found,
    Given,
    Measure,
    found,
    short_names,
)
from xpmlp.training.config import OF_COMPILED_STEPS, Config
from xpmlp.training.spread import spread_of
from xpmlp.training.texts import UNKNOWN, setting_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LONGEST_LABEL, LONGEST_NAME = 44, 30
MACHINE = (
    *("device", "device_name", "backend", "library", "blas"),
    *("compile", "threads", "python", "xpmlp"),
)
APART = ("device", "backend", *OF_COMPILED_STEPS, "seed", "seeds")
Table = list[list[str]]


@dataclass(frozen=True, repr=False)
class Comparison:
    """Runs side by side; Python and notebooks show it as `text`. `plot` draws the curves.

    named: whether the names were chosen by somebody, so that pictures have them too.
    """

    runs: Sequence[ComparedRun]
    named: bool = False

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
            {name: [run.nets[0].about.get(name) for run in self.runs] for name in MACHINE}
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
        units = {UNITS: [run.nets[0].run.model.target is None for run in self.runs]}
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
        kinds = {bool(run.nets[0].run.model.class_names) for run in self.runs}
        if len(kinds) > 1:
            notes.append("some runs fit values instead of classes: these have no accuracy")
        return notes

    @cached_property
    def labels(self) -> list[str]:
        """What tells the runs apart in a picture: names that were chosen, else short settings."""
        differences = [] if self.named else self.differences(LONGEST_LABEL)
        return differences or [run.name for run in self.runs]

    def differences(self, longest: int) -> list[str]:
        """Return the settings that tell the runs apart, none where they don't or are too long."""
        named = {name: v for name, v in self.settings.items() if name != "data_dir"}
        labels = [
            ", ".join(f"{name.replace('_', ' ')} {setting_text(v[i])}" for name, v in named.items())
            for i in range(len(self.runs))
        ]
        short = all(0 < len(label) <= longest for label in labels)
        return labels if short and len(set(labels)) == len(labels) else []

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

    def plot(self, *, ax: "Axes | Sequence[Axes] | None" = None) -> Any:
        """Draw loss and accuracy per epoch, training beside validation, a colour per run.

        ax: axes to draw on in place of a figure of its own, as many as the panels, row by row.
        Returns matplotlib's figure, or these.
        Raises InputError for another number, and where no run has done an epoch.
        """
        if not self.has_curves:
            raise InputError("no run has an epoch, so there are no curves to draw")
        curves = {
            (part, kind): [
                run.curve(label, f"{part}_{kind}")
                for run, label in zip(self.runs, self.labels, strict=True)
            ]
            for kind in ("loss", "accuracy")
            for part in ("train", "validation")
        }
        figure = compared_curves(curves, ax=ax)
        return figure if ax is None else ax


def compare_runs(
    runs: Iterable[Given | Sequence[Given]] | Mapping[str, Given | Sequence[Given]],
) -> Comparison:
    """Return runs side by side: a `Comparison` that shows itself as tables, with `plot()`.

    runs: what `fit` or `load` returned, folders, or lists of runs that differ in the seed alone,
        which are one column with mean and deviation; in any mixture. The keys of a dict name
        the columns. Else folders have their own names, and others what differs in their settings.
    Raises InputError for fewer than two, for the same one twice, and for what is no run.
    """
    if isinstance(runs, Given):
        raise InputError("a comparison needs two runs or more, in a list or a dict")
    given = list(runs.values() if isinstance(runs, Mapping) else runs)
    if len(given) < 2:
        raise InputError(f"a comparison needs two runs or more, got {len(given)}")
    columns = [found(run) for run in given]
    _refuse_twins(columns)
    if isinstance(runs, Mapping):
        return _side_by_side(list(map(str, runs)), columns, named=True)
    return _side_by_side(_names(columns), columns)


def _side_by_side(
    names: Sequence[str], columns: Sequence[Found], *, named: bool = False
) -> Comparison:
    pairs = zip(names, columns, strict=True)
    return Comparison([ComparedRun.of(name, path, nets) for name, (path, nets) in pairs], named)


def _refuse_twins(columns: Sequence[Found]) -> None:
    seen: set[Any] = set()
    for path, nets in columns:
        for known in [path.resolve()] if path else [id(net.run) for net in nets]:
            if known in seen:
                which = path or nets[0].run.title
                raise InputError(f"{which} is given twice; a run can't be compared with itself")
            seen.add(known)


def _names(columns: Sequence[Found]) -> list[str]:
    """Return the name of each folder, and of other runs what differs in them, else a number."""
    paths = [path.resolve() for path, _ in columns if path]
    numbers = [f"run {i}" for i in range(1, len(columns) + 1)]
    others = _side_by_side(numbers, columns).differences(LONGEST_NAME) or numbers
    of_paths = iter(short_names(paths))
    names = [
        next(of_paths) if path else other for (path, _), other in zip(columns, others, strict=True)
    ]
    return names if len(set(names)) == len(names) else numbers


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
