"""What became of the test rows: counts by hand, the surest mistakes, captions that fit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xpmlp.pictures.outcomes import (
    confusion_matrix,
    misclassified,
    mistake_caption,
    predicted_against_true,
    worst_mistakes,
)
from xpmlp.pictures.style import printable, save

TRUE = np.array([0, 0, 0, 1, 1, 2])
PREDICTED = np.array([0, 0, 1, 1, 0, 1])


def test_confusion_matrix_by_hand():
    axes = confusion_matrix(TRUE, PREDICTED, ("ant", "bee", "cat", "dog")).axes[0]
    shares = axes.images[0].get_array()
    expected = [[2 / 3, 1 / 3, 0, 0], [1 / 2, 1 / 2, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(shares, expected)
    counts = {text.get_position(): text.get_text() for text in axes.texts}
    assert counts[(0, 0)] == "2"
    assert counts[(1, 0)] == "1"  # true class 0, predicted 1: column 1, row 0
    assert counts[(0, 1)] == "1"
    assert counts[(1, 2)] == "1"
    assert sum(map(int, counts.values())) == 6
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["ant", "bee", "cat", "dog"]
    assert axes.get_title(loc="left") == "test accuracy 0.5000, 6 rows"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")


@pytest.mark.parametrize(("classes", "texts"), [(15, 225), (16, 0), (30, 0)])
def test_many_classes_have_no_counts(classes, texts, tmp_path):
    names = [f"a class with a long name no. {i:02}" for i in range(classes)]
    y = np.arange(classes)
    figure = confusion_matrix(y, y, names)
    assert len(figure.axes[0].texts) == texts
    save(figure, tmp_path / "confusion.png")


def test_of_very_many_classes_those_with_the_most_mistakes_are_drawn():
    """Class 5000 + i is taken for 9000 + i, i + 1 times, and is right once."""
    times = np.arange(1, 41)
    true = np.concatenate([np.arange(10_000), np.repeat(5000 + np.arange(40), times)])
    predicted = np.concatenate([np.arange(10_000), np.repeat(9000 + np.arange(40), times)])
    axes = confusion_matrix(true, predicted, [f"c{i}" for i in range(10_000)]).axes[0]
    drawn = [tick.get_text() for tick in axes.get_yticklabels()]
    assert drawn == [f"c{start + i}" for start in (5000, 9000) for i in range(8, 40)]
    shares = axes.images[0].get_array()
    assert shares.shape == (64, 64)
    np.testing.assert_allclose(shares.diagonal()[:32], 1 / (times[8:] + 1))
    np.testing.assert_allclose(shares[:32, 32:].diagonal(), times[8:] / (times[8:] + 1))
    title = "\n64 of 10,000 classes, those with the most mistakes"
    assert axes.get_title(loc="left").endswith(title)


def test_worst_mistakes_by_hand():
    true = np.array([0, 1, 2, 0, 1])
    predicted = np.array([1, 1, 0, 2, 0])
    certainty = np.array([0.5, 0.99, 0.9, 0.7, 0.9])
    assert worst_mistakes(true, predicted, certainty).tolist() == [2, 4, 3, 0]
    assert worst_mistakes(true, predicted, certainty, limit=1).tolist() == [2]
    assert worst_mistakes(true, true, certainty).tolist() == []


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.floats(0, 1)), max_size=40))
def test_no_other_mistake_is_surer(rows):
    true, predicted, certainty = np.array(rows).reshape(-1, 3).T
    worst = worst_mistakes(true, predicted, certainty, limit=5)
    wrong = set(np.flatnonzero(true != predicted))
    assert set(worst) <= wrong
    assert len(worst) == min(5, len(wrong))
    assert (np.diff(certainty[worst]) <= 0).all()
    rest = wrong - set(worst)
    if rest:
        assert certainty[list(rest)].max() <= certainty[worst].min()


def test_captions():
    assert mistake_caption("7", "1", 0.984) == "7 → 1 (p=0.98)"
    assert mistake_caption("0", "8", 1.2, "output") == "0 → 8 (output=1.20)"
    assert mistake_caption("Ankle boot", "Sneaker", 0.5) == "Ankle boot →\nSneaker (p=0.50)"


def test_misclassified_images_at_their_place():
    images = np.arange(6 * 4).reshape(6, 2, 2) / 24
    captions = [f"{i} → 9 (p=0.90)" for i in range(6)]
    axes = misclassified(images, captions, "six").axes[0]
    drawn = np.ma.filled(axes.images[0].get_array(), np.nan)
    for i, text in enumerate(axes.texts):
        x, y = text.get_position()
        column, row = int(x - 0.5), int(np.ceil(y))
        np.testing.assert_array_equal(drawn[row : row + 2, column : column + 2], images[i])
        assert text.get_text() == captions[i]
    assert axes.get_title() == "six"


@pytest.mark.parametrize("size", [8, 28])
@pytest.mark.parametrize("count", [1, 7, 25])
@pytest.mark.parametrize(
    "names", [("7", "1"), ("MEDIUM SIZED MOWING MACHINE 01", "LARGE RED COMBINE HARVESTER 07")]
)
def test_captions_do_not_overlap(size, count, names, tmp_path):
    images = np.random.default_rng(0).random((count, size, size))
    captions = [mistake_caption(*names, 0.98)] * count
    figure = misclassified(images, captions, "25 of 300 misclassified test rows")
    save(figure, tmp_path / "misclassified.png")
    axes = figure.axes[0]
    boxes = [text.get_window_extent() for text in (*axes.texts, axes.title)]
    for i, box in enumerate(boxes):
        assert box.count_overlaps(boxes[:i] + boxes[i + 1 :]) == 0
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1


def test_captions_do_not_cover_images(tmp_path):
    images = np.zeros((10, 28, 28))
    figure = misclassified(images, ["true →\npredicted (p=0.98)"] * 10)
    save(figure, tmp_path / "misclassified.png")
    axes = figure.axes[0]
    text = axes.texts[5].get_window_extent().transformed(axes.transData.inverted())
    drawn = np.isfinite(np.ma.filled(axes.images[0].get_array().astype(float), np.nan))
    rows = np.flatnonzero(drawn.any(axis=1))
    first_row_ends, second_row_starts = rows[27] + 0.5, rows[28] - 0.5
    assert first_row_ends <= min(text.y0, text.y1) < max(text.y0, text.y1) <= second_row_starts


def test_predicted_against_true():
    true = np.array([[1.0, 10.0], [2.0, 20.0]])
    predicted = np.array([[1.0, 12.0], [4.0, 20.0]])
    axes = predicted_against_true(true, predicted).axes[0]
    first, second = (points.get_offsets() for points in axes.collections)
    np.testing.assert_array_equal(first, [[1, 1], [2, 4]])
    np.testing.assert_array_equal(second, [[10, 12], [20, 20]])
    assert axes.get_title(loc="left") == "test root mean square error 1.414"
    assert axes.lines[0].get_slope() == 1


def test_one_value(tmp_path):
    save(predicted_against_true(np.ones((1, 1)), np.ones((1, 1))), tmp_path / "one.png")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("seven", "seven"),
        ("0123456789abc", "012345…abc"),
        ("two\nlines", "two lines"),
        ("<$50K", r"<\$50K"),
    ],
)
def test_printable(name, shown):
    assert printable(name, 10) == shown


def test_names_are_no_mathematics_and_need_no_font(tmp_path):
    figure = confusion_matrix(np.array([0, 1]), np.array([0, 1]), ("$\\frac$", "数字"))
    save(figure, tmp_path / "names.png")
