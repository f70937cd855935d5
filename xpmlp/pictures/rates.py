"""The loss against the learning rate, as a range test found it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from xpmlp.pictures.curves import FAINT
from xpmlp.pictures.style import GREY, PALETTE, dress, put_legend, sheet

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from xpmlp.training.range_test import Reading

ROOM = 0.15


def loss_against_rate(
    rates: np.ndarray,
    losses: np.ndarray,
    reading: "Reading",
    *,
    ax: "Axes | Sequence[Axes] | None" = None,
) -> "Figure":
    """Draw the loss of each step, faint, and means of them, against the rate on a log axis.

    rates, losses: (S,). The steepest stretch is shaded, the suggestion a line.
    """
    on = sheet(ax, (8, 5))
    (axes,) = on.axes
    dress(axes, "learning rate", "loss")
    axes.set_xscale("log")
    axes.plot(rates, losses, color=PALETTE[0], alpha=2 * FAINT, linewidth=0.7, zorder=2)
    (line,) = axes.plot(
        rates, reading.smoothed, color=PALETTE[0], linewidth=1.8, label="loss", zorder=3
    )
    handles: list[Artist] = [line]
    if reading.steepest:
        low, high = reading.steepest
        handles += [
            axes.axvspan(
                low,
                high,
                color=PALETTE[2],
                alpha=FAINT,
                linewidth=0,
                label=f"falls fastest: {low:.2g} to {high:.2g}",
            ),
            axes.axvline(
                reading.suggestion,
                color=PALETTE[1],
                linestyle="--",
                label=f"suggestion: {reading.suggestion:g}",
            ),
        ]
    if reading.grows_from:
        grows = f"grows from {reading.grows_from:.2g}"
        handles.append(axes.axvline(reading.grows_from, color=GREY, linestyle=":", label=grows))
    axes.set_ylim(_limits(losses, reading))
    put_legend(on, handles, f"means of {reading.window} steps; faint: single steps")
    return on.figure


def _limits(losses: np.ndarray, reading: "Reading") -> tuple[float, float]:
    """Return the lowest and the highest loss drawn: growth is cut where it hides the fall."""
    low = float(min(losses.min(), reading.smoothed.min()))
    start = float(reading.smoothed[0])
    fall = max(start - low, 1e-3 * abs(start), 1e-12)
    high = min(float(losses.max()), start + fall * 0.6)
    room = ROOM * fall
    return low - room / 2, high + room
