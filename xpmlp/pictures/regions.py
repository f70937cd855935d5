"""What a classifier of two features says of every point of the plane."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from xpmlp.pictures.style import (
    GREY,
    SMALL_TEXT_SIZE,
    TITLE_SIZE,
    class_colours,
    dress,
    legend_below,
    new_figure,
    printable,
    put_legend,
    sheet,
)
from xpmlp.training.model import decide

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from xpmlp.data.dataset import Rows
    from xpmlp.training.model import Model

GRID = 200
DRAWN_TRAIN = 1500
DRAWN_TEST = 500
FAINTEST, STRONGEST = 0.12, 0.5
MARGIN, WIDE_MARGIN, FEW_ROWS = 0.08, 0.25, 20
LARGEST_MARKER = 130
NAMED_CLASSES = 40
OUTPUTS_AT_ONCE = 20_000_000  # of the points of the plane
PANEL_INCHES = 3.25
IN_ONE_ROW = 3
SHADES = "predicted class, paler where less certain"


class Marker(NamedTuple):
    """How rows are drawn; size: in square points."""

    shape: str
    size: float
    edge: str
    edge_width: float

    def of_rows(self, count: int) -> "Marker":
        """Return the marker of one of so many rows: larger where there are few."""
        size = self.size * max(1.0, 14 / np.sqrt(max(count, 1)))
        return self._replace(size=min(size, LARGEST_MARKER))


TRAINING = Marker("o", 18, "white", 0.5)
TEST = Marker("^", 34, "black", 0.8)
WRONG = Marker("o", 24, "black", 1.1)


@dataclass(frozen=True)
class Panel:
    """One panel of `decision_panels`: rows over what a model says of the plane, or alone.

    predicted: the rows have the colour of the class that the model predicts, and a ring where
    it is wrong; else they have that of their own class.
    """

    title: str
    model: "Model | None"
    rows: "Rows"
    predicted: bool = False


def decision_regions(
    model: "Model",
    train: "Rows",
    test: "Rows",
    *,
    ax: "Axes | Sequence[Axes] | None" = None,
) -> "Figure":
    """Draw the predicted class over the plane, paler where it is less certain, and the rows.

    The model takes two features; x of the rows is scaled as in training. Of many rows a random
    part is drawn, always the same.
    """
    plane = Plane.around([train, test], model)
    on = sheet(ax, (8.2, 0.8 + 5.4 * min(plane.height, 1.0)))
    (axes,) = on.axes
    axes.set_anchor("NW")
    plane.dress(axes)
    plane.shade(axes, model)
    handles = plane.patches()
    for name, rows, limit, marker in (
        ("training", train, DRAWN_TRAIN, TRAINING),
        ("test", test, DRAWN_TEST, TEST),
    ):
        if len(rows):
            drawn = _some(len(rows), limit)
            marker = marker.of_rows(len(drawn))
            plane.scatter(axes, rows.x[drawn], rows.y[drawn], marker)
            of_all = f" ({len(rows):,})"
            if len(drawn) < len(rows):
                of_all = f"\n({len(drawn):,} of {len(rows):,})"
            handles.append(_entry(axes, f"{name} rows{of_all}", marker))
    on.title(axes, SHADES, SMALL_TEXT_SIZE)
    if on.own:
        look = {"loc": "outside right upper", "frameon": False}
        on.figure.legend(handles=handles, fontsize=SMALL_TEXT_SIZE, **look)
    else:
        put_legend(on, handles)
    return on.figure


def decision_panels(panels: Sequence[Panel]) -> "Figure":
    """Draw panels side by side, of four or more in two rows, with one scale and one legend.

    Classes and features have the names that the first model has for them, or numbers.
    """
    models = [panel.model for panel in panels if panel.model]
    plane = Plane.around([panel.rows for panel in panels], models[0] if models else None)
    columns = len(panels) if len(panels) <= IN_ONE_ROW else -(-len(panels) // 2)
    rows = -(-len(panels) // columns)
    height = 0.7 + PANEL_INCHES * float(np.clip(plane.height, 0.5, 1.2))
    figure = new_figure(0.5 + (PANEL_INCHES + 0.35) * columns, 0.9 + height * rows)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for i, (axes, panel) in enumerate(zip(grid, panels, strict=False)):
        plane.dress(axes, left=i % columns == 0, bottom=i + columns >= len(panels))
        _draw_panel(axes, panel, plane)
    for axes in grid[len(panels) :]:
        axes.remove()
    handles = plane.patches()
    if any(panel.predicted for panel in panels):
        handles.append(_entry(grid[0], "wrongly predicted", WRONG))
    legend_below(figure, handles, f"background: {SHADES}" if models else "")
    return figure


@dataclass(frozen=True)
class Plane:
    """What the panels of a picture share: its corners, (2,) and (2,), and the names."""

    low: np.ndarray
    high: np.ndarray
    class_names: Sequence[str]
    feature_names: Sequence[str]

    @classmethod
    def around(cls, parts: Sequence["Rows"], model: "Model | None") -> "Plane":
        """Return the plane around all rows, with the names of a model, or else with numbers."""
        low, high = limits(np.concatenate([rows.x for rows in parts]))
        if model is None:
            classes = range(1 + max(int(rows.y.max(initial=0)) for rows in parts))
            return cls(low, high, [str(i) for i in classes], ("x1", "x2"))
        scaled = " (scaled)" if model.scale != "none" else ""
        names = [printable(name, 40) + scaled for name in model.feature_names or ("x1", "x2")]
        return cls(low, high, model.class_names, names)

    @property
    def colours(self) -> np.ndarray:
        """The colour of each class, (C, 3)."""
        return class_colours(len(self.class_names))

    @property
    def similar(self) -> bool:
        """Whether both features can have the same scale."""
        width, height = self.high - self.low
        return bool(max(width, height) < 3 * min(width, height))

    @property
    def height(self) -> float:
        """The height of its picture, as a share of the width."""
        width, height = self.high - self.low
        return float(height / width) if self.similar else 0.8

    def dress(self, axes: "Axes", left: bool = True, bottom: bool = True) -> None:
        """Give axes the limits, and names and numbers on the sides that are free."""
        x1, x2 = self.feature_names
        dress(axes, x1 if bottom else "", x2 if left else "")
        axes.tick_params(labelleft=left, labelbottom=bottom)
        axes.grid(visible=False)
        axes.set_xlim(self.low[0], self.high[0])
        axes.set_ylim(self.low[1], self.high[1])
        axes.set_aspect("equal" if self.similar else "auto")

    def shade(self, axes: "Axes", model: "Model") -> None:
        """Colour the plane as a model classifies it."""
        axes.imshow(
            region_image(model, self.low, self.high, self.colours),
            extent=(self.low[0], self.high[0], self.low[1], self.high[1]),
            origin="lower",
            interpolation="bilinear",
            aspect=axes.get_aspect(),
        )

    def scatter(self, axes: "Axes", x: np.ndarray, classes: np.ndarray, marker: Marker) -> None:
        """Draw rows x (N, 2) in the colours of classes (N,)."""
        axes.scatter(x[:, 0], x[:, 1], color=self.colours[classes], **_style(marker))

    def patches(self) -> list["Artist"]:
        """Return the legend's entries of the classes, of many of them the first 40."""
        from matplotlib.patches import Patch

        names = self.class_names[:NAMED_CLASSES]
        entries: list[Artist] = [
            Patch(color=colour, label=f"class {printable(name, 24)}")
            for name, colour in zip(names, self.colours, strict=False)
        ]
        if more := len(self.class_names) - len(names):
            entries.append(Patch(color="none", label=f"and {more:,} more classes"))
        return entries


