"""What the first layer looks for in an image: its weights, drawn as images."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from xpmlp.pictures.style import PALETTE, add_colour_bar, bare, printable, sheet
from xpmlp.pictures.tiles import caption_gap, draw_tiles, square_columns, tile

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

SHOWN_UNITS = 64
GRID_INCHES, PANEL_INCHES = 6.5, 4.6


def first_layer_weights(
    W: np.ndarray,
    image_shape: tuple[int, int],
    names: Sequence[str] = (),
    *,
    ax: "Axes | Sequence[Axes] | None" = None,
) -> "Figure":
    """Draw the weights into each unit as an image, all on one scale with white for zero.

    W: (D, H) with D = height · width. Of more than 64 units, those with the largest norm.
    names: (H,), of the classes, where the outputs are the first layer.
    """
    chosen = np.arange(W.shape[1]) if names else largest_units(W)
    title = _title(len(chosen), W.shape[1], bool(names))
    captions = [printable(name, 12) for name in names]
    return _draw_grids([(title, W[:, chosen])], image_shape, GRID_INCHES, captions, ax)


def weight_panels(
    panels: Sequence[tuple[str, np.ndarray]], image_shape: tuple[int, int]
) -> "Figure":
    """Draw the first layers of several nets side by side, all on one scale, white for zero.

    panels: a title and W (D, H) each, with D = height · width. Of more than 64 units, those
    with the largest norm. Where all nets have as many units, that is the norm over all nets, so
    that a unit has the same place before training and after.
    """
    alike = len({W.shape for _, W in panels}) == 1
    together = np.concatenate([W for _, W in panels]) if alike else None
    grids = []
    for title, W in panels:
        chosen = largest_units(W if together is None else together)
        shown = f": {len(chosen)} of {W.shape[1]} units" if len(chosen) < W.shape[1] else ""
        grids.append((title + shown, W[:, chosen]))
    return _draw_grids(grids, image_shape, PANEL_INCHES)


def largest_units(W: np.ndarray, limit: int = SHOWN_UNITS) -> np.ndarray:
    """Return the indices of up to `limit` columns of W (D, H), the largest norm first."""
    return np.argsort(-np.linalg.norm(W, axis=0), kind="stable")[:limit]


def _draw_grids(
    grids: Sequence[tuple[str, np.ndarray]],
    image_shape: tuple[int, int],
    inches: float,
    captions: Sequence[str] = (),
    ax: "Axes | Sequence[Axes] | None" = None,
) -> "Figure":
    """Draw titled weights (D, H), a grid of units each, so many inches wide."""
    units = [W.T.reshape(-1, *image_shape) for _, W in grids]
    columns = [square_columns(len(images), image_shape) for images in units]
    gap = caption_gap(captions, image_shape[0])
    shapes = [tile(*grid, gap).shape for grid in zip(units, columns, strict=True)]
    tallest = max(height / width for height, width in shapes)
    largest = max(float(np.abs(W).max()) for _, W in grids) or 1.0
    scale = {"cmap": _diverging(), "vmin": -largest, "vmax": largest}

    size = inches * len(grids) + 1.4, 0.7 + inches * min(tallest, 1.2)
    on = sheet(ax, size, columns=len(grids))
    for axes, (title, _), images, width in zip(on.axes, grids, units, columns, strict=True):
        bare(axes)
        on.title(axes, title, loc="center")
        axes.set_anchor("N")
        drawn = draw_tiles(axes, images, width, gap, captions, **scale)
    add_colour_bar(on.figure, drawn, on.axes, "weight")
    return on.figure


def _diverging() -> "Colormap":
    """Return blue for the lowest, white for the middle, orange for the highest."""
    from matplotlib.colors import LinearSegmentedColormap

    colours = ("#002B45", PALETTE[0], "white", PALETTE[1], "#5C2400")
    return LinearSegmentedColormap.from_list("diverging", colours).with_extremes(bad="white")


def _title(shown: int, units: int, are_classes: bool) -> str:
    if are_classes:
        return "weights of each class"
    if shown < units:
        return f"first-layer weights: the {shown} of {units} units with the largest norm"
    return f"first-layer weights: {'all ' if units > 1 else ''}{units} unit{'s' * (units > 1)}"
