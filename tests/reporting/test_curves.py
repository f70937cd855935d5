"""Curves: the lines are the numbers, the running mean is one, long runs keep their extremes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xpmlp.reporting.curves import (
    Curve,
    epoch_curves,
    gradient_magnitude,
    loss_per_step,
    outline,
    running_mean,
    smoothing_window,
)
from xpmlp.reporting.style import PALETTE, save

POSITIVE = arrays(float, st.integers(1, 60), elements=st.floats(1e-6, 1e6))


def lines(axes):
    """The labelled lines of axes, by label."""
    return {line.get_label(): line for line in axes.lines if line.get_label()[0] != "_"}


def test_running_mean_by_hand():
    values = np.array([3.0, 6.0, 9.0, 0.0])
    np.testing.assert_allclose(running_mean(values, 3), [4.5, 6.0, 5.0, 4.5])


def test_running_mean_of_one_step_is_the_values():
    values = np.array([3.0, 6.0, 9.0])
    np.testing.assert_array_equal(running_mean(values, 1), values)


@settings(deadline=None)
@given(POSITIVE, st.integers(0, 40))
def test_running_mean_is_the_mean_of_each_window(values, half):
    half = min(half, (len(values) - 1) // 2)
    expected = [
        values[max(0, i - half) : i + half + 1].mean()  # cut at the ends
        for i in range(len(values))
    ]
    np.testing.assert_allclose(running_mean(values, 2 * half + 1), expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("steps", "steps_per_epoch", "window"),
    [
        (3000, 1, 1),  # full batches: nothing to smooth
        (1, 1, 1),
        (60, 6, 5),  # an epoch
        (100, 50, 11),  # the least
        (5000, 400, 99),  # 1/50 of the run
        (600_000, 60_000, 999),  # the most
    ],
)
def test_smoothing_window(steps, steps_per_epoch, window):
    assert smoothing_window(steps, steps_per_epoch) == window


def test_outline_keeps_short_runs_as_they_are():
    steps, values = outline(np.array([5.0, 1.0, 3.0]))
    np.testing.assert_array_equal(steps, [1, 2, 3])
    np.testing.assert_array_equal(values, [5.0, 1.0, 3.0])


def test_outline_keeps_the_extremes_of_long_runs():
    values = np.array([5.0, 1.0, 3.0, 2.0, 9.0, 4.0, 7.0])
    steps, shown = outline(values, bins=2)
    np.testing.assert_array_equal(shown, [1.0, 5.0, 4.0, 9.0])
    np.testing.assert_array_equal(steps, [1.0, 2.5, 5.0, 6.5])


@settings(deadline=None)
@given(POSITIVE, st.integers(1, 20))
def test_outline_stays_within_the_run(values, bins):
    steps, shown = outline(values, bins)
    assert steps.min() == 1
    assert steps.max() <= len(values)
    assert (np.diff(steps) >= 0).all()
    assert shown.min() == values.min()
    assert shown.max() == values.max()


def test_loss_per_step_draws_the_batches_and_their_mean():
    loss = np.linspace(2.0, 1.0, 12) + np.tile([0.1, -0.1], 6)
    axes = loss_per_step([Curve("loss", loss)], steps_per_epoch=4).axes[0]
    faint, strong = axes.lines
    np.testing.assert_array_equal(faint.get_xdata(), np.arange(1, 13))
    np.testing.assert_array_equal(faint.get_ydata(), loss)
    np.testing.assert_array_equal(strong.get_ydata(), running_mean(loss, 3))
    assert faint.get_alpha() < 0.5
    assert axes.get_legend().get_title().get_text() == "means of 3 steps; faint: single steps"
    assert axes.get_yscale() == "linear"


def test_penalty_is_a_second_line():
    curves = [Curve("loss", np.array([2.0, 1.0])), Curve("penalty", np.array([0.5, 0.25]))]
    drawn = lines(loss_per_step(curves, steps_per_epoch=1).axes[0])
    np.testing.assert_array_equal(drawn["penalty"].get_ydata(), [0.5, 0.25])
    assert drawn["penalty"].get_color() != drawn["loss"].get_color()


@pytest.mark.parametrize(
    ("last", "scale"), [(1.0, "log"), (2.9, "linear"), (0.0, "linear"), (-1.0, "linear")]
)
def test_log_axis_where_the_loss_spans_decades(last, scale):
    curve = Curve("loss", np.array([60.0, last]))
    axes = loss_per_step([curve], steps_per_epoch=1).axes[0]
    assert axes.get_yscale() == scale


def test_second_scale_counts_epochs():
    axes = loss_per_step([Curve("loss", np.arange(1.0, 41.0))], steps_per_epoch=20).axes[0]
    (top,) = axes.child_axes
    axes.set_xlim(0, 40)
    axes.figure.draw_without_rendering()
    assert top.get_xlabel() == "epoch"
    assert top.get_xlim() == (0, 2)


def test_full_batches_need_no_second_scale():
    axes = loss_per_step([Curve("loss", np.arange(1.0, 41.0))], steps_per_epoch=1).axes[0]
    assert not axes.child_axes
    assert len(axes.lines) == 1


def test_band_reaches_from_the_lowest_to_the_highest_run():
    runs = np.array([[1.0, 2.0, 3.0], [3.0, 4.0, 8.0]])
    curve = Curve.of_runs("loss", runs)
    axes = loss_per_step([curve], steps_per_epoch=1).axes[0]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [2.0, 3.0, 5.5])
    (band,) = axes.collections
    corners = {tuple(point) for point in band.get_paths()[0].vertices}
    assert {(1, 1), (2, 2), (3, 3), (1, 3), (2, 4), (3, 8)} <= corners


def test_gradients_of_a_layer_share_a_colour():
    weights = [Curve("‖dW₁‖", np.array([1.0, 0.1])), Curve("‖dW₂‖", np.array([2.0, 0.2]))]
    biases = [Curve("‖db₁‖", np.array([0.3, 0.4])), Curve("‖db₂‖", np.array([0.5, 0.6]))]
    axes = gradient_magnitude(weights, biases, steps_per_epoch=1).axes[0]
    drawn = lines(axes)
    for curve in weights + biases:
        np.testing.assert_array_equal(drawn[curve.label].get_ydata(), curve.values)
    for layer, colour in zip("₁₂", PALETTE, strict=False):
        W, b = drawn[f"‖dW{layer}‖"], drawn[f"‖db{layer}‖"]
        assert W.get_color() == b.get_color() == colour
        assert (W.get_linestyle(), b.get_linestyle()) == ("-", "--")
    assert axes.get_yscale() == "log"


def test_gradients_that_are_zero_are_named(tmp_path):
    zero, some = np.zeros(3), np.array([1.0, 0.0, 0.5])
    figure = gradient_magnitude([Curve("dW", some)], [Curve("db", zero)], steps_per_epoch=1)
    assert set(lines(figure.axes[0])) == {"dW", "db (all zero)"}
    save(figure, tmp_path / "some.png")
    figure = gradient_magnitude([Curve("dW", zero)], [Curve("db", zero)], steps_per_epoch=1)
    assert figure.axes[0].get_yscale() == "linear"
    save(figure, tmp_path / "none.png")


def test_epoch_curves_draw_the_figures_and_the_best_epoch():
    losses = [Curve("training", np.array([0.9, 0.5, 0.4]))]
    accuracies = [Curve("training", np.array([0.7, 0.8, 0.9]))]
    left, right = epoch_curves(losses, accuracies, best_epoch=2).axes
    np.testing.assert_array_equal(lines(left)["training"].get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(lines(left)["training"].get_ydata(), [0.9, 0.5, 0.4])
    np.testing.assert_array_equal(lines(right)["training"].get_ydata(), [0.7, 0.8, 0.9])
    for axes in (left, right):
        assert list(lines(axes)["best epoch (2)"].get_xdata()) == [2, 2]


@pytest.mark.parametrize("epochs", [1, 2, 3, 7, 3000])
def test_ticks_are_whole_epochs(epochs, tmp_path):
    figure = epoch_curves([Curve("training", np.linspace(1, 0.5, epochs))])
    save(figure, tmp_path / "epochs.png")
    (axes,) = figure.axes
    low, high = axes.get_xlim()
    ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert ticks
    assert all(tick == round(tick) for tick in ticks)
    assert (axes.lines[0].get_marker() == "o") == (epochs < 3000)


@pytest.mark.parametrize("steps", [1, 2, 5, 30_000])
def test_constant_loss(steps, tmp_path):
    save(loss_per_step([Curve("loss", np.full(steps, 2.3))], 1), tmp_path / "loss.png")
    save(loss_per_step([Curve("loss", np.full(steps, 2.3))], steps), tmp_path / "loss.png")
