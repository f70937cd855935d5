"""What a run of several seeds came to: mean, standard deviation and extremes over them."""

import statistics
from collections.abc import Sequence
from typing import Any

from xpmlp.runs.summary import VALUE_FIGURES
from xpmlp.training.spread import PARTS, spread_figures
from xpmlp.training.texts import loss_text

SHARED = (
    "dataset",
    "backend",
    "device",
    "device_requested",
    "fallback_reason",
    "parameters",
    "peak_memory_bytes",
    "dtype",
    "matmul_precision",
    "matmul_precision_requested",
    "rounded_products",
    "compile",
    "compile_requested",
    "compile_reason",
    "threads",
    "steps",
    "library",
    "device_name",
    "blas",
    "python",
    "xpmlp",
    "finished",
)
SPREAD = (
    *(f"{part}_{figure}" for part in PARTS for figure in ("loss", "accuracy")),
    *VALUE_FIGURES,
)


def summarize_seeds(members: Sequence[dict[str, Any]], run_dir: str) -> dict[str, Any]:
    """Return the figures of a whole run from those of its members, as `summarize` gives them.

    Each loss and accuracy becomes its mean, standard deviation (of a sample, None for a single
    seed), lowest and highest over the members that did not fail. seconds_per_epoch: the mean
    over members of what `summarize` gives, each its share where they trained at once.
    """
    good = [member for member in members if not member["failure"]]
    seconds = [member["seconds_per_epoch"] for member in good if member["seconds_per_epoch"]]
    rates = [member["images_per_second"] for member in good if member["images_per_second"]]
    return {
        **{name: members[0][name] for name in SHARED},
        "seeds": [member["seed"] for member in members],
        "failed_seeds": {str(m["seed"]): m["failure"] for m in members if m["failure"]},
        "epochs": max(member["epochs"] for member in members),
        "interrupted": members[0]["interrupted"],
        **{name: spread_figures([member[name] for member in good]) for name in SPREAD},
        "seconds_per_epoch": statistics.mean(seconds) if seconds else None,
        "images_per_second": statistics.mean(rates) if rates else None,
        "run_dir": run_dir,
        "members": list(members),
    }


def seeds_text(figures: dict[str, Any]) -> str:
    """Return the table of means, spreads and extremes, and the time."""
    good = len(figures["seeds"]) - len(figures["failed_seeds"])
    lines = _table(figures, good) if good else []
    lines += [f"seed {seed} failed: {why}" for seed, why in figures["failed_seeds"].items()]
    if figures["test_r2"]:
        lines.append(f"test R² {_cell(figures['test_r2'])}")
        errors = figures["test_root_mean_square_error"]
        lines.append(f"test root mean square error {_cell(errors)}")
    best = [member["best_epoch"] for member in figures["members"] if not member["failure"]]
    if any(best) and any(m["best_epoch"] != m["epochs"] for m in figures["members"]):
        lines.append(f"best weights from epochs {min(best)} to {max(best)}")
    if figures["seconds_per_epoch"]:
        lines.append(
            f"{figures['seconds_per_epoch']:.3g} s per epoch and seed, "
            f"{figures['images_per_second']:,.0f} rows/s"
        )
    return "\n".join(lines)


def _table(figures: dict[str, Any], good: int) -> list[str]:
    heading = f"{'':<11}{'loss':<38}{'accuracy' if figures['train_accuracy'] else ''}"
    lines = [heading.rstrip()]
    for part in PARTS:
        loss, accuracy = (figures[f"{part}_{figure}"] for figure in ("loss", "accuracy"))
        if loss:
            lines.append(f"{part:<11}{_cell(loss):<38}{_cell(accuracy)}".rstrip())
    if good > 1:
        lines.append(f"mean ± standard deviation (lowest to highest) over {good:,} seeds")
    return lines


def _cell(figure: dict[str, float] | None) -> str:
    if figure is None:
        return ""
    mean, std, *ends = (None if v is None else loss_text(v) for v in figure.values())
    return f"{mean}" if std is None else f"{mean} ± {std}  ({' to '.join(map(str, ends))})"
