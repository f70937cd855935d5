"""The one look of all pictures: sizes, colours, a light grid, and how a picture is saved.

Figures are drawn by the Agg canvas directly, without `matplotlib.pyplot` and without changing
matplotlib's settings, so that they need no display and leave nothing behind.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DOTS_PER_INCH = 150
TEXT_SIZE = 10
SMALL_TEXT_SIZE = 9
TITLE_SIZE = 12
LEGEND_HANDLE, LEGEND_LETTER = 0.7, 0.08
GREY = "#666666"
LIGHT_GREY = "#D9D9D9"

# Okabe and Ito, "Color Universal Design" (2008); black and the pale yellow come last.
PALETTE = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
    "#F0E442",
)


def new_figure(width: float, height: float) -> "Figure":
    """Return an empty figure of so many inches, with constrained layout and an Agg canvas."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(
        figsize=(width, height),
        dpi=DOTS_PER_INCH,
        layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1),
        facecolor="white",
    )
    FigureCanvasAgg(figure)
    return figure


def dress(axes: "Axes", xlabel: str = "", ylabel: str = "", title: str = "") -> None:
    """Give axes their texts, a light grid behind the data, and a frame of two sides."""
    axes.set_xlabel(xlabel, fontsize=TEXT_SIZE)
    axes.set_ylabel(ylabel, fontsize=TEXT_SIZE)
    if title:
        axes.set_title(title, fontsize=TITLE_SIZE, loc="left")
    axes.tick_params(labelsize=SMALL_TEXT_SIZE, color=GREY)
    axes.grid(color=LIGHT_GREY, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)


def bare(axes: "Axes", title: str = "") -> None:
    """Leave axes nothing but what is drawn in them, and a title."""
    axes.set_axis_off()
    axes.set_title(title, fontsize=TITLE_SIZE)


def integer_ticks(axis: Any, count: int = 8) -> None:
    """Put ticks of an axis at whole numbers only, thousands apart by a comma."""
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    axis.set_major_locator(MaxNLocator(count, integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def add_colour_bar(
    figure: "Figure", image: Any, axes: "Axes | list[Axes]", label: str, **options: Any
) -> None:
    """Put a colour bar with a label to the right of axes."""
    bar = figure.colorbar(image, ax=axes, shrink=0.8, aspect=30, **options)
    bar.set_label(label, fontsize=TEXT_SIZE)
    bar.ax.tick_params(labelsize=SMALL_TEXT_SIZE)
    bar.outline.set_visible(False)


def legend_below(
    figure: "Figure", handles: Sequence["Artist"], title: str = "", columns: int | None = None
) -> None:
    """Put one legend for all axes of a figure below them, in as many columns as fit, or fewer.

    Where they do not fit into one line, the lines have about as many entries each.
    """
    labels = [str(handle.get_label()) for handle in handles]
    legend = figure.legend(
        handles=handles,
        title=title or None,
        title_fontsize=SMALL_TEXT_SIZE,
        loc="outside lower center",
        fontsize=SMALL_TEXT_SIZE,
        frameon=False,
        borderpad=0,
        borderaxespad=0.8,
        ncols=_fitting_columns(labels, columns or len(labels), figure.get_figwidth()),
    )
    legend.get_title().set_multialignment("center")


def _fitting_columns(labels: Sequence[str], most: int, inches: float) -> int:
    """Return how many columns of a legend, filled one by one, fit into so many inches."""
    for wanted in range(most, 1, -1):
        lines = -(-len(labels) // wanted)
        columns = -(-len(labels) // lines)
        widest = [max(map(len, part)) for part in np.array_split(labels, columns) if len(part)]
        if sum(LEGEND_HANDLE + LEGEND_LETTER * letters for letters in widest) < inches:
            return columns
    return 1


def class_colours(count: int) -> np.ndarray:
    """Return (count, 3) colours in [0, 1]: the palette, or a colour wheel for more classes."""
    from matplotlib import colormaps
    from matplotlib.colors import to_rgb

    if count <= len(PALETTE):
        return np.array([to_rgb(colour) for colour in PALETTE[:count]])
    wheel: np.ndarray = colormaps["turbo"](np.linspace(0.03, 0.97, count))[:, :3]
    return wheel


def printable(name: str, length: int) -> str:
    """Return a name as a picture shows it: on one line, of at most `length` characters.

    An ellipsis stands for what is left out inside; a dollar sign is no mathematics.
    """
    name = " ".join(name.split())
    if len(name) > length:
        end = (length - 1) // 3
        name = f"{name[: length - 1 - end]}…{name[len(name) - end :]}"
    return name.replace("$", r"\$")


def save(figure: "Figure", path: Path) -> Path:
    """Write a figure as PNG and return its path.

    A letter that the font lacks, as in a class name, is drawn as a box.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        if any(axes.get_aspect() != "auto" for axes in figure.axes):
            figure.draw_without_rendering()  # a second layout, as the first takes no account of it
        figure.savefig(path, dpi=DOTS_PER_INCH, format="png")
    return path
