"""How training went: loss per step, loss and accuracy per epoch, size of the gradients."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from xpmlp.reporting.style import (
    GREY,
    PALETTE,
    SMALL_TEXT_SIZE,
    TEXT_SIZE,
    dress,
    integer_ticks,
    new_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKED_POINTS = 40
LOG_DECADES = 1.5
DRAWN_BINS = 2000
LONGEST_WINDOW = 999


@dataclass(frozen=True)
class Curve:
    """One line of a picture: values (S,), a value per step or epoch, NaN where there is none.

    low, high: (S,), the edges of a band around the line, such as the extremes of many runs.
    """

    label: str
    values: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None

    @classmethod
    def of_runs(cls, label: str, values: np.ndarray) -> "Curve":
        """Return the mean of K runs, values (K, S), in a band from the lowest to the highest."""
        return cls(label, values.mean(axis=0), values.min(axis=0), values.max(axis=0))


class Look(NamedTuple):
    """How a line is drawn, and whether the values that it smooths are drawn behind it."""

    colour: str
    width: float = 1.8
    style: str = "-"
    raw: bool = True


def loss_per_step(curves: Sequence[Curve], steps_per_epoch: int) -> "Figure":
    """Draw the loss of each batch, faint, and its running mean; a penalty may come second.

    All curves share the axes. Log axis where a running mean spans more than 1.5 decades.
    """
    figure = new_figure(8, 4.8)
    axes = figure.subplots()
    dress(axes, "step", "loss")
    for curve, colour in zip(curves, _colours(len(curves)), strict=True):
        _draw_steps(axes, curve, steps_per_epoch, Look(colour))
    window = smoothing_window(len(curves[0].values), steps_per_epoch)
    smooth = [running_mean(curve.values, window) for curve in curves]
    if spans_decades(np.concatenate(smooth)):
        axes.set_yscale("log")
    _finish_steps(axes, len(curves[0].values), steps_per_epoch)
    return figure


def gradient_magnitude(
    weights: Sequence[Curve], biases: Sequence[Curve], steps_per_epoch: int
) -> "Figure":
    """Draw the norm of each layer's dW, with its running mean, and of its db, dashed.

    weights, biases: one curve a layer, in the same order. Zeros fall off the log axis, which
    is there unless all is zero.
    """
    figure = new_figure(8, 4.8)
    axes = figure.subplots()
    dress(axes, "step", "norm of the gradient")
    colours = _colours(len(weights))
    for curve, colour in zip(weights, colours, strict=True):
        _draw_steps(axes, _labelled(curve), steps_per_epoch, Look(colour, 2.0))
    for curve, colour in zip(biases, colours, strict=True):
        _draw_steps(axes, _labelled(curve), steps_per_epoch, Look(colour, 1.0, "--", raw=False))
    if any((curve.values > 0).any() for curve in (*weights, *biases)):
        axes.set_yscale("log")
    _finish_steps(axes, len(weights[0].values), steps_per_epoch)
    return figure


def epoch_curves(
    losses: Sequence[Curve], accuracies: Sequence[Curve] = (), best_epoch: int | None = None
) -> "Figure":
    """Draw losses and, in a second panel where there are any, accuracies against the epoch.

    best_epoch: from 1, marked by a vertical line.
    """
    figure = new_figure(10 if accuracies else 6.5, 4.2)
    panels = figure.subplots(1, 2 if accuracies else 1, squeeze=False)[0]
    named = zip(panels, ("loss", "accuracy"), (losses, accuracies), strict=False)
    for axes, name, curves in named:
        dress(axes, "epoch", name)
        _draw_epochs(axes, curves)
        if best_epoch is not None:
            axes.axvline(
                best_epoch, color=GREY, linestyle=":", label=f"best epoch ({best_epoch})", zorder=1
            )
        axes.legend(loc="best", fontsize=SMALL_TEXT_SIZE, frameon=False)
    if spans_decades(np.concatenate([curve.values for curve in losses])):
        panels[0].set_yscale("log")
    return figure


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Return (S,): the mean of the window (odd) around each of S values, cut at the ends."""
    window = min(window, len(values) - 1 + len(values) % 2)
    if window <= 1:
        return values
    ones = np.ones(window)
    total = np.convolve(values, ones, mode="same")
    return total / np.convolve(np.ones(len(values)), ones, mode="same")


