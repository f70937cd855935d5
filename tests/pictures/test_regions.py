"""Decision regions: each point has the colour of what the model predicts there."""

import numpy as np
import pytest

from xpmlp.data.dataset import Rows
from xpmlp.pictures import regions
from xpmlp.pictures.regions import (
    Panel,
    chosen_outputs,
    decision_panels,
    decision_regions,
    limits,
    plane_points,
    region_image,
)
from xpmlp.pictures.style import class_colours, save
from xpmlp.training.model import Model, decide
from xpmlp.types import Affine

NO_ROWS = Rows(np.empty((0, 2)), np.empty(0, dtype=np.int64))
LOW, HIGH = np.array([-2.0, -1.0]), np.array([2.0, 1.0])


def model(outputs: int, loss: str, classes: int = 0, seed: int = 0, **more) -> Model:
    rng = np.random.default_rng(seed)
    params = (
        Affine(rng.normal(size=(2, 8)) * 2, rng.normal(size=8)),
        Affine(rng.normal(size=(8, outputs)), rng.normal(size=outputs)),
    )
    names = tuple(f"c{i}" for i in range(classes or outputs))
    return Model(params, ("tanh",), loss, class_names=names, **more)


def rows(net: Model, count: int) -> Rows:
    x = np.random.default_rng(1).normal(size=(count, 2))
    return Rows(x, decide(net.scaled_logits(x)))


def nearest_colour(pixel: np.ndarray, colours: np.ndarray) -> int:
    """The class whose colour, mixed with white, is the pixel's: the same direction from white."""
    away, directions = 1 - pixel, 1 - colours
    cosines = directions @ away / np.linalg.norm(directions, axis=1) / np.linalg.norm(away)
    return int(cosines.argmax())


def test_points_start_at_the_lower_left():
    points = plane_points(np.array([0.0, 10.0]), np.array([2.0, 12.0]), grid=2)
    np.testing.assert_array_equal(points, [[0.5, 10.5], [1.5, 10.5], [0.5, 11.5], [1.5, 11.5]])


def test_limits_have_a_margin_even_around_one_value():
    rows = np.array([[0.0, 7.0], [100.0, 7.0]])
    np.testing.assert_allclose(limits(np.tile(rows, (20, 1))), [[-8, 6.92], [108, 7.08]])
    np.testing.assert_allclose(limits(rows), [[-25, 6.75], [125, 7.25]])


@pytest.mark.parametrize(
    ("outputs", "loss", "classes"),
    [
        (3, "softmax_cross_entropy", 3),
        (1, "binary_cross_entropy", 2),
        (4, "mean_squared_error", 4),
    ],
)
def test_regions_are_the_predictions(outputs, loss, classes):
    net = model(outputs, loss, classes)
    colours = class_colours(classes)
    image = region_image(net, LOW, HIGH, colours, grid=20)
    for x1, x2 in np.random.default_rng(2).uniform(LOW, HIGH, size=(50, 2)):
        column = int((x1 - LOW[0]) / (HIGH[0] - LOW[0]) * 20)
        row = int((x2 - LOW[1]) / (HIGH[1] - LOW[1]) * 20)
        centre = LOW + (np.array([column, row]) + 0.5) / 20 * (HIGH - LOW)
        expected = int(net.predict(centre[None])[0])
        assert nearest_colour(image[row, column], colours) == expected


def test_very_many_classes_are_shaded_in_parts_and_named_in_part(monkeypatch):
    net = model(60, "softmax_cross_entropy")
    whole = region_image(net, LOW, HIGH, class_colours(60), grid=20)
    monkeypatch.setattr(regions, "OUTPUTS_AT_ONCE", 60 * 7)
    parts = region_image(net, LOW, HIGH, class_colours(60), grid=20)
    np.testing.assert_allclose(parts, whole, rtol=1e-12)
    monkeypatch.undo()
    figure = decision_regions(net, rows(net, 30), NO_ROWS)
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts[39:41] == ["class c39", "and 20 more classes"]
    assert "class c40" not in texts


