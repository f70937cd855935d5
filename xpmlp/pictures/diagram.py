"""A net of threshold units as a textbook draws it, beside the truth table of what it computes."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from xpmlp.pictures.style import GREY, PALETTE, TITLE_SIZE, bare, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RADIUS, MARGIN = 0.3, 0.4
UNIT_INCHES = 1.5
COLUMN_INCHES, LINE_INCHES = 0.5, 0.36
CLEAR, ARROW = 0.1, 0.1
POSITIVE, NEGATIVE = PALETTE[0], PALETTE[1]


@dataclass(frozen=True)
class Node:
    """A unit at a place of the picture, x to the right and y upwards, neighbours 1 or more apart.

    It is 1 where its weighted inputs sum to more than the threshold, else 0. An input of the
    net has no threshold.
    """

    name: str
    x: float
    y: float
    threshold: float | None = None


@dataclass(frozen=True)
class Edge:
    """A connection from one node to another, by their names."""

    source: str
    target: str
    weight: float


def threshold_net(nodes: Sequence[Node], edges: Sequence[Edge]) -> "Figure":
    """Draw a net with thresholds in circles and weights on edges, beside its truth table.

    nodes: each after all that feed it. A negative weight has a colour of its own.
    """
    table = truth_table(nodes, edges)
    corners = np.array([(node.x, node.y) for node in nodes])
    net = UNIT_INCHES * (np.ptp(corners, axis=0) + 2 * (RADIUS + MARGIN / 2))
    cells = np.array([COLUMN_INCHES * len(nodes), LINE_INCHES * (len(table) + 1)])
    figure = new_figure(net[0] + cells[0] + 0.8, max(net[1], cells[1]) + 0.2)
    left, right = figure.subplots(1, 2, width_ratios=[net[0], cells[0]])
    _draw_net(left, nodes, edges)
    _draw_table(right, nodes, table)
    return figure


def truth_table(nodes: Sequence[Node], edges: Sequence[Edge]) -> list[tuple[int, ...]]:
    """Return what every node is, in their order, for all 2ⁿ values of the n inputs."""
    inputs = [node.name for node in nodes if node.threshold is None]
    rows = []
    for values in product((0, 1), repeat=len(inputs)):
        state = dict(zip(inputs, values, strict=True))
        for node in nodes:
            if node.threshold is not None:
                fed = (edge for edge in edges if edge.target == node.name)
                total = sum(edge.weight * state[edge.source] for edge in fed)
                state[node.name] = int(total > node.threshold)
        rows.append(tuple(state[node.name] for node in nodes))
    return rows


def label_places(nodes: Sequence[Node], edges: Sequence[Edge]) -> list[np.ndarray]:
    """Return where on each edge its weight is written, (2,): the middle, or where there is room.

    Of the points of an edge, the first, from its middle outwards, that is clear of the other
    edges, all circles and the weights before it, or else the clearest.
    """
    centres = {node.name: np.array([node.x, node.y], dtype=float) for node in nodes}
    lines = [(centres[edge.source], centres[edge.target]) for edge in edges]
    shares = sorted(np.linspace(0.2, 0.8, 25), key=lambda share: abs(share - 0.5))
    places: list[np.ndarray] = []
    for i, (start, end) in enumerate(lines):
        others = lines[:i] + lines[i + 1 :]
        candidates = [start + share * (end - start) for share in shares]
        room = [_room(place, others, list(centres.values()), places) for place in candidates]
        places.append(candidates[int(np.argmax(room))])
    return places


def _room(
    place: np.ndarray,
    lines: Sequence[tuple[np.ndarray, np.ndarray]],
    centres: Sequence[np.ndarray],
    written: Sequence[np.ndarray],
) -> float:
    """Return how far a place is from all else, at most CLEAR: more makes no difference."""
    distances = [
        *(_distance(place, start, end) for start, end in lines),
        *(float(np.linalg.norm(place - centre)) - RADIUS - ARROW for centre in centres),
        *(float(np.linalg.norm(place - other)) - CLEAR for other in written),
    ]
    return min(CLEAR, *distances)


def _distance(point: np.ndarray, start: np.ndarray, end: np.ndarray) -> float:
    """Return the distance of a point from a line between two points, all (2,)."""
    along = end - start
    share = np.clip((point - start) @ along / (along @ along), 0, 1)
    return float(np.linalg.norm(point - start - share * along))


def _draw_net(axes: "Axes", nodes: Sequence[Node], edges: Sequence[Edge]) -> None:
    from matplotlib.patches import Circle, FancyArrowPatch

    bare(axes)
    axes.set_aspect("equal")
    circles: dict[str, Circle] = {}
    for node in nodes:
        circle = Circle((node.x, node.y), RADIUS, facecolor="white", edgecolor="black", zorder=2)
        circles[node.name] = circle
        axes.add_patch(circle)
        text = node.name if node.threshold is None else f"{node.name}\n> {_number(node.threshold)}"
        axes.text(node.x, node.y, text, ha="center", va="center", fontsize=TITLE_SIZE, zorder=3)
    for edge, place in zip(edges, label_places(nodes, edges), strict=True):
        ends = circles[edge.source], circles[edge.target]
        colour = NEGATIVE if edge.weight < 0 else POSITIVE
        arrow = FancyArrowPatch(
            ends[0].center,
            ends[1].center,
            patchA=ends[0],
            patchB=ends[1],
            shrinkA=0,
            shrinkB=0,
            arrowstyle="-|>",
            mutation_scale=14,
            linewidth=1.4,
            color=colour,
            zorder=1,
        )
        axes.add_patch(arrow)
        axes.text(
            place[0],
            place[1],
            _number(edge.weight),
            ha="center",
            va="center",
            fontsize=TITLE_SIZE,
            color=colour,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
        )
    axes.autoscale_view()


def _draw_table(axes: "Axes", nodes: Sequence[Node], rows: Sequence[tuple[int, ...]]) -> None:
    """Write the values under their nodes' names, a line under these and beside the inputs."""
    bare(axes)
    axes.set_aspect("equal")
    width, height = COLUMN_INCHES * len(nodes), LINE_INCHES * (len(rows) + 1)
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    for i, cells in enumerate(([node.name for node in nodes], *rows)):
        for j, cell in enumerate(cells):
            place = COLUMN_INCHES * (j + 0.5), LINE_INCHES * (i + 0.5)
            axes.text(*place, str(cell), ha="center", va="center", fontsize=TITLE_SIZE)
    inputs = COLUMN_INCHES * sum(node.threshold is None for node in nodes)
    axes.plot([0, width], [LINE_INCHES] * 2, color=GREY, linewidth=1)
    axes.plot([inputs] * 2, [0, height], color=GREY, linewidth=1)


def _number(value: float) -> str:
    return f"{value:g}".replace("-", "−")
