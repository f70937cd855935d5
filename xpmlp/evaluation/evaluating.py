"""Evaluation of finished runs and saved models, on their own rows or on others."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from xpmlp.data.dataset import Dataset, Rows
from xpmlp.data.registry import AUTO, dataset_names
from xpmlp.errors import InputError
from xpmlp.evaluation.calibration import Spread, spread_over
from xpmlp.evaluation.label_reports import LabelReport
from xpmlp.evaluation.reports import ClassReport, Report, ValueReport
from xpmlp.evaluation.rows import EvaluationRows, other_rows, part_of
from xpmlp.training.config import Config
from xpmlp.training.finished import FinishedRun
from xpmlp.training.model import Model
from xpmlp.training.scoring import evaluate_model
from xpmlp.training.spread import spread_figures, spread_of
from xpmlp.training.texts import loss_text

TITLES = {
    "expected_calibration_error": "ECE",
    "r2": "R²",
    "mean_absolute_error": "absolute error",
    "label_accuracy": "labels right",
    "row_accuracy": "rows right",
}
REPORTS: dict[str, type[Report]] = {
    "classification": ClassReport,
    "multilabel": LabelReport,
    "regression": ValueReport,
}


def evaluate(
    run: FinishedRun | Model,
    dataset: str | Path | None = None,
    *,
    part: str | None = None,
    data_dir: str | Path | None = None,
    max_unpacked: float | None = None,
) -> Report:
    """Evaluate a run, or a model alone, by NumPy.

    dataset: a known name or a file; None means that of the training. Another one is scaled by
        the model's own scaling, and its labels are taken for the model's classes by their names.
    part: `test`, `validation` or `train`; None means the test rows, and of another file all.
    data_dir: the folder that is looked up first for known data sets.
    max_unpacked: the GiB that another file may unpack to, as of `load_dataset`; None: as in the
        run's config.

    Raises InputError where the data can't be had, or does not fit the model.
    """
    model = run if isinstance(run, Model) else run.model
    return report_on(model, _rows(run, dataset, part, data_dir, max_unpacked))


def evaluate_seeds(
    runs: Sequence[FinishedRun],
    dataset: str | Path | None = None,
    *,
    part: str | None = None,
    data_dir: str | Path | None = None,
    max_unpacked: float | None = None,
) -> "SeedReports":
    """Evaluate the runs of several seeds on the same rows; the options are those of `evaluate`."""
    rows = _rows(runs[0], dataset, part, data_dir, max_unpacked)
    seeds = [run.config.seed for run in runs]
    return SeedReports(seeds, [report_on(run.model, rows) for run in runs])


@dataclass(frozen=True, repr=False, eq=False)
class SeedReports:
    """The reports of nets that differ in their seed, all over the same rows."""

    seeds: list[int]
    reports: list[Report]

    @property
    def source(self) -> EvaluationRows:
        """The rows of all reports."""
        return self.reports[0].source

    @property
    def by_folder(self) -> dict[str, Report]:
        """Each report by the folder of its pictures, within that of them all."""
        return {f"seed-{s}": report for s, report in zip(self.seeds, self.reports, strict=True)}

    @cached_property
    def spread(self) -> Spread | None:
        """How far the nets' probabilities are apart, row by row; None where they have none."""
        models = [report.model for report in self.reports]
        return spread_over(models, [report.evaluation.logits for report in self.reports])

    def mean_spread(self) -> dict[str, float | None]:
        """Return its mean over the rows that the nets together get `right` and `wrong`.

        Empty where there are no probabilities; None where there are no such rows.
        """
        if self.spread is None:
            return {}
        right, weights = self.spread.classes == self.source.rows.y, self.source.rows.weights
        weights = np.ones(len(right)) if weights is None else weights
        return {
            name: float(np.average(self.spread.deviation[of], weights=weights[of]))
            if weights[of].sum() > 0
            else None
            for name, of in (("right", right), ("wrong", ~right))
        }

    def figures(self) -> dict[str, Any]:
        """Return each measure's mean, standard deviation and extremes, and the reports' figures.

        probability_spread: as `mean_spread`, where there are probabilities.
        """
        members = [report.figures() for report in self.reports]
        measures = self.reports[0].measures
        shared = ("dataset", "part", "rows", "loss_function")
        return {
            **{name: members[0][name] for name in shared},
            "seeds": self.seeds,
            **{name: spread_figures([m[name] for m in members]) for name in measures},
            **({"probability_spread": spread} if (spread := self.mean_spread()) else {}),
            "members": [{"seed": s, **m} for s, m in zip(self.seeds, members, strict=True)],
        }

    def text(self) -> str:
        """Return a table: each seed's measures, and their means ± standard deviations.

        Below it how far the nets' probabilities are apart.
        """
        names = list(self.reports[0].measures)
        lines = [["seed", *(TITLES.get(name, name) for name in names)]]
        for seed, report in zip(self.seeds, self.reports, strict=True):
            lines.append([f"{seed}", *map(_cell, report.measures.values())])
        lines.append(["mean ± sd", *(self._spread(name) for name in names)])
        table = ["  ".join([f"{first:<9}", *(f"{c:>17}" for c in rest)]) for first, *rest in lines]
        return "\n".join([self.reports[0].heading(), "", *table, *self._spread_lines()])

    def _spread_lines(self) -> list[str]:
        parts = [f"{v:.4f} where {k}" for k, v in self.mean_spread().items() if v is not None]
        if not parts:
            return []
        return ["", f"spread of a row's probability over the seeds (sd): {', '.join(parts)}"]

    def _spread(self, name: str) -> str:
        values = [report.measures[name] for report in self.reports]
        known = [value for value in values if value is not None]
        return str(spread_of(known)) if len(known) == len(values) else ""

    def __repr__(self) -> str:
        return self.text()