def test_regions_fade_with_certainty():
    sure = Model(
        (Affine(np.array([[9.0], [0.0]]), np.zeros(1)),), (), "binary_cross_entropy", ("no", "yes")
    )
    image = region_image(sure, LOW, HIGH, class_colours(2), grid=20)
    strength = (1 - image).sum(axis=2)
    assert strength[0, 0] > 1.5 * strength[0, 9]
    assert strength[0, 19] > 1.5 * strength[0, 10]


def test_the_picture_is_the_right_way_up():
    above = Model(
        (Affine(np.array([[0.0], [9.0]]), np.zeros(1)),), (), "binary_cross_entropy", ("no", "yes")
    )
    axes = decision_regions(above, rows(above, 50), NO_ROWS).axes[0]
    image = axes.images[0]
    assert image.origin == "lower"
    left, right, bottom, top = image.get_extent()
    assert left < right
    assert bottom < 0 < top
    assert nearest_colour(image.get_array()[-1, 0], class_colours(2)) == 1


def test_chosen_outputs():
    outputs = np.array([[0.2, 0.8], [0.7, 0.3]])
    np.testing.assert_allclose(chosen_outputs(outputs, np.array([1, 1])), [0.8, 0.3])
    one_node = np.array([[0.2], [0.7]])
    np.testing.assert_allclose(chosen_outputs(one_node, np.array([0, 1])), [0.8, 0.7])


def test_rows_are_drawn_in_their_class_colour():
    net = model(3, "softmax_cross_entropy")
    train, test = rows(net, 40), rows(net, 7)
    figure = decision_regions(net, train, test)
    axes = figure.axes[0]
    scatters = [points for points in axes.collections if len(points.get_offsets())]
    for points, part in zip(scatters, (train, test), strict=True):
        np.testing.assert_allclose(points.get_offsets(), part.x)
        np.testing.assert_allclose(points.get_facecolors()[:, :3], class_colours(3)[part.y])
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == [
        "class c0",
        "class c1",
        "class c2",
        "training rows (40)",
        "test rows (7)",
    ]


def test_of_many_rows_a_part_is_drawn():
    net = model(2, "softmax_cross_entropy")
    figure = decision_regions(net, rows(net, 2000), NO_ROWS)
    (points,) = [points for points in figure.axes[0].collections if len(points.get_offsets())]
    assert len(points.get_offsets()) == 1500
    assert figure.legends[0].get_texts()[-1].get_text() == "training rows\n(1,500 of 2,000)"


def test_axes_are_named_by_the_features():
    net = model(2, "softmax_cross_entropy", feature_names=("age", "height"), scale="standard")
    axes = decision_regions(net, rows(net, 5), NO_ROWS).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("age (scaled)", "height (scaled)")
    net = model(2, "softmax_cross_entropy")
    axes = decision_regions(net, rows(net, 5), NO_ROWS).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x1", "x2")


def test_legend_does_not_cover_the_plane(tmp_path):
    names = tuple(f"a class with a long name, no. {i}" for i in range(12))
    net = model(12, "softmax_cross_entropy")
    net = Model(net.params, net.activations, net.loss, class_names=names)
    figure = decision_regions(net, rows(net, 60), rows(net, 6))
    save(figure, tmp_path / "regions.png")
    legend, plane = figure.legends[0].get_window_extent(), figure.axes[0].get_window_extent()
    assert legend.x0 >= plane.x1
    assert legend.x1 <= figure.bbox.x1


def above(threshold: float) -> Model:
    """Class 1 where x2 is above a threshold."""
    layer = Affine(np.array([[0.0], [9.0]]), np.array([-9.0 * threshold]))
    return Model((layer,), (), "binary_cross_entropy", ("no", "yes"))


def drawn_rows(axes):
    """Place, colour and edge of every row in axes."""
    return [
        (tuple(place), tuple(colour[:3]), tuple(points.get_edgecolors()[0][:3]))
        for points in axes.collections
        if len(points.get_offsets())
        for place, colour in zip(points.get_offsets(), points.get_facecolors(), strict=True)
    ]


