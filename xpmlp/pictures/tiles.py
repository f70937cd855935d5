"""Many small images in one array, so that a picture of them needs one pair of axes."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from xpmlp.pictures.style import GREY, LETTER_WIDTH, SMALL_TEXT_SIZE, inches_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

CAPTION_LINE = 0.17


def tile(images: np.ndarray, columns: int, gap: int) -> np.ndarray:
    """Return one image with all of (N, h, w), row by row, NaN in the gaps between.

    There is a gap above and beside each image too, and one pixel below the last.
    """
    count, height, width = images.shape
    rows = -(-count // columns)
    cells = np.full((rows * columns, height + gap, width + gap), np.nan)
    cells[:count, gap:, gap:] = images
    grid = cells.reshape(rows, columns, height + gap, width + gap).swapaxes(1, 2)
    body = grid.reshape(rows * (height + gap), columns * (width + gap))
    return np.pad(body, ((0, 1), (0, gap)), constant_values=np.nan)


def square_columns(count: int, image_shape: tuple[int, int]) -> int:
    """Return the columns with which so many images (h, w) fill about a square."""
    height, width = image_shape
    return min(count, math.ceil(math.sqrt(count * height / width)))


def caption_gap(captions: Sequence[str], height: int) -> int:
    """Return the pixels between images of a height that leave room for captions, at least 1."""
    lines = max((caption.count("\n") + 1 for caption in captions), default=0)
    return max(1, math.ceil(CAPTION_LINE * lines * height))


def draw_tiles(
    axes: "Axes",
    images: np.ndarray,
    columns: int,
    gap: int,
    captions: Sequence[str] = (),
    **options: Any,
) -> "AxesImage":
    """Draw images (N, h, w) in a thin frame each, under captions (N) where there are any."""
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    count, height, width = images.shape
    corners = [
        (gap - 0.5 + column * (width + gap), gap - 0.5 + row * (height + gap))
        for row, column in (divmod(i, columns) for i in range(count))
    ]
    whole = tile(images, columns, gap)
    pixel = min(inches / n for inches, n in zip(inches_of(axes), whole.shape[::-1], strict=True))
    drawn = axes.imshow(whole, interpolation="nearest", **options)
    frames = [Rectangle(corner, width, height) for corner in corners]
    axes.add_collection(
        PatchCollection(frames, facecolor="none", edgecolor=GREY, linewidth=0.7), autolim=False
    )
    size = _caption_size(captions, pixel * (width + gap))
    for caption, (left, top) in zip(captions, corners, strict=False):
        axes.text(
            left + width / 2,
            top - 0.03 * height,
            caption,
            fontsize=size,
            ha="center",
            va="bottom",
        )
    return drawn


def _caption_size(captions: Sequence[str], inches: float) -> float:
    """Return the size at which captions fit above images so many inches apart."""
    longest = max((len(line) for caption in captions for line in caption.split("\n")), default=1)
    return min(SMALL_TEXT_SIZE, 72 * inches / (LETTER_WIDTH * longest))