def limits(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners (2,), (2,) of a rectangle around rows (N, 2), with a margin.

    The margin is wider around few rows, such as those of XOR.
    """
    low, high = x.min(axis=0).astype(float), x.max(axis=0).astype(float)
    span = np.where(high > low, high - low, 1.0)
    margin = span * (MARGIN if len(x) > FEW_ROWS else WIDE_MARGIN)
    return low - margin, high + margin


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
    most = max(1, OUTPUTS_AT_ONCE // len(colours))
    parts = [_decided(model, points[i : i + most]) for i in range(0, len(points), most)]
    classes, chosen = map(np.concatenate, zip(*parts, strict=True))
    chance = 1 / len(colours)
    certainty = np.clip((chosen - chance) / (1 - chance), 0, 1)[:, None]
    strength = FAINTEST + (STRONGEST - FAINTEST) * certainty
    image: np.ndarray = 1 - strength * (1 - colours[classes])
    return image.reshape(grid, grid, 3)


def _decided(model: "Model", points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes (N,) of points and the outputs of these classes (N,)."""
    logits = model.scaled_logits(points)
    classes = decide(logits)
    return classes, certainties(model, logits, classes)


def certainties(model: "Model", logits: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return (N,): as `chosen_outputs`, from logits (N, C), of some rows at a time."""
    most = max(1, OUTPUTS_AT_ONCE // logits.shape[1])
    parts = [slice(i, i + most) for i in range(0, max(1, len(logits)), most)]
    chosen = [chosen_outputs(model.outputs_of(logits[p]), classes[p]) for p in parts]
    return np.concatenate(chosen)


def chosen_outputs(outputs: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return (N,): the output of each row's class; of one node, p of class 1 and 1 - p of 0.

    outputs: (N, C) or (N, 1), of `Model.predict_outputs`. classes: (N,).
    """
    if outputs.shape[1] == 1:
        outputs = np.concatenate([1 - outputs, outputs], axis=1)
    chosen: np.ndarray = outputs[np.arange(len(classes)), classes]
    return chosen


def _draw_panel(axes: "Axes", panel: Panel, plane: Plane) -> None:
    rows, model = panel.rows, panel.model
    classes, wrong, drawn = rows.y, np.zeros(len(rows), dtype=bool), _some(len(rows), DRAWN_TRAIN)
    about = f"{len(rows):,} rows" + f" ({len(drawn):,} drawn)" * (len(drawn) < len(rows))
    if model is not None:
        plane.shade(axes, model)
        predicted = model.predict(rows)
        about += f", {np.sum(predicted != rows.y):,} wrong"
        if panel.predicted:
            classes, wrong = predicted, predicted != rows.y
    for chosen, marker in ((drawn[~wrong[drawn]], TRAINING), (drawn[wrong[drawn]], WRONG)):
        plane.scatter(axes, rows.x[chosen], classes[chosen], marker.of_rows(len(drawn)))
    axes.set_title(panel.title, fontsize=TITLE_SIZE, loc="left", pad=18)
    axes.text(
        0, 1.02, about, transform=axes.transAxes, fontsize=SMALL_TEXT_SIZE, color=GREY, va="bottom"
    )


def _some(count: int, limit: int) -> np.ndarray:
    """Return the indices of so many rows, or of a random part, always the same."""
    if count <= limit:
        return np.arange(count)
    return np.random.default_rng(0).choice(count, limit, replace=False)


def _style(marker: Marker) -> dict[str, Any]:
    return {
        "marker": marker.shape,
        "s": marker.size,
        "edgecolor": marker.edge,
        "linewidths": marker.edge_width,
    }


def _entry(axes: "Axes", label: str, marker: Marker) -> "Artist":
    """Return a legend's entry for rows."""
    return axes.scatter([], [], color="grey", label=label, **_style(marker))
