"""Tables of images by the names of their columns, and what counts as 1 in pixels."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpmlp.data.image_tables import image_table, pixel_scale


def numbered(form, start, count):
    return [form.format(i) for i in range(start, start + count)]


def grid(form, start, height, width):
    rows, columns = (range(start, start + n) for n in (height, width))
    return [form.format(i, j) for i in rows for j in columns]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["label", *numbered("pixel{}", 0, 784)], (0, (28, 28))),  # Kaggle's Digit Recognizer
        (["label", *numbered("pixel{}", 1, 784)], (0, (28, 28))),  # Kaggle's Fashion-MNIST
        (["label", *grid("{}x{}", 1, 28, 28)], (0, (28, 28))),  # Kaggle's MNIST in CSV
        ([*numbered("pixel{}", 1, 784), "class"], (784, (28, 28))),  # OpenML's mnist_784
        ([*numbered("pixel{:04}", 0, 784), "label"], (784, (28, 28))),  # Kaggle's HAM10000
        ([*grid("pixel_{}_{}", 0, 8, 8), "target"], (64, (8, 8))),  # scikit-learn's digits
        (["label", *grid("{}x{}", 0, 3, 5)], (0, (3, 5))),
        ([" Label ", *numbered("Pixel_{}", 0, 4)], (0, (2, 2))),
        (numbered("pixel{}", 0, 784), (None, (28, 28))),
    ],
)
def test_known_layouts(names, expected):
    assert image_table(names) == expected


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["label"],
        ["pixel0"],
        ["label", "pixel0"],
        ["label", *numbered("pixel{}", 0, 783)],
        ["label", *numbered("pixel{}", 2, 784)],
        ["label", *numbered("pixel{}", 0, 2352)],
        ["label", "pixel0", "pixel2", "pixel1", "pixel3"],
        ["label", "1x1", "2x1", "1x2", "2x2"],
        ["label", "1x1", "1x2", "2x1"],
        ["label", *numbered("x{}", 1, 784)],
        ["kind", *numbered("pixel{}", 0, 784)],
        ["label", *numbered("pixel{}", 0, 784), "writer"],
        ["label", *numbered("pixel{}", 0, 784), "label"],
    ],
)
def test_other_tables(names):
    assert image_table(names) is None


@given(st.lists(st.text(max_size=6), max_size=8))
def test_any_names(names):
    found = image_table(names)
    if found:
        assert found.shape[0] * found.shape[1] + (found.label is not None) == len(names)


@pytest.mark.parametrize(
    ("lowest", "highest", "full_scale"),
    [
        *((0, 255, 255), (3, 17, 255), (0, 16.5, 255), (0, 16, 16), (0, 1.5, 16)),
        *((0, 1, 1), (0.2, 0.8, 1), (0, 0, 1), (0, 256, None), (-1, 1, None)),
    ],
)
def test_what_counts_as_one(lowest, highest, full_scale):
    found = pixel_scale(lowest, highest, "a.csv")
    assert found.full_scale == full_scale
    assert bool(found.note) == (full_scale in (1, 16))


def test_the_note():
    assert pixel_scale(0, 16, "a.csv").note == (
        "a.csv: no pixel is above 16, so 16 is taken for full brightness"
    )
