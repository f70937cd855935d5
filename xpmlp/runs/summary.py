"""What a run came to: the figures for machines, and the lines for people."""

import math
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from xpmlp import __version__
from xpmlp.backends.registry import Selection
from xpmlp.distributed.costs import costs_text
from xpmlp.evaluation.label_reports import LabelReport
from xpmlp.evaluation.reports import ValueReport
from xpmlp.evaluation.rows import part_of
from xpmlp.training.finished import TrainedRun
from xpmlp.training.texts import loss_text, named_seeds, net_text, training_text, value_text
from xpmlp.training.trainer import Trainer

LABEL_FIGURE = "test_label_accuracy"
VALUE_FIGURES = ("test_r2", "test_root_mean_square_error", "test_mean_absolute_error")


def summarize(run: TrainedRun, selection: Selection, run_dir: str) -> dict[str, Any]:
    """Return the run's figures for summary.json and `--json`; what is unknown is None.

    seconds_per_epoch is the median of training alone, without evaluation; on JAX the first
    epoch includes the compilation.
    """
    trainer, config, about = run.trainer, run.trainer.config, selection.backend.describe()
    decision = trainer.problem.decision
    seconds = run.history.epoch_values("seconds")
    per_epoch = float(np.median(seconds)) if len(seconds) else None
    record = run.record
    figures = {
        "dataset": trainer.data.name,
        "backend": about["backend"],
        "device": about["device"],
        "device_requested": selection.device_requested,
        "fallback_reason": selection.fallback_reason,
        "seed": config.seed,
        "epochs": len(run.history.epochs),
        "best_epoch": record.epoch if record else None,
        "learning_rates": [plan._asdict() for plan in trainer.plans],
        "interrupted": run.interrupted,
        "failure": str(run.failure) if run.failure else None,
        "parameters": run.model.n_parameters,
        "train_loss": record.train_loss if record else None,
        "train_accuracy": record.train_accuracy if record else None,
        "validation_loss": record.validation_loss if record else None,
        "validation_accuracy": record.validation_accuracy if record else None,
        "test_loss": run.test.loss if run.test else None,
        "test_accuracy": run.test.accuracy if run.test else None,
        **_value_figures(run),
        "seconds_per_epoch": per_epoch,
        "images_per_second": len(trainer.data.train) / per_epoch if per_epoch else None,
        "peak_memory_bytes": selection.backend.memory(),
        "dtype": about["dtype"],
        "matmul_precision": about["matmul_precision"],
        "matmul_precision_requested": selection.matmul_precision_requested,
        "rounded_products": _rounded_products(trainer) or None,
        "compile": config.compile,
        "compile_requested": decision.asked,
        "compile_reason": trainer.problem.not_compiled or decision.reason or None,
        "threads": decision.threads,
        "steps": trainer.problem.how or None,
        "ranks": trainer.backend.shared(),
        "library": about["library"],
        "device_name": about["device_name"],
        "blas": about.get("blas") or None,
        "python": platform.python_version(),
        "xpmlp": __version__,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "run_dir": run_dir,
    }
    return {name: _finite(value) for name, value in figures.items()}


def _value_figures(run: TrainedRun) -> dict[str, float | None]:
    """Return how far off values of the test rows are, in the label's own units, and how many of
    several labels a row were told right."""
    figures: dict[str, float | None] = dict.fromkeys((*VALUE_FIGURES, LABEL_FIGURE))
    if run.data.task == "regression" and run.test:
        report = ValueReport(run.model, part_of(run.data), run.test)
        errors = report.root_mean_square_error, report.mean_absolute_error
        figures |= dict(zip(VALUE_FIGURES, (report.r2, *errors), strict=True))
    if run.data.task == "multilabel" and run.test:
        labels = LabelReport(run.model, part_of(run.data), run.test)
        figures[LABEL_FIGURE] = labels.label_accuracy
    return figures


