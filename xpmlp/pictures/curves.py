"""How training went: loss per step, loss and accuracy per epoch, size of the gradients.

A line is one run, or the mean of runs of several seeds in a band of one standard deviation,
broken and paler where some of them have stopped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from xpmlp.pictures.curve import Curve, count_of, outline, smoothing_window
from xpmlp.pictures.style import (
    GREY,
    PALETTE,
    SMALL_TEXT_SIZE,
    TEXT_SIZE,
    Sheet,
    class_colours,
    dress,
    integer_ticks,
    put_legend,
    sheet,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKED_POINTS = 40
THICK_POINTS = 300
LOG_DECADES = 1.5
FAINT = 0.22
PALE = 0.4
NAMED_LAYERS = 6


@dataclass(frozen=True)
class EpochPanel:
    """One panel of `epoch_panels`. best_epoch: from 1, marked by a vertical line."""

    title: str
    curves: Sequence[Curve]
    best_epoch: int | None = None


class Look(NamedTuple):
    """How a line is drawn, and how faint what lies behind it is: its band or single values."""

    colour: str
    width: float = 1.8
    style: str = "-"
    faint: float = FAINT
    marker: str | None = None


def loss_per_step(
    curves: Sequence[Curve], steps_per_epoch: int, *, ax: "Axes | Sequence[Axes] | None" = None
) -> "Figure":
    """Draw the loss of each batch, faint, and its running mean; a penalty may come second.

    All curves share the axes. Log axis where a running mean spans more than 1.5 decades.
    """
    on = sheet(ax, (8, 5))
    (axes,) = on.axes
    dress(axes, "step", "loss")
    window = smoothing_window(_longest(curves), steps_per_epoch)
    smooth = [curve.smooth(window) for curve in curves]
    for curve, line, colour in zip(curves, smooth, _colours(len(curves)), strict=True):
        _draw_steps(axes, curve, line, Look(colour, faint=faint_of(len(curves))))
    if spans_decades(np.concatenate([line.values for line in smooth])):
        _log_axis(axes)
    _finish_steps(axes, _longest(curves), steps_per_epoch)
    add_legend(on, note_on(curves, window))
    return on.figure


def gradient_magnitude(
    weights: Sequence[Curve],
    biases: Sequence[Curve],
    steps_per_epoch: int,
    *,
    ax: "Axes | Sequence[Axes] | None" = None,
) -> "Figure":
    """Draw the norm of each layer's dW, with its spread, and of its db, dashed and without.

    weights, biases: one curve a layer, in the same order. Zeros fall off the log axis, which
    is there unless all is zero. Of many layers only dW is in the legend, db in its caption.
    """
    on = sheet(ax, (8, 5))
    (axes,) = on.axes
    dress(axes, "step", "norm of the gradient")
    curves = (*weights, *biases)
    window = smoothing_window(_longest(curves), steps_per_epoch)
    deep = len(weights) > NAMED_LAYERS
    for W, b, colour in zip(weights, biases, layer_colours(len(weights)), strict=True):
        look = Look(colour, 2.0, faint=faint_of(len(weights)))
        _draw_steps(axes, W, _labelled(W).smooth(window), look)
        named = replace(b, label=f"_{b.label}") if deep else _labelled(b)
        _draw_steps(axes, b, named.smooth(window), Look(colour, 1.0, "--", faint=0))
    if any((curve.values > 0).any() for curve in curves):
        _log_axis(axes)
    _finish_steps(axes, _longest(curves), steps_per_epoch)
    add_legend(on, gradient_note(curves, window, deep), columns=len(weights))
    return on.figure


def epoch_curves(
    losses: Sequence[Curve],
    accuracies: Sequence[Curve] = (),
    best_epoch: int | None = None,
    *,
    ax: "Axes | Sequence[Axes] | None" = None,
) -> "Figure":
    """Draw losses and, in a second panel where there are any, accuracies against the epoch.

    best_epoch: from 1, marked by a vertical line.
    """
    on = sheet(ax, (10 if accuracies else 6.5, 4.4), columns=2 if accuracies else 1)
    colours = _label_colours([*losses, *accuracies])
    named = zip(on.axes, ("loss", "accuracy"), (losses, accuracies), strict=False)
    for axes, name, curves in named:
        dress(axes, "epoch", name)
        _draw_epochs(axes, curves, colours)
        _mark_epoch(axes, best_epoch)
    if spans_decades(np.concatenate([curve.values for curve in losses])):
        _log_axis(on.axes[0])
    add_legend(on, note_on([*losses, *accuracies]))
    return on.figure


def epoch_panels(panels: Sequence[EpochPanel], ylabel: str = "loss") -> "Figure":
    """Draw curves against the epoch in panels side by side, with one scale of values for all.

    Curves of the same label have the same colour. Log axis where they span 1.5 decades.
    """
    on = sheet(None, (1.2 + 3.4 * len(panels), 4), columns=len(panels), sharey=True)
    row = on.axes
    curves = [curve for panel in panels for curve in panel.curves]
    colours = _label_colours(curves)
    for axes, panel in zip(row, panels, strict=True):
        dress(axes, "epoch", ylabel if axes is row[0] else "", panel.title)
        _draw_epochs(axes, panel.curves, colours)
        _mark_epoch(axes, panel.best_epoch)
    if spans_decades(np.concatenate([curve.values for curve in curves])):
        _log_axis(row[0])
    add_legend(on, note_on(curves))
    return on.figure


def spans_decades(values: np.ndarray) -> bool:
    """Tell whether values, all above zero, span more than 1.5 decades."""
    known = values[np.isfinite(values)]
    if known.size == 0 or known.min() <= 0:
        return False
    return bool(np.log10(known.max()) - np.log10(known.min()) > LOG_DECADES)


def _draw_steps(axes: "Axes", curve: Curve, smooth: Curve, look: Look) -> None:
    """Draw a curve's running mean, before the values of single steps where it is one run."""
    if look.faint and curve.runs is None and smooth.values is not curve.values:
        steps, values = outline(curve.values)
        axes.plot(steps, values, color=look.colour, alpha=look.faint, linewidth=0.7, zorder=1.5)
    draw_curve(axes, smooth, look)


