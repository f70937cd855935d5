"""The curves of several runs in one picture: loss and accuracy, training beside validation."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from xpmlp.pictures.curve import Curve
from xpmlp.pictures.curves import (
    MARKED_POINTS,
    THICK_POINTS,
    Look,
    add_legend,
    draw_curve,
    faint_of,
    note_on,
    spans_decades,
)
from xpmlp.pictures.style import PALETTE, dress, integer_ticks, printable, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = (*PALETTE[:7], "#999999")  # the palette's pale yellow is too faint for a line
FAINTEST = 0.1
STYLES = ("-", "--", ":", "-.")
LONGEST_LABEL = 48
PARTS = {"train": "training", "validation": "validation"}
KINDS = ("loss", "accuracy")
Curves = Mapping[tuple[str, str], Sequence[Curve]]


def compared_curves(curves: Curves, *, ax: "Axes | Sequence[Axes] | None" = None) -> "Figure":
    """Draw a row of panels for losses and one for accuracies, each with a scale of its own.

    curves: by part (`train`, `validation`) and figure (`loss`, `accuracy`) a curve per run, in
    the same order, NaN where there is none. Panels that nothing is drawn in are left out.
    """
    known = {place for place, lines in curves.items() if _drawn(lines)}
    kinds = [kind for kind in KINDS if any(kind == k for _, k in known)]
    parts = [part for part in PARTS if any(part == p for p, _ in known)]
    epochs = max(len(curve.values) for lines in curves.values() for curve in lines)
    size = 1 + 4.6 * len(parts), 0.9 + 3.2 * len(kinds)
    on = sheet(ax, size, len(kinds), len(parts), sharey="row", sharex=True)
    grid = np.array(on.axes, dtype=object).reshape(len(kinds), len(parts))
    for row, kind in zip(grid, kinds, strict=True):
        for axes, part in zip(row, parts, strict=True):
            dress(
                axes,
                "epoch" if kind == kinds[-1] else "",
                kind if part == parts[0] else "",
                PARTS[part] if kind == kinds[0] else "",
            )
            _draw(axes, curves[part, kind], epochs)
        if kind == "loss":
            _log_where_needed(list(row), [c for part in parts for c in curves[part, kind]])
    add_legend(on, note_on([curve for lines in curves.values() for curve in lines]))
    return on.figure


def _draw(axes: "Axes", curves: Sequence[Curve], epochs: int) -> None:
    for i, curve in enumerate(curves):
        if not np.isfinite(curve.values).any():
            continue
        look = Look(
            COLOURS[i % len(COLOURS)],
            width=1.8 if epochs <= THICK_POINTS else 1.1,
            style=STYLES[i // len(COLOURS) % len(STYLES)],
            faint=max(faint_of(len(curves)), FAINTEST),
            marker="o" if epochs <= MARKED_POINTS else None,
        )
        draw_curve(axes, replace(curve, label=printable(curve.label, LONGEST_LABEL)), look)
    integer_ticks(axes.xaxis)
    axes.ticklabel_format(axis="y", useOffset=False)


def _log_where_needed(row: Sequence["Axes"], curves: Sequence[Curve]) -> None:
    """Make the y axes logarithmic for curves of many decades, down to the lowest line."""
    values = np.concatenate([curve.values for curve in curves])
    if spans_decades(values):
        for axes in row:
            axes.set_yscale("log")
            axes.set_ylim(bottom=max(axes.get_ylim()[0], np.nanmin(values) / 1.5))


def _drawn(curves: Sequence[Curve]) -> bool:
    return any(np.isfinite(curve.values).any() for curve in curves)
