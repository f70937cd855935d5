"""The tables of a run's report: its figures, seeds, classes, mistakes, settings and machine."""

from collections.abc import Sequence
from dataclasses import Field, fields
from typing import Any

import numpy as np

from xpmlp.data.dataset import Rows
from xpmlp.data.tables.describing import TITLES, TableAbout
from xpmlp.data.tables.restoring import entries as table_entries
from xpmlp.evaluation.intervals import wilson_interval
from xpmlp.evaluation.reports import ClassReport, ValueReport, most_frequent
from xpmlp.evaluation.rows import part_of
from xpmlp.pages.parts import Markup, Row, element, joined, table
from xpmlp.pictures.outcomes import worst_mistakes
from xpmlp.pictures.regions import certainties
from xpmlp.training.config import Config
from xpmlp.training.finished import FinishedRun
from xpmlp.training.model import Model, decide
from xpmlp.training.spread import PARTS
from xpmlp.training.texts import loss_text, setting_text, value_text

SHOWN_SEEDS = 200
SHOWN_CLASSES = 200
SHOWN_MISTAKES = 10
SHOWN_FEATURES = 8
SHOWN_COLUMNS = 200
FIGURES = tuple(f"{part}_{kind}" for part in PARTS for kind in ("loss", "accuracy"))
MACHINE = {
    "library": "array library",
    "device": "device",
    "device_name": "processor or GPU",
    "blas": "BLAS",
    "dtype": "floating-point type",
    "matmul_precision": "matrix products",
    "rounded_products": "products rounded in",
    "steps": "steps",
    "python": "Python",
    "xpmlp": "xpmlp",
}


def results_table(run: FinishedRun, summary: dict[str, Any]) -> Markup:
    """Return loss and accuracy over each part of the data; a column without a figure is left out.

    Accuracies of rows that were not trained on have an interval.
    """
    heading = ("part", "rows", "loss", "accuracy", "95 % interval")
    rows = []
    for part in PARTS:
        loss, accuracy = (summary.get(f"{part}_{kind}") for kind in ("loss", "accuracy"))
        if loss is not None:
            of_part: Rows = getattr(run.data, part)
            interval = "" if part == "train" else interval_text(accuracy, of_part)
            rows.append([part, f"{len(of_part):,}", loss_text(loss), _figure(accuracy), interval])
    kept = [i for i, column in enumerate(zip(*rows, strict=True)) if any(column)]
    return table(
        "Loss and accuracy", [heading[i] for i in kept], [[row[i] for i in kept] for row in rows]
    )


def interval_text(accuracy: float | None, rows: Rows) -> str:
    """Return the 95 % interval of an accuracy as `0.9707 to 0.9769`; "" for weighted rows."""
    if accuracy is None or rows.weights is not None:
        return ""
    return str(wilson_interval(round(accuracy * len(rows)), len(rows)))


def seeds_table(summary: dict[str, Any]) -> Markup:
    """Return a row of figures for each seed, and mean ± sd of those that did not fail."""
    members = summary["members"]
    names = [
        name for name in reversed(FIGURES) if any(member[name] is not None for member in members)
    ]
    heading = ["seed", "epochs", *(name.replace("_", " ") for name in names)]
    rows = [
        [str(m["seed"]), str(m["epochs"]), *(_figure(m[name]) for name in names)]
        for m in members[:SHOWN_SEEDS]
    ]
    means = [mean_text(summary[name]) for name in names]
    box = table("Figures of each seed", heading, rows, last=[["mean ± sd", "", *means]])
    if len(members) <= SHOWN_SEEDS:
        return box
    note = f"The first {SHOWN_SEEDS} of {len(members):,} seeds; summary.json has them all."
    return joined([box, element("p", note, "soft")])


def mean_text(figure: dict[str, float | None] | None) -> str:
    """Return `0.9800 ± 0.0035` of a figure over several seeds, "" without one."""
    if figure is None:
        return ""
    return " ± ".join(_figure(figure[name]) for name in ("mean", "std") if figure[name] is not None)


def class_table(run: FinishedRun) -> str:
    """Return precision, recall and F1 of each class over the test rows; "" without any."""
    if not run.model.class_names or run.test is None:
        return ""
    report = ClassReport(run.model, part_of(run.data), run.test)
    names, of_classes = run.model.class_names, report.of_classes
    shown = most_frequent(of_classes[3], SHOWN_CLASSES)
    rows = [
        [names[i], *(f"{measure:.4f}" for measure in of_classes[:3, i]), f"{of_classes[3, i]:,.0f}"]
        for i in shown
    ]
    means = [f"{mean:.4f}" for mean in of_classes[:3].mean(axis=1)]
    last = ["mean", *means, f"{len(report.true):,}"]
    heading = ("class", "precision", "recall", "F1", "rows")
    box = table("Precision, recall and F1 of each class", heading, rows, last=[last])
    if len(names) <= SHOWN_CLASSES:
        return box
    note = (
        f"The {SHOWN_CLASSES} classes with the most rows, of {len(names):,}; the mean is of all of "
        "them, and xpmlp evaluate --json has the figures of each."
    )
    return joined([box, element("p", note, "soft")])


