"""Pictures on axes that somebody else has made: they draw there, and change nothing else."""

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tests.runs.test_drawing import dataset, train, values
from xpmlp.errors import InputError

RUNS = {
    "plane": dataset(2),
    "images": dataset(12, test=200),
    "values": values(),
}


@pytest.fixture(scope="module")
def runs():
    return {name: train(data) for name, data in RUNS.items()}


def new_figure():
    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def state_of(axes):
    """Return what can be seen of axes."""
    return axes.get_position().bounds, axes.get_xlim(), axes.get_title(), len(axes.get_children())


@pytest.mark.parametrize("kind", RUNS)
def test_every_picture_is_drawn_on_the_axes_given_and_looks_alike(runs, kind):
    run = runs[kind]
    for name, alone in run.pictures():
        panels = [axes for axes in alone.axes if axes.get_label() != "<colorbar>"]
        figure = new_figure()
        left, *given = figure.subplots(1, 1 + len(panels))
        before = state_of(left)
        ax = given[0] if len(given) == 1 else given
        assert run.plot(name, ax=ax) is ax  # which a notebook does not show again
        assert not figure.legends
        for own, axes in zip(panels, given, strict=True):
            assert axes.get_xlabel().startswith(own.get_xlabel())
            assert len(axes.lines) == len(own.lines)
            assert len(axes.images) == len(own.images)
        if alone.legends:
            texts = [[t.get_text() for t in legend.get_texts()] for legend in alone.legends]
            assert [t.get_text() for t in given[0].get_legend().get_texts()] == texts[0]
        assert state_of(left) == before
        figure.draw_without_rendering()


def test_two_runs_side_by_side_in_parts_of_a_figure(runs):
    figure = new_figure()
    for part, run in zip(figure.subfigures(1, 2), (runs["plane"], runs["images"]), strict=True):
        run.plot("epochs", ax=part.subplots(1, 2))
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "accuracy"] * 2
    figure.draw_without_rendering()


@pytest.mark.parametrize(
    ("picture", "ax", "expected"),
    [
        ("epochs", lambda f: f.subplots(), "has 2 panels, got 1 axes; .* plt.subplots(1, 2)"),
        ("epochs", lambda f: f.subplots(2, 2), "has 2 panels, got 4 axes"),
        ("loss-per-step", lambda f: f.subplots(1, 2), "has 1 panel, got 2 axes; .* plt.subplots()"),
        ("loss-per-step", lambda f: f, "ax must be matplotlib's Axes, .* got <?Figure"),
    ],
)
def test_other_axes_than_the_picture_has_are_refused(runs, picture, ax, expected):
    pattern = expected.replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(InputError, match=pattern):
        runs["plane"].plot(picture, ax=ax(new_figure()))


def test_a_loss_over_decades_has_a_log_axis_there_too(runs):
    figure = new_figure()
    loss, accuracy = figure.subplots(1, 2)
    history = runs["plane"].history
    figures = [record.train_loss for record in history.epochs]
    runs["plane"].plot("epochs", ax=[loss, accuracy])
    (line, *_) = loss.lines
    np.testing.assert_array_equal(line.get_ydata(), figures)


def test_a_notebook_shows_a_picture_without_pyplot():
    script = """
import sys
from tests.runs.test_drawing import dataset, train
png = train(dataset(2)).plot("epochs")._repr_png_()
assert png.startswith(b"\\x89PNG") and len(png) > 10_000
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)
