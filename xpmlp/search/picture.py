"""A sweep in one picture: the curves of all members, and what each setting came to."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from xpmlp.pictures.style import (
    GREY,
    LIGHT_GREY,
    PALETTE,
    SMALL_TEXT_SIZE,
    dress,
    integer_ticks,
    legend_below,
    new_figure,
    printable,
)
from xpmlp.search.plan import Plan
from xpmlp.search.results import best_of, setting_cell
from xpmlp.search.tried import DROPPED, FAILED, FINISHED, Tried

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BEST, GOOD, LEFT = PALETTE[1], PALETTE[0], "#999999"
PARTS, COLUMNS = 12, {1: 1, 2: 2, 4: 4, 7: 4, 8: 4}  # of a row; panels in it, else 3
MANY_CURVES = 40
SHOWN_SETTINGS = 9
FEW = 4  # numbers that stand side by side, however far apart they are
LONGEST_NAME, MOST_NAMES, MOST_LETTERS = 14, 12, 22
KINDS = ("loss", "accuracy")
DECADE = 10.0
FAR = 2.5  # times the way from the best to the quarter of the worst
LEGEND = {FINISHED: GOOD, DROPPED: LEFT, "unfinished": PALETTE[5]}


def sweep_picture(plan: Plan, trials: Sequence[Tried]) -> "Figure":
    """Draw validation curves of all members, and a panel for each setting that is swept.

    A panel has the accuracy, or the loss where there is none, of each trial that has not failed:
    the mean over its seeds. The best trial stands out.
    """
    best = best_of(trials, plan.by)
    kinds = [kind for kind in KINDS if _has(trials, kind)]
    names = list(plan.swept)[:SHOWN_SETTINGS]
    columns = COLUMNS.get(len(names), 3)
    rows = -(-len(names) // columns)
    figure = new_figure(11, 3.9 + 3.2 * rows)
    grid = figure.add_gridspec(1 + rows, PARTS, height_ratios=[1.2] + [1] * rows)
    rungs = plan.halving.rungs if plan.halving else ()
    for i, kind in enumerate(kinds):
        width = PARTS // len(kinds)
        axes = figure.add_subplot(grid[0, i * width : (i + 1) * width])
        _curves(axes, trials, kind, best, rungs)
    width = PARTS // columns
    shared: Axes | None = None
    for i, name in enumerate(names):
        row, column = divmod(i, columns)
        place = grid[1 + row, column * width : (column + 1) * width]
        axes = figure.add_subplot(place, sharey=shared)
        shared = shared or axes
        _setting(axes, trials, name, kinds[-1], best, labelled=column == 0)
    legend_below(figure, _handles(trials, best), columns=len(LEGEND) + 1)
    return figure


def _curves(
    axes: "Axes", trials: Sequence[Tried], kind: str, best: Tried | None, rungs: Sequence[int]
) -> None:
    """Draw a line for each member; those that were dropped end at a rung."""
    dress(axes, "epoch", f"validation {kind}")
    for rung in rungs:
        axes.axvline(rung, color=GREY, linestyle=":", linewidth=0.9)
    thin = len(trials) * len(trials[0].members) > MANY_CURVES
    every: list[float] = []
    for trial in sorted(trials, key=lambda t: (t is best, t.status == FINISHED)):
        for member in trial.members:
            values = [getattr(record, f"validation_{kind}") for record in member.records]
            if not values:
                continue
            every += values
            axes.plot(
                range(1, len(values) + 1),
                values,
                color=_colour(trial, best),
                linewidth=2.0 if trial is best else 0.7 if thin else 1.1,
                alpha=1.0 if trial is best else 0.5 if thin else 0.75,
                marker="o" if len(values) == 1 else None,
                markersize=3,
            )
    _scale(axes, every, kind)
    integer_ticks(axes.xaxis)


def _scale(axes: "Axes", values: Sequence[float], kind: str) -> None:
    """Have a loss over more than a decade on a log axis; cut off what is far from the others."""
    if not values:
        return
    low, high = min(values), max(values)
    if kind == "accuracy":
        bottom, top = _limits(values, kind)
        room = 0.04 * (top - bottom) or 0.01
        axes.set_ylim(bottom - room, top + room)
    if kind == "loss" and low > 0 and high > DECADE * low:
        axes.set_yscale("log")
        _plain_ticks(axes.yaxis)
        top = float(np.quantile(values, 0.98)) * 3
        axes.set_ylim(low / 1.3, min(high * 1.3, top))


def _plain_ticks(axis: Any) -> None:
    """Label 1, 2 and 5 of each decade of a log axis, as plain numbers."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=8))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def _setting(
    axes: "Axes",
    trials: Sequence[Tried],
    name: str,
    kind: str,
    best: Tried | None,
    *,
    labelled: bool,
) -> None:
    """Draw a point for each trial: a figure against one setting."""
    dress(axes, name.replace("_", " "), f"validation {kind}" if labelled else "")
    points = [(t, y) for t in trials if not math.isnan(y := _figure(t, kind))]
    places = _places(axes, [t.settings[name] for t, _ in points])
    low, high = _limits([y for _, y in points], kind)
    for (trial, value), x in zip(points, places, strict=True):
        mine, inside = trial is best, low <= value <= high
        axes.scatter(
            [x],
            [min(high, max(low, value))],
            s=150 if mine else 30,
            marker="*" if mine else "o" if inside else "v" if value < low else "^",
            color=_colour(trial, best),
            edgecolor="white",
            linewidth=0.6,
            alpha=1.0 if mine else 0.85,
            zorder=4 if mine else 3,
        )
    axes.margins(x=0.08, y=0.1)
    axes.tick_params(labelleft=labelled)


