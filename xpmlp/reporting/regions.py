"""What a classifier of two features says of every point of the plane."""

from typing import TYPE_CHECKING, Any

import numpy as np

from xpmlp.reporting.style import (
    SMALL_TEXT_SIZE,
    class_colours,
    dress,
    new_figure,
    printable,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from xpmlp.data.dataset import Rows
    from xpmlp.training.model import Model

GRID = 200
DRAWN_TRAIN = 1500
DRAWN_TEST = 500
FAINTEST, STRONGEST = 0.12, 0.5
MARGIN = 0.08
_TRAINING = {"marker": "o", "s": 18, "edgecolors": "white", "linewidths": 0.5}
_TEST = {"marker": "^", "s": 34, "edgecolors": "black", "linewidths": 0.8}


def decision_regions(model: "Model", train: "Rows", test: "Rows") -> "Figure":
    """Draw the predicted class over the plane, paler where it is less certain, and the rows.

    The model takes two features; x of the rows is scaled as in training. Of many rows a random
    part is drawn, always the same.
    """
    low, high = limits(np.concatenate([train.x, test.x]))
    width, height = high - low
    similar = max(width, height) < 3 * min(width, height)
    figure = new_figure(8.2, 0.8 + 5.4 * (min(height / width, 1.0) if similar else 0.8))
    axes = figure.subplots()
    axes.set_anchor("NW")
    colours = class_colours(len(model.class_names))
    axes.imshow(
        region_image(model, low, high, colours),
        extent=(low[0], high[0], low[1], high[1]),
        origin="lower",
        interpolation="bilinear",
        aspect="equal" if similar else "auto",
    )
    _draw_rows(axes, train, DRAWN_TRAIN, colours, "training", **_TRAINING)
    _draw_rows(axes, test, DRAWN_TEST, colours, "test", **_TEST)
    scaled = " (scaled)" if model.scale != "none" else ""
    names = model.feature_names or ("x1", "x2")
    dress(axes, *(printable(name, 40) + scaled for name in names))
    axes.set_title(
        "predicted class, paler where less certain", fontsize=SMALL_TEXT_SIZE, loc="left"
    )
    axes.grid(visible=False)
    _add_legend(figure, axes, model.class_names, colours)
    return figure


def limits(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners (2,), (2,) of a rectangle around rows (N, 2), with a margin."""
    low, high = x.min(axis=0).astype(float), x.max(axis=0).astype(float)
    span = np.where(high > low, high - low, 1.0)
    return low - MARGIN * span, high + MARGIN * span


def plane_points(low: np.ndarray, high: np.ndarray, grid: int = GRID) -> np.ndarray:
    """Return the centres (grid², 2) of the cells of a rectangle, rows from the bottom."""
    centres = (np.arange(grid) + 0.5) / grid
    x1, x2 = (low[i] + centres * (high[i] - low[i]) for i in (0, 1))
    return np.stack([np.tile(x1, grid), np.repeat(x2, grid)], axis=1)


def region_image(
    model: "Model", low: np.ndarray, high: np.ndarray, colours: np.ndarray, grid: int = GRID
) -> np.ndarray:
    """Return (grid, grid, 3): each cell's class colour, mixed with white by its certainty."""
    points = plane_points(low, high, grid)
    classes = model.predict(points)
    chosen = chosen_outputs(model.predict_outputs(points), classes)
    chance = 1 / len(colours)
    certainty = np.clip((chosen - chance) / (1 - chance), 0, 1)[:, None]
    strength = FAINTEST + (STRONGEST - FAINTEST) * certainty
    image: np.ndarray = 1 - strength * (1 - colours[classes])
    return image.reshape(grid, grid, 3)


def chosen_outputs(outputs: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return (N,): the output of each row's class; of one node, p of class 1 and 1 - p of 0.

    outputs: (N, C) or (N, 1), of `Model.predict_outputs`. classes: (N,).
    """
    if outputs.shape[1] == 1:
        outputs = np.concatenate([1 - outputs, outputs], axis=1)
    chosen: np.ndarray = outputs[np.arange(len(classes)), classes]
    return chosen


def _draw_rows(
    axes: "Axes", rows: "Rows", limit: int, colours: np.ndarray, name: str, **style: Any
) -> None:
    if len(rows) == 0:
        return
    chosen = np.arange(len(rows))
    label = f"{name} rows ({len(rows):,})"
    if len(rows) > limit:
        chosen = np.random.default_rng(0).choice(len(rows), limit, replace=False)
        label = f"{name} rows\n({limit:,} of {len(rows):,})"
    x1, x2 = rows.x[chosen].T
    axes.scatter(x1, x2, c=colours[rows.y[chosen]], **style)
    axes.scatter([], [], c="grey", label=label, **style)


def _add_legend(
    figure: "Figure", axes: "Axes", names: tuple[str, ...], colours: np.ndarray
) -> None:
    from matplotlib.patches import Patch

    patches = [
        Patch(color=colour, label=f"class {printable(name, 24)}")
        for name, colour in zip(names, colours, strict=True)
    ]
    figure.legend(
        handles=[*patches, *axes.get_legend_handles_labels()[0]],
        loc="outside right upper",
        fontsize=SMALL_TEXT_SIZE,
        frameon=False,
    )
