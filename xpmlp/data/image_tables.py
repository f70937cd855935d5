"""Images in tables: a column for each pixel, known by the names of the columns."""

import re
from collections.abc import Sequence
from itertools import product
from math import isqrt
from typing import NamedTuple

_LABELS = ("label", "class", "target", "y")
_NUMBERED = re.compile(r"(?:pixel|px)[ _-]?(\d+)", re.IGNORECASE)
_PLACED = (
    re.compile(r"(\d+)x(\d+)"),
    re.compile(r"(?:pixel|px)[ _-]?(\d+)[_x](\d+)", re.IGNORECASE),
)
_FEWEST_PIXELS = 4


class ImageTable(NamedTuple):
    """The layout of a table of images.

    label: the place of the column of labels, from 0: the first or the last; None without one.
    shape: (H, W); the pixels stand row by row in the other columns.
    """

    label: int | None
    shape: tuple[int, int]


class PixelScale(NamedTuple):
    """What counts as 1 in pixels, None for values that are no pixels, and a note or nothing."""

    full_scale: float | None
    note: str = ""


def image_table(names: Sequence[str]) -> ImageTable | None:
    """Return how the columns of a table hold images, None where they don't.

    The columns are `pixel0, pixel1, …` or `pixel1, …` of a square image, zeros before the
    numbers or not, or `1x1, 1x2, …` or `pixel_0_0, pixel_0_1, …` of any; before or behind them
    may stand one named label, class, target or y.
    """
    for label, pixels in ((0, names[1:]), (len(names) - 1, names[:-1])):
        named = names and names[label].strip().lower() in _LABELS
        if named and (shape := _shape(pixels)):
            return ImageTable(label, shape)
    shape = _shape(names)
    return ImageTable(None, shape) if shape else None


def pixel_scale(lowest: float, highest: float, origin: str) -> PixelScale:
    """Return what counts as 1 in pixels from the lowest to the highest: 1, 16 or 255.

    origin: what the note calls the data.
    """
    if lowest < 0 or highest > 255:
        return PixelScale(None)
    full_scale = next(scale for scale in (1.0, 16.0, 255.0) if highest <= scale)
    if full_scale == 255:
        return PixelScale(full_scale)
    note = (
        f"{origin}: no pixel is above {highest:g}, so {full_scale:g} is taken for full brightness"
    )
    return PixelScale(full_scale, note)


def _shape(names: Sequence[str]) -> tuple[int, int] | None:
    """Return the shape (H, W) of the images whose pixels have these names."""
    if len(names) < _FEWEST_PIXELS:
        return None
    if numbers := _numbers(_NUMBERED, names):
        return _square([number for (number,) in numbers])
    return next((_grid(found) for form in _PLACED if (found := _numbers(form, names))), None)


def _numbers(form: re.Pattern[str], names: Sequence[str]) -> list[tuple[int, ...]]:
    """Return the numbers in names that all have a form, else none."""
    found = []
    for name in names:
        match = form.fullmatch(name.strip())
        if match is None:
            return []
        found.append(tuple(map(int, match.groups())))
    return found


def _square(numbers: list[int]) -> tuple[int, int] | None:
    side, start = isqrt(len(numbers)), numbers[0]
    counted = start in (0, 1) and numbers == list(range(start, start + len(numbers)))
    return (side, side) if counted and side * side == len(numbers) else None


def _grid(places: list[tuple[int, ...]]) -> tuple[int, int] | None:
    """Return the shape of a grid whose places, row and column, stand row by row."""
    start, (last_row, last_column) = places[0], places[-1]
    rows, columns = (range(start[0], end + 1) for end in (last_row, last_column))
    if start not in ((0, 0), (1, 1)) or places != list(product(rows, columns)):
        return None
    return len(rows), len(columns)