def _limits(values: Sequence[float], kind: str) -> tuple[float, float]:
    """Return the lowest and the highest value drawn: what is far worse than most stands there."""
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    worse = float(np.quantile(values, 0.25 if kind == "accuracy" else 0.75))
    if kind == "accuracy":
        return max(low, high - FAR * (high - worse)), high
    return low, min(high, low + FAR * (worse - low))


def _places(axes: "Axes", values: Sequence[Any]) -> Sequence[float]:
    """Return where values stand: more than a few numbers by size, else in turn, by name."""
    if all(isinstance(value, tuple) and len(value) == 1 for value in values):
        values = [value[0] for value in values]
    numbers = [v for v in values if isinstance(v, int | float)]
    distinct = sorted(set(numbers))
    if len(numbers) == len(values) and len(distinct) > FEW:
        if distinct[0] > 0 and distinct[-1] >= DECADE * distinct[0] / 2:
            axes.set_xscale("log")
            if distinct[-1] < DECADE**2 * distinct[0]:
                _plain_ticks(axes.xaxis)
        return numbers
    names = {setting_cell(v): i for i, v in enumerate(_in_order(values))}
    step = -(-len(names) // MOST_NAMES)
    crowded = sum(map(len, names)) > MOST_LETTERS
    axes.set_xticks(
        list(names.values())[::step],
        [printable(text, LONGEST_NAME) for text in names][::step],
        fontsize=SMALL_TEXT_SIZE,
        rotation=30 if crowded else 0,
        ha="right" if crowded else "center",
    )
    axes.set_xlim(-0.5, len(names) - 0.5)
    return [names[setting_cell(v)] for v in values]


def _in_order(values: Sequence[Any]) -> list[Any]:
    """Return each value once, by size or by name."""
    return sorted(dict.fromkeys(values), key=lambda v: (isinstance(v, str), v is not None, v))


def _figure(trial: Tried, kind: str) -> float:
    score = trial.score_at(kind)
    return abs(score) if not trial.failure else math.nan


def _has(trials: Sequence[Tried], kind: str) -> bool:
    return kind == "loss" or any(not math.isnan(trial.score_at(kind)) for trial in trials)


def _colour(trial: Tried, best: Tried | None) -> str:
    return BEST if trial is best else LEGEND.get(trial.status, LIGHT_GREY)


def _handles(trials: Sequence[Tried], best: Tried | None) -> list[Any]:
    from matplotlib.lines import Line2D

    found = {
        status: colour
        for status, colour in (LEGEND | {FAILED: LIGHT_GREY}).items()
        if any(trial.status == status and trial is not best for trial in trials)
    }
    handles = [
        Line2D([], [], color=colour, marker="o", markersize=5, label=status)
        for status, colour in found.items()
    ]
    if best:
        label = f"best: trial {best.number}"
        handles.insert(0, Line2D([], [], color=BEST, marker="*", markersize=11, label=label))
    return handles