def test_panels_colour_rows_by_class_or_by_prediction():
    x = np.array([[0.0, -1.0], [1.0, 1.0], [2.0, 3.0]])
    part = Rows(x, np.array([0, 1, 0]))  # the last is predicted 1
    figure = decision_panels(
        [
            Panel("the data", None, part),
            Panel("classes", above(0), part),
            Panel("predictions", above(0), part, predicted=True),
        ]
    )
    no, yes = map(tuple, class_colours(2))
    white, black = (1, 1, 1), (0, 0, 0)
    by_class = {((0, -1), no, white), ((1, 1), yes, white), ((2, 3), no, white)}
    by_prediction = {((0, -1), no, white), ((1, 1), yes, white), ((2, 3), yes, black)}
    drawn = [set(drawn_rows(axes)) for axes in figure.axes]
    assert drawn == [by_class, by_class, by_prediction]
    assert [len(axes.images) for axes in figure.axes] == [0, 1, 1]
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "the data",
        "classes",
        "predictions",
    ]
    notes = [axes.texts[0].get_text() for axes in figure.axes]
    assert notes == ["3 rows", "3 rows, 1 wrong", "3 rows, 1 wrong"]
    entries = [text.get_text() for text in figure.legends[0].get_texts()]
    assert entries == ["class no", "class yes", "wrongly predicted"]


def test_panels_have_the_same_limits():
    net = above(0)
    near, far = Rows(np.zeros((1, 2)), np.array([0])), Rows(np.full((1, 2), 10.0), np.array([1]))
    figure = decision_panels([Panel("near", net, near), Panel("far", net, far)])
    expected = limits(np.concatenate([near.x, far.x]))
    for axes in figure.axes:
        np.testing.assert_allclose([axes.get_xlim()[0], axes.get_ylim()[0]], expected[0])
        np.testing.assert_allclose([axes.get_xlim()[1], axes.get_ylim()[1]], expected[1])


def test_rows_alone_have_numbered_classes():
    part = Rows(np.array([[0.0, 0.0], [1.0, 1.0]]), np.array([0, 2]))
    figure = decision_panels([Panel("the data", None, part)])
    entries = [text.get_text() for text in figure.legends[0].get_texts()]
    assert entries == ["class 0", "class 1", "class 2"]
    assert figure.legends[0].get_title().get_text() == ""


def test_of_many_rows_the_panels_draw_a_part_but_count_all():
    x = np.random.default_rng(0).normal(size=(2000, 2))
    wrong = Rows(x, (x[:, 1] <= 0).astype(int))
    axes = decision_panels([Panel("all wrong", above(0), wrong, predicted=True)]).axes[0]
    assert axes.texts[0].get_text() == "2,000 rows (1,500 drawn), 2,000 wrong"
    assert len(drawn_rows(axes)) == 1500


@pytest.mark.parametrize(
    ("panels", "columns", "lines"), [(1, 1, 1), (2, 2, 1), (3, 3, 1), (4, 2, 2), (5, 3, 2)]
)
def test_four_panels_take_two_lines(panels, columns, lines, tmp_path):
    net = model(3, "softmax_cross_entropy")
    figure = decision_panels([Panel("spirals", net, rows(net, 9))] * panels)
    save(figure, tmp_path / "panels.png")
    assert len(figure.axes) == panels
    boxes = [axes.get_window_extent() for axes in figure.axes]
    assert len({round(box.x0) for box in boxes}) == columns
    assert len({round(box.y0) for box in boxes}) == lines
    legend = figure.legends[0].get_window_extent()
    for axes, box in zip(figure.axes, boxes, strict=True):
        assert axes.get_tightbbox().y0 >= legend.y1
        assert axes.get_tightbbox().y1 <= figure.bbox.y1
        assert box.width == pytest.approx(boxes[0].width, abs=0.5)


def test_few_rows_are_drawn_large():
    sizes = {}
    for count in (4, 40, 400):
        part = rows(model(2, "softmax_cross_entropy"), count)
        sizes[count] = decision_panels([Panel("", None, part)]).axes[0].collections[0].get_sizes()
    assert sizes[4] > 3 * sizes[40] > 3 * sizes[400] == 3 * 18
