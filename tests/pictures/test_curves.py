"""Curves: the lines are the numbers, the running mean is one, long runs keep their extremes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xpmlp.pictures.curve import Curve, outline, running_mean, smoothing_window, stack_runs
from xpmlp.pictures.curves import (
    EpochPanel,
    epoch_curves,
    epoch_panels,
    gradient_magnitude,
    loss_per_step,
)
from xpmlp.pictures.style import PALETTE, save

NAN = np.nan
POSITIVE = arrays(float, st.integers(1, 60), elements=st.floats(1e-6, 1e6))


def lines(axes):
    """The labelled lines of axes, by label."""
    return {line.get_label(): line for line in axes.lines if line.get_label()[0] != "_"}


def note(figure):
    """What the legend of a figure says above its entries."""
    return figure.legends[0].get_title().get_text()


def band(axes):
    """The lower and upper edge of the only band of axes, by step."""
    (drawn,) = axes.collections
    edges = {}
    for step, value in drawn.get_paths()[0].vertices:
        edges.setdefault(step, set()).add(value)
    return {step: (min(values), max(values)) for step, values in edges.items()}


def test_running_mean_by_hand():
    values = np.array([3.0, 6.0, 9.0, 0.0])
    np.testing.assert_allclose(running_mean(values, 3), [4.5, 6.0, 5.0, 4.5])


def test_running_mean_leaves_out_what_is_not_there():
    values = np.array([NAN, 6.0, 9.0, 0.0, NAN])
    np.testing.assert_allclose(running_mean(values, 3), [NAN, 7.5, 5.0, 4.5, NAN])


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
        (10_500, 7, 51),  # 1/200 of a run of many epochs
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
    assert note(axes.figure) == "means of 3 steps; faint: single steps"
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


def test_stacked_runs_are_padded():
    stacked = stack_runs([np.array([1.0, 2.0]), np.array([3.0]), np.array([4.0, 5.0])])
    np.testing.assert_array_equal(stacked, [[1, 2], [3, NAN], [4, 5]])


def test_mean_and_band_of_runs_by_hand():
    runs = np.array(
        [
            [1.0, 2.0, 0.0, NAN, NAN],
            [3.0, 5.0, 0.0, NAN, NAN],
            [3.0, 5.0, 0.0, 3.0, NAN],
            [5.0, 8.0, 8.0, 7.0, 6.0],
        ]
    )
    curve = Curve.of_runs("loss", runs)
    np.testing.assert_allclose(curve.values, [3.0, 5.0, 2.0, 5.0, 6.0])
    one, two = np.sqrt(8 / 3), np.sqrt(6)
    low, high = curve.band
    # The third deviation is 4 and the fourth √8: both would go beyond the runs.
    np.testing.assert_allclose(low, [3 - one, 5 - two, 0, 3, NAN])
    np.testing.assert_allclose(high, [3 + one, 5 + two, 6, 7, NAN])
    assert curve.stretches == [(0, 3, True), (3, 4, False), (4, 5, False)]


@given(arrays(float, st.tuples(st.integers(2, 6), st.integers(1, 9)), elements=st.floats(-9, 9)))
def test_band_is_the_deviation_of_a_sample_within_the_runs(runs):
    curve = Curve.of_runs("loss", runs)
    mean, deviation = runs.mean(axis=0), runs.std(axis=0, ddof=1)
    np.testing.assert_allclose(curve.values, mean, atol=1e-14)
    low, high = curve.band
    np.testing.assert_allclose(low, np.maximum(mean - deviation, runs.min(axis=0)), atol=1e-13)
    np.testing.assert_allclose(high, np.minimum(mean + deviation, runs.max(axis=0)), atol=1e-13)
    assert curve.stretches == [(0, runs.shape[1], True)]


def test_one_run_is_itself_and_has_no_band():
    run = np.array([0.1, NAN, 0.3])
    curve = Curve.of_runs("loss", run[None])
    np.testing.assert_array_equal(curve.values, run)
    assert curve.band is None
    assert curve.stretches == [(0, 3, True)]
    figure = epoch_curves([curve])
    assert not figure.axes[0].collections
    assert note(figure) == ""


def test_band_is_drawn_around_the_mean():
    runs = np.array([[1.0, 2.0, 0.0], [3.0, 5.0, 0.0], [3.0, 5.0, 0.0], [5.0, 8.0, 8.0]])
    figure = loss_per_step([Curve.of_runs("loss", runs)], steps_per_epoch=1)
    (axes,) = figure.axes
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [3.0, 5.0, 2.0])
    one, two = np.sqrt(8 / 3), np.sqrt(6)
    for step, edges in ((1, (3 - one, 3 + one)), (2, (5 - two, 5 + two)), (3, (0, 6))):
        np.testing.assert_allclose(band(axes)[step], edges)
    assert note(figure) == "mean ± standard deviation of 4 seeds, within their extremes"


def test_runs_are_smoothed_before_their_deviation_is_taken():
    noise = np.tile([1.0, -1.0], 20)
    runs = np.stack([5.0 + noise, 5.0 - noise])  # the same but for noise that cancels
    figure = loss_per_step([Curve.of_runs("loss", runs)], steps_per_epoch=40)
    low, high = band(figure.axes[0])[20]
    assert high - low < 0.3 < 2 * np.sqrt(2)
    assert note(figure) == (
        "means of 11 steps; mean ± standard deviation of 2 seeds, within their extremes"
    )


def test_mean_of_fewer_runs_is_drawn_apart_and_paler():
    runs = [np.array([1.0, 2.0, 3.0, 4.0]), np.array([7.0, 8.0]), np.array([4.0, 5.0, 6.0])]
    figure = epoch_curves([Curve.of_runs("training", stack_runs(runs))])
    drawn = figure.axes[0].lines
    assert [list(line.get_xdata()) for line in drawn] == [[1, 2], [3], [4]]
    assert [list(line.get_ydata()) for line in drawn] == [[4.0, 5.0], [4.5], [4.0]]
    assert [line.get_alpha() == 1 for line in drawn] == [True, False, False]
    assert list(lines(figure.axes[0])) == ["training"]
    assert note(figure).endswith("of 3 seeds, within their extremes\nfaint: fewer seeds, 1 to 2")


def test_note_counts_the_seeds_of_each_curve():
    pair, three = Curve.of_runs("pair", np.ones((2, 4))), Curve.of_runs("three", np.ones((3, 4)))
    figure = epoch_curves([pair, three])
    assert note(figure) == "mean ± standard deviation of 2 to 3 seeds, within their extremes"


def test_band_reaches_to_the_lowest_run_or_out_of_a_log_axis(tmp_path):
    wide = np.array([[90.0, 9.0, 1.0], [110.0, 11.0, 0.1], [100.0, 10.0, 0.1], [100.0, 10.0, 0.1]])
    for lowest, bottom in ((0.1, 0.05), (0.0, 0.1)):
        runs = np.where(wide == 0.1, lowest, wide)
        figure = epoch_curves([Curve.of_runs("training", runs)])
        save(figure, tmp_path / "loss.png")
        (axes,) = figure.axes
        assert axes.get_yscale() == "log"
        assert band(axes)[3][0] == lowest
        low, high = axes.get_ylim()
        assert bottom <= low <= runs[:, 2].mean() < 110 < high


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


def test_only_the_weights_have_a_spread():
    noise = 1 + np.random.default_rng(0).uniform(size=(3, 40))
    seeds = gradient_magnitude(
        [Curve.of_runs("dW", noise)], [Curve.of_runs("db", noise)], steps_per_epoch=40
    )
    assert len(seeds.axes[0].collections) == 1
    assert len(seeds.axes[0].lines) == 2
    assert note(seeds) == "means of 11 steps; mean of 3 seeds, solid ± standard deviation"
    alone = gradient_magnitude([Curve("dW", noise[0])], [Curve("db", noise[1])], 40)
    assert [line.get_linestyle() for line in alone.axes[0].lines] == ["-", "-", "--"]
    assert note(alone) == "means of 11 steps; faint: single steps of the solid lines"


@pytest.mark.parametrize("layers", [6, 7, 20])
@pytest.mark.parametrize("seeds", [1, 40])
def test_the_caption_of_gradients_is_one_line_within_the_picture(layers, seeds):
    runs = [np.linspace(1, 2, 2000 - 500 * (seed % 3)) for seed in range(seeds)]
    curves = [Curve.of_runs(f"‖dW{i}‖", stack_runs(runs)) for i in range(layers)]
    biases = [replace(curve, label=curve.label.replace("W", "b")) for curve in curves]
    figure = gradient_magnitude(curves, biases, steps_per_epoch=1000)
    figure.draw_without_rendering()
    caption = figure.legends[0].get_title()
    assert "\n" not in caption.get_text()
    width = caption.get_window_extent().width
    assert width < figure.legends[0].get_window_extent().width + 1 < figure.bbox.width
    colours = {line.get_color() for line in figure.axes[0].lines if line.get_linestyle() == "--"}
    assert len({str(colour) for colour in colours}) == layers


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


def test_thousands_have_a_comma(tmp_path):
    values = np.linspace(1, 0.5, 20_000)
    epochs, steps = epoch_curves([Curve("loss", values)]), loss_per_step([Curve("loss", values)], 2)
    save(epochs, tmp_path / "epochs.png")
    save(steps, tmp_path / "steps.png")
    for axes in (*epochs.axes, *steps.axes, *steps.axes[0].child_axes):
        assert "10,000" in [tick.get_text() for tick in axes.get_xticklabels()]


@pytest.mark.parametrize("steps", [1, 2, 5, 30_000])
def test_constant_loss(steps, tmp_path):
    save(loss_per_step([Curve("loss", np.full(steps, 2.3))], 1), tmp_path / "loss.png")
    save(loss_per_step([Curve("loss", np.full(steps, 2.3))], steps), tmp_path / "loss.png")


def test_panels_share_a_scale_and_a_legend(tmp_path):
    train, validation = np.array([0.9, 0.5, 0.2]), np.array([0.9, 0.6, 0.8])
    figure = epoch_panels(
        [
            EpochPanel("alone", [Curve("validation", validation)]),
            EpochPanel("both", [Curve("training", train), Curve("validation", validation)], 2),
        ]
    )
    save(figure, tmp_path / "panels.png")
    left, right = figure.axes
    assert left.get_ylim() == right.get_ylim()
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["alone", "both"]
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", ""]
    assert lines(left)["validation"].get_color() == lines(right)["validation"].get_color()
    assert lines(right)["training"].get_color() != lines(right)["validation"].get_color()
    assert list(lines(right)["best epoch (2)"].get_xdata()) == [2, 2]
    entries = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sorted(entries) == ["best epoch (2)", "training", "validation"]


@pytest.mark.parametrize("curves", [1, 4, 8])
def test_legend_covers_no_panel(curves, tmp_path):
    runs = np.random.default_rng(0).uniform(0.1, 1, (3, 12))
    drawn = [Curve.of_runs(f"rate 0.00{i}, validation", runs * i + i) for i in range(curves)]
    for figure in (
        epoch_curves(drawn, drawn),
        epoch_panels([EpochPanel("one", drawn), EpochPanel("two", drawn)]),
        loss_per_step(drawn, 4),
        gradient_magnitude(drawn, drawn, 4),
    ):
        save(figure, tmp_path / "legend.png")
        legend = figure.legends[0].get_window_extent()
        assert figure.bbox.x0 <= legend.x0 < legend.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= legend.y0
        for axes in figure.axes:
            assert axes.get_tightbbox().y0 >= legend.y1
            assert axes.get_window_extent().height > 0.4 * figure.bbox.height


@pytest.mark.parametrize(
    ("count", "letters", "columns"), [(4, 10, 4), (4, 30, 2), (5, 30, 3), (3, 90, 1)]
)
def test_lines_of_a_legend_are_balanced(count, letters, columns, tmp_path):
    drawn = [Curve(f"{i}" * letters, np.ones(3)) for i in range(count)]
    figure = epoch_curves(drawn, drawn)
    save(figure, tmp_path / "legend.png")
    left = {round(text.get_window_extent().x0) for text in figure.legends[0].get_texts()}
    assert len(left) == columns
