"""Whether a model's probabilities can be taken at their word, as a reliability diagram."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from xpmlp.pictures.style import GREY, LIGHT_GREY, PALETTE, dress, put_legend, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def calibration_curve(
    confidence: np.ndarray,
    right: np.ndarray,
    share: np.ndarray,
    error: float,
    intervals: np.ndarray | None = None,
    part: str = "test",
    *,
    ax: "Axes | Sequence[Axes] | None" = None,
) -> "Figure":
    """Draw for each bin of probabilities how much of it was right, with the line of equality.

    confidence, right: means over the rows of a bin, (M,), NaN where it has none. share: its share
    of all rows, (M,), drawn as bars. error: the expected calibration error. intervals: of
    `right`, (2, M). part: what the texts call the rows.
    """
    on = sheet(ax, (5.4, 6))
    (axes,) = on.axes
    dress(axes, "probability of the predicted class", "share of the rows")
    on.title(axes, f"{part} expected calibration error {error:.4f}".lstrip())
    edges = np.linspace(0, 1, len(share) + 1)
    bars = axes.bar(
        edges[:-1],
        share,
        np.diff(edges),
        align="edge",
        color=LIGHT_GREY,
        edgecolor="white",
        label="a bin's share of all rows",
    )
    (equal,) = axes.plot(
        [0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="right as often as sure"
    )
    known = ~np.isnan(confidence)
    x, y = confidence[known], right[known]
    axes.plot(x, y, color=PALETTE[0], linewidth=1, alpha=0.4)
    (points,) = axes.plot(
        x, y, "o", color=PALETTE[0], markersize=5, clip_on=False, label="right, of a bin's rows"
    )
    handles: list[Any] = [points, equal, bars]
    if intervals is not None:
        lines = axes.vlines(
            x, *intervals[:, known], color=PALETTE[0], linewidth=1, label="95 % interval"
        )
        handles.insert(1, lines)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    put_legend(on, handles, columns=2)
    return on.figure