def _finite(value: Any) -> Any:
    """Return None for what JSON can't say: the test rows may overflow where training did not."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def header(trainers: Sequence[Trainer]) -> str:
    """Return the lines that stand above a run: data, net, training, machine."""
    trainer = trainers[0]
    data, config, missing = trainer.data, trainer.config, trainer.problem.decision.missing
    model = trainer.model()
    parts = {"training": data.train, "validation": data.validation, "test": data.test}
    rows = ", ".join(f"{len(part):,} {name}" for name, part in parts.items())
    outputs = {
        "classification": f"{len(data.class_names):,} classes",
        "multilabel": f"{data.n_outputs} labels of 0 or 1",
        "regression": "regression",
    }[data.task]
    training = training_text(config, f"{trainer.batch_size:,}")
    return "\n".join(
        [
            f"data      {data.name}: {rows} rows; {data.n_features} inputs, {outputs}",
            *([f"table     {data.about.line()}"] if data.about else []),
            f"net       {net_text(model)}",
            f"training  {training}, {_seeds(trainers)}",
            f"machine   {_machine(trainer)}",
            *([f"          not compiled: {missing}; NumPy replays the steps"] if missing else []),
        ]
    )


def _machine(trainer: Trainer) -> str:
    """Return library, device and dtype; the precision of matrix products; and how steps run.

    Precision on a CPU is full unless some are rounded. A BLAS that compiled steps call has no
    threads of its own.
    """
    rounded, how = _rounded_products(trainer), trainer.problem.how
    with trainer.problem.running():
        about = trainer.backend.describe()
    blas = about.get("blas", "")
    parts = [f"{about['library']} on {about['device']} ({about['device_name']})", about["dtype"]]
    if about["device"] != "cpu" or rounded:
        products = f"{about['matmul_precision'].replace('tf32', 'TF32')} matrix products"
        parts.append(f"{products} in {rounded}" if rounded else products)
    blas = blas.rpartition(", ")[0] if how else blas
    return ", ".join([*parts, *filter(None, [blas, how])])


def _rounded_products(trainer: Trainer) -> str:
    return trainer.backend.rounded_products(trainer.model().sizes, trainer.batch_size)


def _seeds(trainers: Sequence[Trainer]) -> str:
    seeds = [trainer.config.seed for trainer in trainers]
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {named_seeds(seeds)}"


def summary_text(run: TrainedRun, figures: dict[str, Any]) -> str:
    """Return the table of losses and accuracies, and the time."""
    data = run.trainer.data
    accuracies = "accuracy" if data.class_names else ""
    lines = []
    for name, part in (("train", data.train), ("validation", data.validation), ("test", data.test)):
        loss, accuracy = figures[f"{name}_loss"], figures[f"{name}_accuracy"]
        if loss is not None:
            shown = f"{accuracy:.4f}" if accuracy is not None else ""
            lines.append(f"{name:<12}{loss_text(loss):>10}{shown:>11}{len(part):>10,}")
    if lines:
        lines.insert(0, f"{'':<12}{'loss':>10}{accuracies:>11}{'rows':>10}")
    if figures[LABEL_FIGURE] is not None:
        lines.append(f"test rows: {figures[LABEL_FIGURE]:.4f} of all labels told right")
    r2, *errors = (figures[name] for name in VALUE_FIGURES)
    if errors[0] is not None:
        of = f" of {', '.join(data.label)}" if data.label else ""
        parts = [
            f"root mean square error{of} {value_text(errors[0])}",
            f"mean absolute {value_text(errors[1])}",
        ]
        parts += [f"R² {r2:.4f}"] * (r2 is not None)
        lines.append(f"test rows: {', '.join(parts)}")
    if run.trainer.stopping and run.trainer.stopping.best_epoch:
        lines.append(f"best weights from epoch {figures['best_epoch']} of {figures['epochs']}")
    if figures["seconds_per_epoch"]:
        lines.append(
            f"{figures['seconds_per_epoch']:.3g} s per epoch (median of {figures['epochs']}), "
            f"{figures['images_per_second']:,.0f} rows/s"
        )
    if figures["ranks"]:
        lines.append(costs_text(figures["ranks"]))
    return "\n".join(lines)
