"""Published figures beside ours over many seeds, in units of our own spread."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from xpmlp.pictures.style import (
    GREY,
    LIGHT_GREY,
    PALETTE,
    SMALL_TEXT_SIZE,
    dress,
    legend_below,
    new_figure,
    printable,
)
from xpmlp.training.spread import spread_of

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ZONE = 3
EDGE = 5.0
STRIP_INCHES = 0.3
LONGEST_LABEL, LETTER_INCHES = 75, 0.07
OURS, PUBLISHED = PALETTE[0], PALETTE[1]
SEED: dict[str, Any] = {"marker": "o", "markersize": 5, "color": OURS, "alpha": 0.6, "mew": 0}
BAR: dict[str, Any] = {"color": OURS, "linewidth": 6, "alpha": 0.3, "solid_capstyle": "butt"}
FIGURE: dict[str, Any] = {"marker": "D", "markersize": 7, "color": PUBLISHED, "zorder": 4}


Strip = tuple[str, float | None, Sequence[float]]


def published_and_ours(rows: Sequence[Strip]) -> "Figure":
    """Draw a strip per quantity: each seed, our mean ± standard deviation, the published figure.

    rows: label, published figure (None: the label is a heading), and our values, one per seed.
    The scale is (figure - our mean) / our standard deviation, within ±3 shaded; a figure beyond
    ±5 is an arrow at the edge.
    """
    labels = [printable(label, LONGEST_LABEL) for label, _, _ in rows]
    width = 7 + LETTER_INCHES * max(map(len, labels))
    figure = new_figure(width, 1.7 + STRIP_INCHES * len(rows))
    axes = figure.subplots()
    dress(axes, "(figure − our mean) / our standard deviation")
    axes.axvspan(-ZONE, ZONE, color=LIGHT_GREY, alpha=0.5, linewidth=0, zorder=0)
    axes.axvline(0, color=GREY, linewidth=0.8, zorder=1)
    axes.grid(visible=False, axis="y")
    for height, (_, published, ours) in enumerate(rows):
        if published is not None:
            _draw_strip(axes, height, published, ours)
    reach = 0.4 + max(
        EDGE, *(abs(spread_of(ours).distance(v)) for _, _, ours in rows for v in ours)
    )
    axes.set_xlim(-reach, reach)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), labels)
    for tick, (_, published, _) in zip(axes.get_yticklabels(), rows, strict=True):
        tick.set_fontweight("bold" if published is None else "normal")
    axes.tick_params(axis="y", length=0)
    _write_figures(axes, rows)
    legend_below(figure, _legend())
    return figure


def _draw_strip(axes: "Axes", height: int, published: float, ours: Sequence[float]) -> None:
    spread = spread_of(ours)
    marks = [spread.distance(value) for value in ours]
    if spread.sd > 0:
        axes.plot([-1, 1], [height] * 2, **BAR)
    axes.plot(marks, [height] * len(marks), linestyle="", **SEED)
    distance = spread.distance(published)
    if abs(distance) <= EDGE:
        axes.plot(distance, height, linestyle="", **FIGURE)
        return
    edge = math.copysign(EDGE, distance)
    arrow = {**FIGURE, "marker": ">" if distance > 0 else "<"}
    axes.plot(edge, height, linestyle="", **arrow)
    axes.annotate(
        f"{distance:+.3g}".replace("-", "−").replace("inf", "∞"),
        (edge, height),
        (math.copysign(9, -distance), 0),
        textcoords="offset points",
        ha="right" if distance > 0 else "left",
        va="center",
        fontsize=SMALL_TEXT_SIZE,
        color=PUBLISHED,
    )


def _write_figures(axes: "Axes", rows: Sequence[Strip]) -> None:
    """Write two columns to the right: the published figures, and our means and deviations."""
    figures = {
        height: (f"{published:g}", str(spread_of(ours)))
        for height, (_, published, ours) in enumerate(rows)
        if published is not None
    }
    columns = (
        (14, "published", PUBLISHED, {at: published for at, (published, _) in figures.items()}),
        (82, "ours", OURS, {at: ours for at, (_, ours) in figures.items()}),
    )
    for place, title, colour, texts in columns:
        style: dict[str, Any] = {
            "textcoords": "offset points",
            "fontsize": SMALL_TEXT_SIZE,
            "color": colour,
        }
        axes.annotate(title, (1, 1), (place, 6), xycoords="axes fraction", weight="bold", **style)
        for height, text in texts.items():
            beside = axes.get_yaxis_transform()
            axes.annotate(text, (1, height), (place, 0), xycoords=beside, va="center", **style)


def _legend() -> list["Artist"]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    return [
        Line2D([], [], linestyle="", label="ours, one seed", **SEED),
        Line2D([], [], label="our mean ± standard deviation", **BAR),
        Line2D([], [], linestyle="", label="published", **FIGURE),
        Patch(color=LIGHT_GREY, alpha=0.5, label=f"within ±{ZONE} standard deviations"),
    ]