def values_tables(run: FinishedRun) -> str:
    """Return how far off the predicted values of the test rows are; "" for classes."""
    if run.data.task != "regression" or run.test is None:
        return ""
    report = ValueReport(run.model, part_of(run.data), run.test)
    measures = {
        "R²": report.r2,
        "mean absolute error": report.mean_absolute_error,
        "root mean square error": report.root_mean_square_error,
    }
    known = [[name, value_text(value)] for name, value in measures.items() if value is not None]
    one = report.true.shape[1] == 1
    worst = [
        [
            f"{e.row:,}" if one else f"{e.row:,}, output {e.output}",
            *(f"{e.true:.5g}", f"{e.predicted:.5g}", f"{e.error:+.5g}"),
        ]
        for e in report.largest_errors(SHOWN_MISTAKES)
    ]
    heading = ("row, from 0", "true", "predicted", "error")
    return joined(
        [
            table("Errors over all test rows", ("measure", "value"), known),
            element("h3", "Largest errors"),
            table("Largest errors", heading, worst),
        ]
    )


def mistakes_table(run: FinishedRun) -> str:
    """Return the test rows that were got wrong with the most certainty; "" for images."""
    model = run.model
    if not model.class_names or model.image_shape or run.test is None:
        return ""
    rows, classes = run.data.test, decide(run.test.logits)
    certainty = certainties(model, run.test.logits, classes)
    worst = worst_mistakes(rows.y, classes, certainty, SHOWN_MISTAKES)
    if not len(worst):
        return element("p", "None: every test row was got right.")
    names, output = model.class_names, _output_name(model)
    features, entries = _raw_features(model, np.asarray(rows.x)[worst])
    cells = [
        [names[rows.y[i]], names[classes[i]], f"{certainty[i]:.3f}", *shown[:SHOWN_FEATURES]]
        for i, shown in zip(worst, entries, strict=True)
    ]
    heading = ("true class", "predicted", output, *features[:SHOWN_FEATURES])
    return table("Worst mistakes", heading, cells)


def _output_name(model: Model) -> str:
    return "probability" if model.loss.endswith("cross_entropy") else "output"


def _raw_features(model: Model, x: np.ndarray) -> tuple[Sequence[str], list[list[str]]]:
    """Return the names of the features, and those of rows (N, D) as they were before scaling."""
    raw = x if model.scaling is None else model.scaling.undo(x)
    if model.columns:
        return [rule.name for rule in model.columns], table_entries(model.columns, raw)
    names = model.feature_names or [f"x{i + 1}" for i in range(x.shape[1])]
    return names, [[f"{value:.4g}" for value in row[:SHOWN_FEATURES]] for row in raw]


def columns_table(about: TableAbout | None) -> str:
    """Return what a table of somebody's own was taken for, a row each column; "" without one."""
    if about is None:
        return ""
    rows = [column.cells() for column in about.columns[:SHOWN_COLUMNS]]
    rest = len(about.columns) - len(rows)
    more = f" The first {len(rows):,} of {len(about.columns):,} columns are shown." if rest else ""
    return joined(
        [
            element("p", f"{about.form()}; {about.line()}.{more}"),
            table("What each column was taken for", TITLES, rows),
        ]
    )


def settings_tables(config: Config) -> Markup:
    """Return a table of settings for each group; those that are not the default stand out."""
    groups: dict[str, list[Sequence[str]]] = {}
    for item in fields(Config):
        groups.setdefault(item.metadata["group"], []).append(_setting_row(config, item))
    return joined(
        [
            part
            for group, rows in groups.items()
            for part in (
                element("h3", group.capitalize()),
                table(f"Settings: {group}", ("setting", "value"), rows, css="texts"),
            )
        ]
    )


def _setting_row(config: Config, item: Field[Any]) -> Sequence[str]:
    value = getattr(config, item.name)
    about = element("small", str(item.metadata["help"]))
    row = [joined([element("code", item.name), about], " "), setting_text(value)]
    if value == item.metadata["usual"]:
        return row
    default = element("small", f"default: {setting_text(item.metadata['usual'])}")
    return Row((row[0], joined([row[1], default], " ")))


def machine_table(summary: dict[str, Any]) -> str:
    """Return what the run was computed with, and how fast."""
    rows = [
        [title, setting_text(summary[name])] for name, title in MACHINE.items() if summary.get(name)
    ]
    if seconds := summary.get("seconds_per_epoch"):
        rows.append(["seconds per epoch", f"{seconds:.3g}"])
        rows.append(["training rows per second", f"{summary['images_per_second']:,.0f}"])
    if memory := summary.get("peak_memory_bytes"):
        rows.append(["peak memory", f"{memory / 2**20:,.0f} MiB"])
    if finished := summary.get("finished"):
        rows.append(["finished", finished.replace("T", " ").replace("+00:00", " UTC")])
    return table("Machine and versions", ("what", "value"), rows, css="texts") if rows else ""


def _figure(value: float | None) -> str:
    return "" if value is None else loss_text(value)
