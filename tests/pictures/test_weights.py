"""Grids of images: each weight at its place, on a scale around zero."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from xpmlp.pictures.style import save
from xpmlp.pictures.tiles import caption_gap, square_columns, tile
from xpmlp.pictures.weights import first_layer_weights, largest_units, weight_panels

NAN = np.nan


def test_tile_by_hand():
    images = np.array([[[1, 2]], [[3, 4]], [[5, 6]]])
    expected = [
        [NAN, NAN, NAN, NAN, NAN, NAN, NAN],
        [NAN, 1, 2, NAN, 3, 4, NAN],
        [NAN, NAN, NAN, NAN, NAN, NAN, NAN],
        [NAN, 5, 6, NAN, NAN, NAN, NAN],
        [NAN, NAN, NAN, NAN, NAN, NAN, NAN],
    ]
    np.testing.assert_array_equal(tile(images, columns=2, gap=1), expected)


def test_wide_gaps_leave_room_for_captions():
    grid = tile(np.ones((2, 10, 10)), columns=1, gap=caption_gap(["one\ntwo", "one"], 10))
    rows = np.isfinite(grid).any(axis=1)
    assert (
        "".join("#" if row else "." for row in rows) == "...." + "#" * 10 + "...." + "#" * 10 + "."
    )


@pytest.mark.parametrize(
    ("count", "shape", "columns"),
    [(64, (28, 28), 8), (10, (8, 8), 4), (1, (8, 8), 1), (2, (40, 2), 2), (20, (8, 40), 2)],
)
def test_grids_are_about_square(count, shape, columns):
    assert square_columns(count, shape) == columns


def test_largest_units_come_first():
    W = np.array([[1.0, 0.0, -3.0, 2.0], [0.0, 0.5, 0.0, 2.0]])
    assert largest_units(W).tolist() == [2, 3, 0, 1]
    assert largest_units(W, limit=2).tolist() == [2, 3]


def test_units_are_drawn_by_norm_on_a_scale_around_zero():
    W = np.arange(24.0).reshape(6, 4)  # unit 3 has the largest norm, unit 0 the smallest
    image = first_layer_weights(W, (2, 3)).axes[0].images[0]
    drawn = np.ma.filled(image.get_array(), NAN)
    np.testing.assert_array_equal(drawn[1:3, 1:4], [[3, 7, 11], [15, 19, 23]])
    np.testing.assert_array_equal(drawn[1:3, 5:8], [[2, 6, 10], [14, 18, 22]])
    np.testing.assert_array_equal(drawn[4:6, 1:4], [[1, 5, 9], [13, 17, 21]])
    np.testing.assert_array_equal(drawn[4:6, 5:8], [[0, 4, 8], [12, 16, 20]])
    assert image.get_clim() == (-23, 23)
    np.testing.assert_allclose(image.to_rgba(0.0)[:3], to_rgb("white"), atol=0.01)


def test_colours_of_opposite_weights_differ():
    image = first_layer_weights(np.array([[1.0], [-1.0]]), (1, 2)).axes[0].images[0]
    red_minus_blue = [image.to_rgba(value)[0] - image.to_rgba(value)[2] for value in (1.0, -1.0)]
    assert red_minus_blue[0] > 0.2 > -0.2 > red_minus_blue[1]


@pytest.mark.parametrize(
    ("units", "title"),
    [
        (1, "first-layer weights: 1 unit"),
        (64, "first-layer weights: all 64 units"),
        (300, "first-layer weights: the 64 of 300 units with the largest norm"),
    ],
)
def test_title_says_how_many_are_shown(units, title, tmp_path):
    W = np.random.default_rng(0).normal(size=(16, units))
    figure = first_layer_weights(W, (4, 4))
    assert figure.axes[0].get_title() == title
    assert figure.axes[1].get_ylabel() == "weight"
    save(figure, tmp_path / "weights.png")


def test_classes_keep_their_order_and_names():
    W = np.array([[1.0, 5.0, 3.0]])
    axes = first_layer_weights(W, (1, 1), ("ant", "bee", "cat")).axes[0]
    drawn = axes.images[0].get_array().compressed()
    assert drawn.tolist() == [1.0, 5.0, 3.0]
    texts = {text.get_text(): text.get_position() for text in axes.texts}
    assert list(texts) == ["ant", "bee", "cat"]
    assert texts["ant"][0] < texts["bee"][0]
    assert texts["ant"][1] < texts["cat"][1]


def test_weights_that_are_all_zero(tmp_path):
    figure = first_layer_weights(np.zeros((4, 3)), (2, 2))
    assert figure.axes[0].images[0].get_clim() == (-1, 1)
    save(figure, tmp_path / "weights.png")


def test_panels_share_a_scale():
    small, large = np.array([[1.0, -2.0]]), np.array([[0.5, 7.0]])
    figure = weight_panels([("small", small), ("large", large)], (1, 1))
    left, right, bar = figure.axes
    assert left.images[0].get_clim() == right.images[0].get_clim() == (-7, 7)
    assert [left.get_title(), right.get_title(), bar.get_ylabel()] == ["small", "large", "weight"]


def test_a_unit_has_the_same_place_before_and_after():
    before, after = np.array([[1.0, 3.0, 2.0]]), np.array([[8.0, 1.0, 2.0]])
    panels = weight_panels([("before", before), ("after", after)], (1, 1)).axes[:2]
    drawn = [axes.images[0].get_array().compressed().tolist() for axes in panels]
    assert drawn == [[1, 3, 2], [8, 1, 2]]  # the norms of both together fall


def test_nets_of_different_width(tmp_path):
    rng = np.random.default_rng(0)
    narrow, wide = rng.normal(size=(16, 4)), rng.normal(size=(16, 100))
    figure = weight_panels([("4 units", narrow), ("100 units", wide)], (4, 4))
    save(figure, tmp_path / "weights.png")
    titles = [axes.get_title() for axes in figure.axes[:2]]
    assert titles == ["4 units", "100 units: 64 of 100 units"]
    assert all(len(axes.images) == 1 for axes in figure.axes[:2])
