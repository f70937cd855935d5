"""The one look of all pictures: sizes, colours, a light grid, and how a picture is saved.

Figures are drawn by the Agg canvas directly, without `matplotlib.pyplot` and without changing
matplotlib's settings, so that they need no display and leave nothing behind.
"""

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from xpmlp.errors import InputError
from xpmlp.training.texts import count

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DOTS_PER_INCH = 150
TEXT_SIZE = 10
SMALL_TEXT_SIZE = 9
TITLE_SIZE = 12
LEGEND_HANDLE, LEGEND_LETTER = 0.7, 0.08
LETTER_WIDTH = 0.58  # of its size
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
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    from xpmlp.pictures.figure import Picture

    return Picture(
        figsize=(width, height),
        dpi=DOTS_PER_INCH,
        layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1),
        facecolor="white",
    )


class Sheet(NamedTuple):
    """What a picture is drawn on: a figure of its own, or axes of somebody else's figure.

    figure: the one that holds the axes, or a part of it. own: whether the picture has it to
    itself, and may put a legend beside the axes.
    """

    figure: "Figure"
    axes: "list[Axes]"
    own: bool = True

    def title(self, axes: "Axes", text: str, size: float = TITLE_SIZE, loc: Any = "left") -> None:
        """Put a title above axes; above those of somebody else in lines as wide as they are."""
        if not self.own:
            size, text = TEXT_SIZE, "\n".join(wrap(text, _letters(axes, TEXT_SIZE)))
        axes.set_title(text, fontsize=size, loc=loc)


def sheet(
    ax: "Axes | Sequence[Axes] | None",
    size: tuple[float, float],
    rows: int = 1,
    columns: int = 1,
    **shared: Any,
) -> Sheet:
    """Return the axes given, or so many in rows of a new figure of so many inches.

    ax: one, or a sequence of rows · columns, row by row. shared: options of `Figure.subplots`.
    Raises InputError where there are not as many.
    """
    if ax is None:
        figure = new_figure(*size)
        return Sheet(figure, list(figure.subplots(rows, columns, squeeze=False, **shared).flat))
    from matplotlib.axes import Axes

    given = list(np.asarray(ax, dtype=object).flat)
    if not all(isinstance(each, Axes) for each in given):
        raise InputError(f"ax must be matplotlib's Axes, or a sequence of them, got {ax!r}")
    if len(given) != rows * columns:
        like = "plt.subplots()" if rows * columns == 1 else f"plt.subplots({rows}, {columns})"
        raise InputError(
            f"this picture has {count(rows * columns, 'panel')}, got {len(given)} axes; give it "
            f"those of {like}"
        )
    return Sheet(given[0].figure, given, own=False)


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


def put_legend(
    on: Sheet, handles: Sequence["Artist"], title: str = "", columns: int | None = None
) -> None:
    """Put one legend for all axes below them.

    On axes of somebody else it goes into the first, and its title below the last.
    """
    if on.own:
        legend_below(on.figure, handles, title, columns)
        return
    first, last = on.axes[0], on.axes[-1]
    labels = [str(handle.get_label()) for handle in handles]
    first.legend(
        handles=handles,
        fontsize=SMALL_TEXT_SIZE,
        framealpha=0.7,
        edgecolor="none",
        ncols=_fitting_columns(labels, columns or 1, inches_of(first)[0]),
    )
    below = wrap(title, _letters(last, TEXT_SIZE))
    last.set_xlabel("\n".join([last.get_xlabel(), *below]), fontsize=TEXT_SIZE)


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


def _letters(axes: "Axes", size: float) -> int:
    """Return about how many letters of a size, in points, stand beside each other in axes."""
    return max(20, int(inches_of(axes)[0] * 72 / (LETTER_WIDTH * size)))


def inches_of(axes: "Axes") -> tuple[float, float]:
    """Return the width and the height of axes, as they are before their figure is laid out."""
    extent, dpi = axes.get_window_extent(), axes.figure.dpi
    return extent.width / dpi, extent.height / dpi


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
    """Write a figure as PNG and return its path."""
    from xpmlp.pictures.figure import write_png

    write_png(figure, path, DOTS_PER_INCH)
    return path
