"""What the first layer looks for in an image: its weights, drawn as images."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from xpmlp.reporting.style import PALETTE, add_colour_bar, bare, new_figure, printable
from xpmlp.reporting.tiles import caption_gap, draw_tiles, square_columns, tile

if TYPE_CHECKING:
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

SHOWN_UNITS = 64
GRID_INCHES = 6.5


def first_layer_weights(
    W: np.ndarray, image_shape: tuple[int, int], names: Sequence[str] = ()
) -> "Figure":
    """Draw the weights into each unit as an image, all on one scale with white for zero.

    W: (D, H) with D = height · width. Of more than 64 units, those with the largest norm.
    names: (H,), of the classes, where the outputs are the first layer.
    """
    chosen = np.arange(W.shape[1]) if names else largest_units(W)
    units = W.T[chosen].reshape(-1, *image_shape)
    columns = square_columns(len(units), image_shape)
    captions = [printable(name, 12) for name in names]
    gap = caption_gap(captions, image_shape[0])
    largest = float(np.abs(units).max()) or 1.0

    height, width = tile(units, columns, gap).shape
    figure = new_figure(GRID_INCHES + 1.4, 0.7 + GRID_INCHES * min(height / width, 1.2))
    axes = figure.subplots()
    bare(axes, _title(len(units), W.shape[1], bool(names)))
    image = draw_tiles(
        axes, units, columns, gap, captions, cmap=_diverging(), vmin=-largest, vmax=largest
    )
    add_colour_bar(figure, image, axes, "weight")
    return figure


def largest_units(W: np.ndarray, limit: int = SHOWN_UNITS) -> np.ndarray:
    """Return the indices of up to `limit` columns of W (D, H), the largest norm first."""
    return np.argsort(-np.linalg.norm(W, axis=0), kind="stable")[:limit]


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