def _cell(value: float | None) -> str:
    return "" if value is None else loss_text(value)


def report_on(model: Model, source: EvaluationRows) -> Report:
    """Return what a model makes of rows that it takes. Raises InputError for others."""
    evaluation = evaluate_model(model, source.data, source.rows)
    return REPORTS[source.data.task](model, source, evaluation)


def _rows(
    run: FinishedRun | Model,
    dataset: Any,
    part: str | None,
    data_dir: str | Path | None,
    max_unpacked: float | None,
) -> EvaluationRows:
    """Return the rows to evaluate on: the run's own where they are meant, else others."""
    if not isinstance(dataset, str | Path | None):
        right = "write it to a file, or take what run.predict makes of it"
        if isinstance(dataset, Dataset | Rows):
            right = "run.evaluate() takes the run's own, run.trainer.evaluate(data.test) other rows"
        raise InputError(
            f"expected a known name or a file to evaluate on, got a {type(dataset).__name__}; "
            f"{right}"
        )
    wishes = {"data_dir": _text(data_dir), "max_unpacked": max_unpacked}
    given = {name: value for name, value in wishes.items() if value is not None}
    config = (Config() if isinstance(run, Model) else run.config).replace(**given)
    if isinstance(run, Model):
        known = run.dataset if run.dataset in dataset_names() else None
        name = dataset or known
        if name is None:
            raise InputError(
                "a model's file alone doesn't say where its data is; name it with --dataset"
            )
        return other_rows(run, str(name), part, config)
    if dataset is None or _is_same(str(dataset), run):
        return part_of(run.data_in(_text(data_dir)), part)
    return other_rows(run.model, str(dataset), part, config)


def _is_same(dataset: str, run: FinishedRun) -> bool:
    """Tell whether a name or a file is what the run was trained on."""
    own = run.config.dataset
    if dataset in dataset_names() or own in dataset_names():
        return dataset in (own, run.model.dataset) and dataset != AUTO
    return Path(dataset).expanduser().resolve() == Path(own).resolve()


def _text(path: str | Path | None) -> str | None:
    return None if path is None else str(path)