def _draw_epochs(axes: "Axes", curves: Sequence[Curve], colours: Mapping[str, str]) -> None:
    for curve in curves:
        epochs = len(curve.values)
        look = Look(
            colours[curve.label],
            width=1.8 if epochs <= THICK_POINTS else 1.1,
            faint=faint_of(len(curves)),
            marker="o" if epochs <= MARKED_POINTS else None,
        )
        draw_curve(axes, curve, look)
    integer_ticks(axes.xaxis)
    axes.ticklabel_format(axis="y", useOffset=False)


def draw_curve(axes: "Axes", curve: Curve, look: Look) -> None:
    """Draw a line before its band, anew and paler after a run has stopped: the mean may jump."""
    for start, end, complete in curve.stretches:
        steps, values = outline(curve.values[start:end])
        strength = 1 if complete else PALE
        if look.faint and curve.band:
            low, high = (outline(edge[start:end])[1] for edge in curve.band)
            band = axes.fill_between(start + steps, low, high, color=look.colour, linewidth=0)
            band.set_alpha(strength * look.faint)
        axes.plot(
            start + steps,
            values,
            color=look.colour,
            alpha=strength,
            linewidth=look.width,
            linestyle=look.style,
            marker=look.marker or ("o" if end - start == 1 else None),
            markersize=4,
            label=None if start else curve.label,
            zorder=3,
        )


def _mark_epoch(axes: "Axes", epoch: int | None) -> None:
    if epoch is not None:
        axes.axvline(epoch, color=GREY, linestyle=":", label=f"best epoch ({epoch})", zorder=1)


