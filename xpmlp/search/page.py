"""A sweep on one HTML page that stands alone: the best, the ranking, the picture, what was done."""

from collections.abc import Sequence
from typing import Any

from xpmlp import __version__
from xpmlp.pages.parts import Markup, Row, element, joined, picture, table, whole_page
from xpmlp.search.plan import Plan
from xpmlp.search.results import (
    BEST,
    CSV,
    JSON,
    counts_text,
    results_rows,
    setting_cell,
)
from xpmlp.search.tried import FAILED, Tried
from xpmlp.training.texts import count, loss_text, named_seeds

SHOWN_TRIALS = 200
SHOWN_FAILURES = 20
CAPTION = (
    "Validation figures of every net after each epoch, and of each trial against each setting, the "
    "mean over its seeds; triangles lie beyond the edge, and dotted lines are the rungs"
)
TERMS = {
    "trial": "One choice of settings, trained with each of the seeds.",
    "rank": "First the trials that went all the way, from the best mean over their seeds to the "
    "worst; then those that were dropped, the later the better; then those that failed.",
    "validation, test": "Validation rows decide. That choice makes the best figure look better "
    "than it is, the more so the more trials there are; the test rows, looked at once and for the "
    "best alone, do not have that fault.",
    "dropped": "Ended at a rung, as other trials were better there. Under a learning rate that "
    "falls over all epochs, that is judged while it is still high.",
}


def sweep_page(plan: Plan, trials: Sequence[Tried], figures: dict[str, Any], png: bytes) -> str:
    """Return the whole page. figures: as in results.json. png: the picture."""
    dataset = plan.trials[0].config.dataset.replace("\\", "/").rsplit("/", 1)[-1]
    sections: dict[str, str] = {
        "Picture": picture(png, f"{CAPTION}.", CAPTION) if png else Markup(),
        "Ranking": _ranking(figures),
        "What was searched": _searched(plan, trials),
        "Failures": _failures(trials),
        "Use the best": _use(figures["best"]),
        "Terms": joined(
            [
                Markup("<dl>"),
                *(joined([element("dt", k), element("dd", text)]) for k, text in TERMS.items()),
                Markup("</dl>"),
            ]
        ),
    }
    footer = f"Written by xpmlp {__version__}. This page loads nothing from anywhere."
    lead = element("p", _lead(plan, trials, figures), "lead")
    return whole_page(f"Sweep on {dataset}", lead, sections, footer)


def best_sentence(figures: dict[str, Any], by: str) -> str:
    """Return which trial is the best, and what it has over validation and test rows."""
    best = figures["best"]
    first = figures["trials"][0]
    settings = ", ".join(
        f"{name.replace('_', ' ')} {setting_cell(v)}" for name, v in first["settings"].items()
    )
    name = f"trial {best['trial']} ({settings})"
    return f"{name}: validation {by} {_spread(first[f'validation_{by}'])}{_test(best)}"


def _test(best: dict[str, Any]) -> str:
    figures = [
        f"test {kind} {_spread(best[f'test_{kind}'])}"
        for kind in ("loss", "accuracy")
        if best.get(f"test_{kind}") is not None
    ]
    return "".join(f", {figure}" for figure in figures)


def _spread(figure: dict[str, float | None] | float) -> str:
    if not isinstance(figure, dict):
        return loss_text(figure)
    mean, std = figure["mean"], figure["std"]
    assert mean is not None
    return loss_text(mean) if std is None else f"{loss_text(mean)} ± {loss_text(std)}"


def _lead(plan: Plan, trials: Sequence[Tried], figures: dict[str, Any]) -> str:
    ended = counts_text(trials)
    if not figures["best"]:
        return f"{plan.drawn}: {ended}. None has gone all the way yet."
    sentence = best_sentence(figures, plan.by)
    return f"Of {count(len(trials), 'trial')} ({ended}) the best is {sentence}."


def _ranking(figures: dict[str, Any]) -> Markup:
    trials = figures["trials"]
    heading, first, *others = results_rows(figures, trials[:SHOWN_TRIALS])
    rows: list[Sequence[str]] = [Row(first) if figures["best"] else first, *others]
    note = f"{CSV} has a row for each net, {JSON} all of it."
    if len(trials) > SHOWN_TRIALS:
        note = f"The first {SHOWN_TRIALS} of {len(trials):,} trials; {note}"
    return joined([table("The trials, from the best", heading, rows), element("p", note, "soft")])


def _searched(plan: Plan, trials: Sequence[Tried]) -> Markup:
    seconds = sum(r.seconds for t in trials for m in t.members for r in m.records)
    epochs = sum(len(member.records) for trial in trials for member in trial.members)
    rows = [
        *([name, text] for name, text in plan.swept.items()),
        ["trials", plan.drawn],
        ["seeds of each", named_seeds(plan.seeds)],
        ["decided by", decided_text(plan)],
        ["dropped", plan.halving.text if plan.halving else "none"],
        ["trained", f"{count(epochs, 'epoch')} of all nets together, {seconds:,.1f} s"],
    ]
    return table("What was searched", ("what", "how"), rows, css="texts")


def decided_text(plan: Plan) -> str:
    """Return what decides, and at which epoch."""
    mean = "mean " if len(plan.seeds) > 1 else ""
    seeds = " over the seeds" if len(plan.seeds) > 1 else ""
    stops = [trial.config.early_stopping for trial in plan.trials]
    epoch = "last epoch"
    if any(stops):
        epoch = "best epoch" if all(stops) else "last epoch, under early stopping at the best"
    return f"{mean}validation {plan.by}{seeds} at the {epoch}"


def _failures(trials: Sequence[Tried]) -> Markup:
    failed = [[f"trial {t.number}", str(t.failure)] for t in trials if t.status == FAILED]
    if not failed:
        return Markup()
    box = table("Why trials failed", ("trial", "why"), failed[:SHOWN_FAILURES], css="texts")
    return joined([box, *([element("p", "and more", "soft")] * (len(failed) > SHOWN_FAILURES))])


def _use(best: dict[str, Any] | None) -> Markup:
    if not best:
        return Markup()
    commands = f"python -m xpmlp.evaluate {best['folder']}\npython -m xpmlp.train --config {BEST}"
    about = (
        f"In the folder of the sweep: the best run is in {best['folder']}, complete; {BEST} has "
        "all its settings, to train it again."
    )
    return joined([element("pre", element("code", commands)), element("p", about)])
