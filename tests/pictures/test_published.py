"""Published figures beside ours: distances by hand, and nothing squeezed by what lies far."""

import numpy as np
import pytest

from xpmlp.pictures.published import EDGE, PUBLISHED, published_and_ours
from xpmlp.pictures.style import save

OURS = [1.0, 2.0, 3.0]  # mean 2, deviation 1


def marks(axes, height):
    """What is drawn on a strip: marker → places."""
    strip = [line for line in axes.lines if set(np.ravel(line.get_ydata())) == {height}]
    return {line.get_marker(): np.ravel(line.get_xdata()).tolist() for line in strip}


def test_strips_are_in_units_of_our_deviation():
    axes = published_and_ours([("near", 4.5, OURS), ("equal", 20.0, [10.0, 20.0, 30.0])]).axes[0]
    assert marks(axes, 0) == {"None": [-1, 1], "o": [-1, 0, 1], "D": [2.5]}
    assert marks(axes, 1) == {"None": [-1, 1], "o": [-1, 0, 1], "D": [0]}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["near", "equal"]
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["published", "4.5", "20", "ours", "2.0 ± 1.0", "20 ± 10"]


def test_far_figures_are_arrows_at_the_edge(tmp_path):
    rows = [("above", 14.3, OURS), ("below", -98.0, OURS), ("alone", 0.5, [0.6])]
    figure = published_and_ours(rows)
    save(figure, tmp_path / "seeds.png")
    (axes,) = figure.axes
    assert marks(axes, 0)[">"] == [EDGE]
    assert marks(axes, 1)["<"] == [-EDGE]
    assert marks(axes, 2) == {"o": [0], "<": [-EDGE]}
    assert axes.get_xlim() == (-EDGE - 0.4, EDGE + 0.4)
    distances = [text.get_text() for text in axes.texts if text.get_color() == PUBLISHED][:3]
    assert distances == ["+12.3", "−100", "−∞"]


def test_seeds_that_lie_far_are_in_the_picture():
    ours = [0.0] * 99 + [1.0]  # (1 - mean) / deviation = 99 / 10
    (axes,) = published_and_ours([("outlier", 0.0, ours)]).axes
    assert axes.get_xlim()[1] > max(marks(axes, 0)["o"]) == pytest.approx(9.9)


def test_a_row_without_a_figure_is_a_heading():
    (axes,) = published_and_ours([("heading", None, ()), ("near", 4.5, OURS)]).axes
    assert marks(axes, 0) == {}
    assert marks(axes, 1)["D"] == [2.5]
    assert [label.get_weight() for label in axes.get_yticklabels()] == ["bold", "normal"]


@pytest.mark.parametrize("count", [1, 12])
def test_texts_do_not_overlap(count, tmp_path):
    label = "validation accuracy after epoch 1, sigmoid"
    figure = published_and_ours([(label, 0.2663, [0.96601, 0.96702])] * count)
    save(figure, tmp_path / "seeds.png")
    (axes,) = figure.axes
    boxes = [text.get_window_extent() for text in (*axes.texts, *axes.get_yticklabels())]
    boxes.append(figure.legends[0].get_window_extent())
    for i, box in enumerate(boxes):
        assert box.count_overlaps(boxes[:i]) == 0
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1
