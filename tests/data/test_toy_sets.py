from collections import Counter

import numpy as np
import pytest

from xpmlp.data import load_dataset
from xpmlp.data.toy import ellipse_rows, moon_rows, spiral_rows, xor_rows

pytestmark = pytest.mark.usefixtures("isolated")


def test_xor_is_the_truth_table():
    x, y = xor_rows()
    assert {(int(a), int(b)): int(c) for (a, b), c in zip(x, y, strict=True)} == {
        (0, 0): 0,
        (0, 1): 1,
        (1, 0): 1,
        (1, 1): 0,
    }


@pytest.mark.parametrize(("validation", "size"), [(None, 4), (0, 0), (0.5, 4), (2, 4)])
def test_xor_parts_are_all_its_rows(validation, size):
    data = load_dataset("xor", validation=validation)
    assert (len(data.train), len(data.validation), len(data.test)) == (4, size, 4)
    assert "4 rows" in data.note
    assert data.validation.x.shape == (size, 2)


def test_spirals():
    x, y = spiral_rows(np.random.RandomState(0))
    assert x.shape == (300, 2)
    assert np.bincount(y).tolist() == [100, 100, 100]
    np.testing.assert_allclose(np.hypot(*x.T), np.tile(np.linspace(0, 1, 100), 3), atol=1e-12)
    noise = np.random.RandomState(0).randn(300)
    angle = np.concatenate([np.linspace(4 * c, 4 * c + 4, 100) for c in range(3)]) + 0.2 * noise
    np.testing.assert_allclose(np.arctan2(x[1:100, 0], x[1:100, 1]), wrap(angle[1:100]), atol=1e-9)


def wrap(angle):
    return np.arctan2(np.sin(angle), np.cos(angle))


def test_ellipse_is_the_assignments():
    x, y = ellipse_rows()
    np.random.seed(0)
    expected = np.random.randn(70_000, 2)
    np.testing.assert_array_equal(x, expected)
    form = x[:, 0] ** 2 + 0.95 * x[:, 0] * x[:, 1] + 0.4 * x[:, 1] ** 2  # xᵀQx written out
    np.testing.assert_array_equal(y, form > 0.6)


def test_ellipse_parts():
    x, y = ellipse_rows()
    data = load_dataset("ellipse", validation=0, dtype="float64", seed=9)
    np.testing.assert_array_equal(data.train.x, x[:60_000])
    np.testing.assert_array_equal(data.test.x, x[60_000:])
    np.testing.assert_array_equal(data.test.y, y[60_000:])
    assert len(data.validation) == 0


def test_moons_are_scikit_learns():
    from sklearn.datasets import make_moons

    x, y = moon_rows(np.random.RandomState(42), rows=500, noise=0.2)
    expected_x, expected_y = make_moons(n_samples=500, noise=0.2, random_state=42)
    np.testing.assert_array_equal(x, expected_x)
    np.testing.assert_array_equal(y, expected_y)


@pytest.mark.parametrize("name", ["moons", "spirals"])
def test_seeds(name):
    first, again, other = (load_dataset(name, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.train.x, again.train.x)
    assert not np.array_equal(first.train.x, other.train.x)


def test_digits():
    from sklearn.datasets import load_digits

    data = load_dataset("digits", dtype="float64", validation=0)
    assert data.image_shape == (8, 8)
    assert data.scale == "unit"
    assert len(data.train) + len(data.test) == 1797
    every = np.concatenate([data.train.x, data.test.x])
    expected = load_digits().data / 16
    assert sorted(map(tuple, every)) == sorted(map(tuple, expected))


def test_iris_without_the_course_files():
    data = load_dataset("iris", validation=0)
    assert (len(data.train), len(data.test)) == (110, 40)
    assert sorted(np.bincount(data.test.y).tolist()) == [13, 13, 14]
    assert data.class_names == ("setosa", "versicolor", "virginica")
    assert len(data.feature_names) == data.n_features == 4


def test_course_files_are_used(tmp_path):
    folder = tmp_path / "given"
    (folder / "ist597").mkdir(parents=True)
    (folder / "ist597" / "xor.dat").write_text("1,1,0\n0,1,1\n1,0,1\n0,0,0\n")
    data = load_dataset("xor", data_dir=folder)
    assert data.train.x.tolist() == [[1, 1], [0, 1], [1, 0], [0, 0]]
    assert data.train.y.tolist() == [0, 1, 1, 0]


def test_course_files_with_strange_labels(tmp_path):
    folder = tmp_path / "given"
    (folder / "ist597").mkdir(parents=True)
    (folder / "ist597" / "xor.dat").write_text("1,1,0\n0,1,2\n")
    with pytest.raises(ValueError, match=r"xor\.dat: expected finite numbers, and labels 0 to 1"):
        load_dataset("xor", data_dir=folder)


def test_real_course_files(real_data):
    from sklearn.datasets import load_iris

    iris = load_dataset("iris", data_dir=real_data, validation=0, dtype="float64")
    assert (len(iris.train), len(iris.test)) == (110, 40)
    found = Counter(tuple(row) for part in (iris.train, iris.test) for row in np.c_[part.x, part.y])
    whole = load_iris()
    expected = Counter(map(tuple, np.c_[whole.data, whole.target]))
    # scikit-learn restores Fisher's values in its rows 34 and 37, the course has UCI's
    assert expected - found == Counter(map(tuple, np.c_[whole.data, whole.target][[34, 37]]))
    spirals = load_dataset("spirals", data_dir=real_data, validation=0)
    assert len(spirals.train) + len(spirals.test) == 300
    assert np.bincount(np.r_[spirals.train.y, spirals.test.y]).tolist() == [100] * 3
    xor = load_dataset("xor", data_dir=real_data)
    assert [int(a) ^ int(b) for a, b in xor.train.x] == xor.train.y.tolist()
