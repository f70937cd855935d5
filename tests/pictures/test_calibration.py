"""The reliability diagram: what stands where, and what is left out."""

import numpy as np

from xpmlp.pictures.calibration import calibration_curve
from xpmlp.pictures.style import save

CONFIDENCE = np.array([np.nan, 0.4, 0.9])
RIGHT = np.array([np.nan, 0.5, 0.8])
SHARE = np.array([0.0, 0.25, 0.75])
INTERVALS = np.array([[np.nan, 0.3, 0.7], [np.nan, 0.7, 0.85]])


def legend_of(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_points_bars_and_intervals_are_the_bins(tmp_path):
    figure = calibration_curve(CONFIDENCE, RIGHT, SHARE, 0.1, INTERVALS)
    (axes,) = figure.axes
    assert axes.get_title(loc="left") == "test expected calibration error 0.1000"
    np.testing.assert_allclose([bar.get_height() for bar in axes.patches], SHARE)
    np.testing.assert_allclose([bar.get_x() for bar in axes.patches], [0, 1 / 3, 2 / 3])
    points = next(line for line in axes.lines if line.get_marker() == "o")
    np.testing.assert_array_equal(points.get_xydata(), [[0.4, 0.5], [0.9, 0.8]])
    lines = [path.tolist() for path in axes.collections[0].get_segments()]
    assert lines == [[[0.4, 0.3], [0.4, 0.7]], [[0.9, 0.7], [0.9, 0.85]]]
    assert "95 % interval" in legend_of(figure)
    save(figure, tmp_path / "calibration.png")
    assert axes.get_window_extent().y0 > figure.legends[0].get_window_extent().y1


def test_without_intervals_there_are_none():
    figure = calibration_curve(CONFIDENCE, RIGHT, SHARE, 0.1, part="")
    assert not figure.axes[0].collections
    assert "95 % interval" not in legend_of(figure)
    assert figure.axes[0].get_title(loc="left") == "expected calibration error 0.1000"