def _log_axis(axes: "Axes") -> None:
    """Make the y axis logarithmic, down to the lines: a band may reach to a run at zero."""
    axes.set_yscale("log")
    if axes.collections:
        drawn = np.concatenate([line.get_ydata() for line in axes.lines])
        axes.set_ylim(bottom=max(axes.get_ylim()[0], drawn[drawn > 0].min() / 2))


def _finish_steps(axes: "Axes", steps: int, steps_per_epoch: int) -> None:
    """Add ticks at whole steps and, where an epoch has many, a scale of epochs."""
    axes.margins(x=0.02)
    integer_ticks(axes.xaxis)
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


def note_on(curves: Sequence[Curve], window: int = 1) -> str:
    """Return what the lines of curves are, and what lies behind them.

    Such as `means of 11 steps; mean ± standard deviation of 5 seeds, within their extremes`.
    """
    seeds, fewer = _counts(curves)
    parts = [f"means of {window} steps"] * (window > 1)
    if seeds:
        parts.append(f"mean ± standard deviation of {seeds} seeds, within their extremes")
    elif window > 1:
        parts.append("faint: single steps")
    return "; ".join(parts) + f"\nfaint: fewer seeds, {fewer}" * bool(fewer)


def gradient_note(curves: Sequence[Curve], window: int, deep: bool) -> str:
    """Return the same in one line, where it is the solid lines that something lies behind.

    deep: whether the legend leaves the dashed lines out.
    """
    seeds, fewer = _counts(curves)
    parts = ["dashed: ‖db‖"] * deep + [f"means of {window} steps"] * (window > 1)
    if seeds:
        parts.append(f"mean of {seeds} seeds, solid ± standard deviation")
    elif window > 1:
        parts.append("faint: single steps of the solid lines")
    return "; ".join(parts + [f"faint: {fewer} seeds"] * bool(fewer))


def _counts(curves: Sequence[Curve]) -> tuple[str, str]:
    """Return how many seeds the curves have, and how many where some have stopped."""
    seeds = [curve.runs for curve in curves if curve.runs is not None]
    fewer = [n for runs in seeds for n in np.unique(count_of(runs)) if 0 < n < len(runs)]
    return _range([len(runs) for runs in seeds]), _range(fewer)


def _range(counts: Sequence[int]) -> str:
    low, high = min(counts, default=""), max(counts, default="")
    return f"{low}" if low == high else f"{low} to {high}"


def add_legend(on: Sheet, title: str, columns: int | None = None) -> None:
    """Put one legend of all that is drawn on a sheet, each label once."""
    drawn = [axes.get_legend_handles_labels() for axes in on.axes]
    handles = {label: handle for pair in drawn for handle, label in zip(*pair, strict=True)}
    put_legend(on, list(handles.values()), title, columns)


def _longest(curves: Sequence[Curve]) -> int:
    return max(len(curve.values) for curve in curves)


def _labelled(curve: Curve) -> Curve:
    """Return a curve whose label says that all is zero, as a log axis can't show it."""
    return curve if curve.values.any() else replace(curve, label=f"{curve.label} (all zero)")


def faint_of(curves: int) -> float:
    """Return the opacity of single steps: less where many curves lie over each other."""
    return min(FAINT, 2 * FAINT / curves)


def layer_colours(count: int) -> list[Any]:
    """Return a colour for each of so many layers."""
    return _colours(count) if count <= NAMED_LAYERS else [tuple(c) for c in class_colours(count)]


def _colours(count: int) -> list[str]:
    return [PALETTE[i % len(PALETTE)] for i in range(count)]


def _label_colours(curves: Sequence[Curve]) -> dict[str, str]:
    """Return a colour for each label."""
    labels = dict.fromkeys(curve.label for curve in curves)
    return dict(zip(labels, _colours(len(labels)), strict=True))
