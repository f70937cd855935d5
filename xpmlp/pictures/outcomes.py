"""What a model makes of rows it has not seen: which it gets right, and which wrong."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from xpmlp.pictures.style import (
    GREY,
    PALETTE,
    SMALL_TEXT_SIZE,
    add_colour_bar,
    bare,
    dress,
    printable,
    sheet,
)
from xpmlp.pictures.tiles import caption_gap, draw_tiles, tile
from xpmlp.training.texts import value_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COUNTED_CLASSES = 15
DRAWN_CLASSES = 64
SHOWN_MISTAKES = 25
MISTAKES_PER_ROW = 5
DRAWN_VALUES = 5000
SHARE_TICKS = (0, 0.01, 0.05, 0.2, 0.5, 1)


def confusion_matrix(
    true: np.ndarray,
    predicted: np.ndarray,
    class_names: Sequence[str],
    part: str = "test",
    *,
    ax: "Axes | Sequence[Axes] | None" = None,
) -> "Figure":
    """Draw how many rows of each true class went to each predicted one.

    true, predicted: class indices (N,). part: what the title calls the rows. Colours are shares
    of the true class, on a square root scale that shows rare mistakes; the counts are written
    for up to 15 classes. Of more than 64 classes those with the most mistakes are drawn.
    """
    from matplotlib.colors import PowerNorm
    from sklearn import metrics

    drawn = _most_mistaken(true, predicted, len(class_names))
    count = len(drawn)
    counts = metrics.confusion_matrix(true, predicted, labels=drawn)
    of_class = np.bincount(true, minlength=len(class_names))[drawn]
    shares = counts / np.maximum(of_class[:, None], 1)
    names = [printable(class_names[i], 18) for i in drawn]
    side = min(3.4 + 0.42 * count, 11)
    on = sheet(ax, (side + 1.2, side))
    (axes,) = on.axes
    image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1))
    accuracy = np.mean(true == predicted)
    title = f"{part} accuracy {accuracy:.4f}, {len(true):,} rows".lstrip()
    if count < len(class_names):
        title += f"\n{count} of {len(class_names):,} classes, those with the most mistakes"
    dress(axes, "predicted class", "true class")
    on.title(axes, title)
    axes.grid(visible=False)
    tilt = 45 if max(map(len, names)) > 3 else 0
    axes.set_xticks(range(count), names, rotation=tilt, ha="right" if tilt else "center")
    axes.tick_params(axis="x", rotation=tilt)
    axes.set_yticks(range(count), names)
    if count <= COUNTED_CLASSES:
        for row, column in np.ndindex(count, count):
            axes.text(
                column,
                row,
                f"{counts[row, column]}",
                ha="center",
                va="center",
                fontsize=SMALL_TEXT_SIZE,
                color="white" if shares[row, column] > 0.35 else "black",
            )
    add_colour_bar(on.figure, image, axes, "share of the true class", ticks=SHARE_TICKS)
    return on.figure


def _most_mistaken(true: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Return up to 64 classes in their order: those in the most mistakes, then the most rows."""
    wrong = true != predicted
    of_class, taken = (np.bincount(y[wrong], minlength=classes) for y in (true, predicted))
    order = np.lexsort((-np.bincount(true, minlength=classes), -(of_class + taken)))
    return np.sort(order[:DRAWN_CLASSES])


def worst_mistakes(
    true: np.ndarray, predicted: np.ndarray, certainty: np.ndarray, limit: int = SHOWN_MISTAKES
) -> np.ndarray:
    """Return the indices of up to `limit` wrong rows, the most certain first; all are (N,)."""
    wrong = np.flatnonzero(true != predicted)
    return wrong[np.argsort(-certainty[wrong], kind="stable")][:limit]


def misclassified(
    images: np.ndarray,
    captions: Sequence[str],
    title: str = "misclassified",
    *,
    ax: "Axes | Sequence[Axes] | None" = None,
) -> "Figure":
    """Draw images (N, h, w) in rows of five, each under a caption of one or two lines."""
    from matplotlib import colormaps

    columns = min(MISTAKES_PER_ROW, len(images))
    gap = caption_gap(captions, images.shape[1])
    height, width = tile(images, columns, gap).shape
    inches = 1.8 * columns
    on = sheet(ax, (max(inches, 5), 0.5 + inches * height / width))
    (axes,) = on.axes
    bare(axes)
    on.title(axes, title, loc="center")
    draw_tiles(
        axes, images, columns, gap, captions, cmap=colormaps["gray"].with_extremes(bad="white")
    )
    return on.figure


def mistake_caption(true: str, predicted: str, output: float, measure: str = "p") -> str:
    """Return `true → predicted (p=0.98)`, on two lines where the names are long."""
    figure = f"({measure}={output:.2f})"
    if len(true) + len(predicted) <= 6:
        return f"{true} → {predicted} {figure}"
    return f"{printable(true, 17)} →\n{printable(predicted, 12)} {figure}"


def predicted_against_true(
    true: np.ndarray,
    predicted: np.ndarray,
    part: str = "test",
    *,
    ax: "Axes | Sequence[Axes] | None" = None,
) -> "Figure":
    """Draw predicted against true values, both (N, O), with the line where they are equal.

    part: what the texts call the rows.
    """
    on = sheet(ax, (6, 5.4))
    (axes,) = on.axes
    error = float(np.sqrt(np.mean((predicted - true) ** 2)))
    title = f"{part} root mean square error {value_text(error)}".lstrip()
    dress(axes, "true value", "predicted value")
    on.title(axes, title)
    chosen = np.arange(len(true))
    if len(true) > DRAWN_VALUES:
        chosen = np.random.default_rng(0).choice(len(true), DRAWN_VALUES, replace=False)
    for output in range(true.shape[1]):
        axes.scatter(
            true[chosen, output],
            predicted[chosen, output],
            s=20,
            alpha=0.6,
            linewidths=0,
            color=PALETTE[output % len(PALETTE)],
            label=f"output {output + 1}" if true.shape[1] > 1 else f"{part} rows".lstrip(),
        )
    middle = float(true.mean())
    axes.set_aspect("equal", adjustable="datalim")
    axes.axline((middle, middle), slope=1, color=GREY, linestyle="--", linewidth=1, label="equal")
    axes.legend(loc="best", fontsize=SMALL_TEXT_SIZE, frameon=False)
    return on.figure