def smoothing_window(steps: int, steps_per_epoch: int) -> int:
    """Return an odd count of steps to average: 1/50 of the run, at most an epoch.

    At least 11 where the epoch has as many, and never more than 999; without batches, 1.
    """
    wanted = min(steps_per_epoch, max(11, steps // 50), LONGEST_WINDOW)
    return wanted - 1 + wanted % 2


def spans_decades(values: np.ndarray) -> bool:
    """Tell whether values, all above zero, span more than 1.5 decades."""
    known = values[np.isfinite(values)]
    if known.size == 0 or known.min() <= 0:
        return False
    return bool(np.log10(known.max()) - np.log10(known.min()) > LOG_DECADES)


def outline(values: np.ndarray, bins: int = DRAWN_BINS) -> tuple[np.ndarray, np.ndarray]:
    """Return steps, from 1, and values that look like all of (S,) at a picture's resolution.

    Up to 2·bins values are kept as they are; of more, each bin's lowest and highest.
    """
    per_bin = -(-len(values) // bins)
    if per_bin <= 2:
        return np.arange(1, len(values) + 1), values
    starts = np.arange(0, len(values), per_bin)
    low, high = np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts)
    steps = np.repeat(starts + 1.0, 2)
    steps[1::2] = np.minimum(steps[1::2] + (per_bin - 1) / 2, len(values))
    return steps, np.stack([low, high], axis=1).ravel()


def _draw_steps(axes: "Axes", curve: Curve, steps_per_epoch: int, look: Look) -> None:
    window = smoothing_window(len(curve.values), steps_per_epoch)
    steps, smooth = outline(running_mean(curve.values, window))
    if curve.low is not None and curve.high is not None:
        low, high = (outline(running_mean(edge, window))[1] for edge in (curve.low, curve.high))
        axes.fill_between(steps, low, high, color=look.colour, alpha=0.2, linewidth=0)
    elif window > 1 and look.raw:
        axes.plot(*outline(curve.values), color=look.colour, alpha=0.25, linewidth=0.7, zorder=1.5)
    axes.plot(
        steps,
        smooth,
        color=look.colour,
        linewidth=look.width,
        linestyle=look.style,
        marker="o" if len(steps) == 1 else None,
        label=curve.label,
        zorder=3,
    )


def _draw_epochs(axes: "Axes", curves: Sequence[Curve]) -> None:
    for curve, colour in zip(curves, _colours(len(curves)), strict=True):
        epochs = np.arange(1, len(curve.values) + 1)
        marker = "o" if len(epochs) <= MARKED_POINTS else None
        if curve.low is not None and curve.high is not None:
            axes.fill_between(epochs, curve.low, curve.high, color=colour, alpha=0.2, linewidth=0)
        axes.plot(
            epochs,
            curve.values,
            color=colour,
            linewidth=1.8,
            marker=marker,
            markersize=4,
            label=curve.label,
        )
    integer_ticks(axes.xaxis)
    axes.ticklabel_format(axis="y", useOffset=False)


def _finish_steps(axes: "Axes", steps: int, steps_per_epoch: int) -> None:
    """Add the legend, ticks at whole steps and, where an epoch has many, a scale of epochs."""
    axes.margins(x=0.02)
    integer_ticks(axes.xaxis)
    window = smoothing_window(steps, steps_per_epoch)
    axes.legend(
        title=f"means of {window} steps; faint: single steps" if window > 1 else None,
        title_fontsize=SMALL_TEXT_SIZE,
        loc="best",
        fontsize=SMALL_TEXT_SIZE,
        frameon=False,
        ncols=2,
    )
    if steps_per_epoch == 1 or steps < steps_per_epoch:
        return

    def to_epochs(step: Any) -> Any:
        return step / steps_per_epoch

    def to_steps(epoch: Any) -> Any:
        return epoch * steps_per_epoch

    top = axes.secondary_xaxis("top", functions=(to_epochs, to_steps))
    top.set_xlabel("epoch", fontsize=TEXT_SIZE, color=GREY)
    top.tick_params(labelsize=SMALL_TEXT_SIZE, color=GREY, labelcolor=GREY)
    top.spines["top"].set_color(GREY)
    integer_ticks(top.xaxis)


def _labelled(curve: Curve) -> Curve:
    """Return a curve whose label says that all is zero, as a log axis can't show it."""
    return curve if curve.values.any() else replace(curve, label=f"{curve.label} (all zero)")


def _colours(count: int) -> list[str]:
    return [PALETTE[i % len(PALETTE)] for i in range(count)]
