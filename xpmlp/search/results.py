"""What the trials came to: a rank for each, a row for each member, as CSV and as JSON."""

import csv
import json
import math
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from xpmlp.files import write_whole
from xpmlp.runs.comparing import table_text
from xpmlp.search.plan import Plan
from xpmlp.search.tried import DROPPED, FAILED, FINISHED, Member, Tried
from xpmlp.training.spread import spread_figures
from xpmlp.training.texts import UNKNOWN, loss_text, setting_text

CSV, JSON, BEST = "results.csv", "results.json", "best.toml"
FIGURES = ("validation_loss", "validation_accuracy", "train_loss", "train_accuracy")
SHOWN_TRIALS = 10


def ranking(trials: Sequence[Tried], by: str) -> list[Tried]:
    """Return the trials from the best to the worst.

    First those that went all the way, then those that were dropped, the later the better, then
    those that failed; among these by the mean over the seeds, of equal ones the first.
    """
    return sorted(trials, key=lambda trial: _place(trial, by))


def _place(trial: Tried, by: str) -> tuple[Any, ...]:
    score = trial.score_at(by)
    reached = math.inf if trial.status == FINISHED else trial.dropped_after or trial.epochs
    unknown = math.isnan(score)
    return trial.status == FAILED, -reached, unknown, 0.0 if unknown else score, trial.number


def best_of(trials: Sequence[Tried], by: str) -> Tried | None:
    """Return the best of the trials that went all the way, None where none did."""
    first = ranking(trials, by)[0]
    return first if first.status == FINISHED else None


def member_row(member: Member) -> dict[str, Any]:
    """Return what one net came to; epoch: the one whose figures these are."""
    record = member.record_at()
    return {
        "seed": member.config.seed,
        "epochs": len(member.records),
        "epoch": record.epoch if record else None,
        **{name: getattr(record, name) if record else None for name in FIGURES},
        "seconds": sum(record.seconds for record in member.records),
        "failure": member.failure,
    }


def trial_figures(rank: int, trial: Tried) -> dict[str, Any]:
    """Return what a trial came to; each figure with its mean and deviation over the seeds."""
    rows = [member_row(member) for member in trial.members]
    return {
        "rank": rank,
        "trial": trial.number,
        "folder": trial.path.name,
        "settings": trial.settings,
        "status": trial.status,
        "dropped_after": trial.dropped_after,
        **{name: spread_figures([row[name] for row in rows]) for name in FIGURES},
        "members": rows,
    }


def as_dict(plan: Plan, trials: Sequence[Tried], best: dict[str, Any] | None) -> dict[str, Any]:
    """Return all of it for machines. best: of the test rows, once they were looked at."""
    order = ranking(trials, plan.by)
    return {
        "by": f"validation_{plan.by}",
        "swept": dict(plan.swept),
        "drawn": plan.drawn,
        "halving": plan.halving._asdict() if plan.halving else None,
        "seeds": list(plan.seeds),
        "best": best,
        "trials": [trial_figures(rank, trial) for rank, trial in enumerate(order, start=1)],
    }


def write_results(
    plan: Plan, trials: Sequence[Tried], folder: Path, best: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Write both tables whole, and return what the JSON says. Raises OSError."""
    figures = as_dict(plan, trials, best)
    write_whole(folder / CSV, _csv(figures))
    write_whole(folder / JSON, json.dumps(figures, indent=1, allow_nan=False) + "\n")
    return figures


def _csv(figures: dict[str, Any]) -> str:
    """Return a row for each member, those of the best trial first."""
    text = StringIO(newline="")
    table = csv.writer(text)
    first = figures["trials"][0]
    settings, own = list(first["settings"]), list(first["members"][0])
    table.writerow(["rank", "trial", *settings, "status", *own])
    for trial in figures["trials"]:
        chosen = [_cell(value) for value in trial["settings"].values()]
        for row in trial["members"]:
            table.writerow([trial["rank"], trial["trial"], *chosen, trial["status"], *row.values()])
    return text.getvalue()


def _cell(value: Any) -> Any:
    """Return a setting in full, as the command line takes it."""
    return "x".join(map(str, value)) or "none" if isinstance(value, tuple) else value


def results_text(figures: dict[str, Any], width: int) -> str:
    """Return the table of the best trials, as it is printed."""
    trials = figures["trials"]
    rows = results_rows(figures, trials[:SHOWN_TRIALS], FIGURES[:2])
    text = table_text(rows, width)
    if (more := len(trials) - SHOWN_TRIALS) > 0:
        text += f"\nand {more:,} more in {CSV}"
    return text


def results_rows(
    figures: dict[str, Any], trials: Sequence[dict[str, Any]], names: Sequence[str] = FIGURES
) -> list[list[str]]:
    """Return a table of trials as texts, with a heading; figures that none has are left out."""
    settings = list(trials[0]["settings"])
    known = [name for name in names if any(trial[name] for trial in figures["trials"])]
    heading = ["rank", "trial", *settings, *(name.replace("_", " ") for name in known)]
    return [[*heading, "epochs"], *(_row(trial, known) for trial in trials)]


def _row(trial: dict[str, Any], known: Sequence[str]) -> list[str]:
    epochs = max(member["epochs"] for member in trial["members"])
    return [
        str(trial["rank"]),
        str(trial["trial"]),
        *(setting_cell(value) for value in trial["settings"].values()),
        *(spread_cell(trial[name]) for name in known),
        str(epochs) if trial["status"] == FINISHED else f"{epochs}, {trial['status']}",
    ]


def setting_cell(value: Any) -> str:
    """Return a setting as it is given on the command line."""
    if isinstance(value, tuple):
        return "x".join(map(setting_text, value)) or "none"
    return setting_text(value)


def spread_cell(figure: dict[str, float | None] | None) -> str:
    """Return a mean, with its deviation where there are several seeds."""
    if figure is None or figure["mean"] is None:
        return UNKNOWN
    mean, std = figure["mean"], figure["std"]
    return loss_text(mean) if std is None else f"{loss_text(mean)} ± {loss_text(std)}"


def counts_text(trials: Sequence[Tried]) -> str:
    """Return how many trials ended in which way."""
    statuses = [trial.status for trial in trials]
    found = {name: statuses.count(name) for name in (FINISHED, DROPPED, FAILED, "unfinished")}
    return ", ".join(f"{number:,} {name}" for name, number in found.items() if number)
