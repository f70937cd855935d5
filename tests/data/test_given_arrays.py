"""Rows that are handed in: the data set that a file with them would be, and what is refused."""

import re
import warnings

import numpy as np
import pytest

from xpmlp import Dataset, InputError, load_dataset

RNG = np.random.default_rng(3)
X = RNG.normal(size=(90, 3)) * [1.0, 20.0, 0.1]
Y = np.repeat([4, 7, 9], 30)[RNG.permutation(90)]
IMAGES = RNG.integers(0, 256, (60, 4, 5), dtype=np.uint8)
PARTS = ("train", "validation", "test")


def assert_same(data, other):
    """Compare two data sets to the last bit, but for their names and notes."""
    for part in PARTS:
        ours, theirs = getattr(data, part), getattr(other, part)
        np.testing.assert_array_equal(ours.x, theirs.x, strict=True)
        np.testing.assert_array_equal(ours.y, theirs.y, strict=True)
    for name in ("task", "class_names", "feature_names", "image_shape", "scale"):
        assert getattr(data, name) == getattr(other, name)
    for name in ("scaling", "target"):
        ours, theirs = getattr(data, name), getattr(other, name)
        assert (ours is None) == (theirs is None)
        for a, b in zip(ours or (), theirs or (), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        *((X, Y), (X.astype("float32"), Y.astype(str)), (X, X[:, 0] ** 2), (X, X[:, :2])),
        *((IMAGES, Y[:60]), (IMAGES / 255, Y[:60]), (IMAGES[:, None], Y[:60] == 4)),
        *((X, np.eye(3)[Y // 4]), (X, (X > 0).astype(int)), (X, Y.astype(float))),
    ],
)
@pytest.mark.parametrize(
    "options", [{}, {"validation": 11, "scale": "standard", "seed": 5, "dtype": "float64"}]
)
@pytest.mark.filterwarnings("ignore:arrays")
def test_arrays_become_what_they_become_in_a_file(tmp_path, x, y, options):
    np.savez(tmp_path / "rows.npz", x=x, y=y)
    file = load_dataset(tmp_path / "rows.npz", **options)
    assert_same(Dataset.from_arrays(x, y, **options), file)


@pytest.mark.filterwarnings("ignore:arrays")
def test_own_rows_become_what_they_become_in_a_file(tmp_path):
    x, y = RNG.normal(size=(20, 3)), Y[:20]
    np.savez(tmp_path / "rows.npz", x=X, y=Y, x_val=x[:8], y_val=y[:8], x_test=x[8:], y_test=y[8:])
    own = {"validation": (x[:8], y[:8]), "test": (x[8:], y[8:])}
    data = Dataset.from_arrays(X, Y, **own)
    assert_same(data, load_dataset(tmp_path / "rows.npz"))
    mean, deviation = X.mean(axis=0), X.std(axis=0)
    np.testing.assert_allclose(data.test.x, (x[8:] - mean) / deviation, rtol=1e-4, atol=1e-6)


def tensor(array):
    return pytest.importorskip("torch").tensor(array)


def with_gradient(array):
    floating = np.issubdtype(array.dtype, np.floating)
    return pytest.importorskip("torch").tensor(array, requires_grad=floating)


def jax_array(array):
    return pytest.importorskip("jax").numpy.asarray(array)


def sparse(array):
    scipy = pytest.importorskip("scipy.sparse")
    return scipy.csr_matrix(array) if array.ndim == 2 else array


def strict(array):
    return pytest.importorskip("array_api_strict").asarray(array)


def series(array):
    pandas = pytest.importorskip("pandas")
    return pandas.Series(array) if array.ndim == 1 else array


def categorical(array):
    pandas = pytest.importorskip("pandas")
    return pandas.Series(array, dtype="category") if array.ndim == 1 else array


@pytest.mark.parametrize(
    "make",
    [
        np.ndarray.tolist,
        tensor,
        with_gradient,
        sparse,
        strict,
        series,
        categorical,
        np.asfortranarray,
    ],
)
def test_whatever_holds_the_numbers(make):
    assert_same(Dataset.from_arrays(make(X), make(Y)), Dataset.from_arrays(X, Y))


def test_jax_holds_them_too():
    x, y = X.astype("float32"), Y.astype("int32")
    data = Dataset.from_arrays(jax_array(x), jax_array(y))
    assert_same(data, Dataset.from_arrays(x, y))


def frames():
    """The same rows as a frame of pandas, and of polars, with a text and a gap."""
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    columns = {"size": X[:, 0].tolist(), "shape": ["round", "flat", "long"] * 30}
    columns["size"][4] = None
    index = RNG.permutation(90)
    return [pandas.DataFrame(columns, index=index), polars.DataFrame(columns)]


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.filterwarnings("ignore:frame")
def test_a_frame_becomes_what_it_becomes_as_a_table(tmp_path, which):
    frame = frames()[which]
    table = frames()[0].assign(kind=[f"k{y}" for y in Y])
    table.to_parquet(tmp_path / "t.parquet", index=False)
    data = Dataset.from_arrays(frame, [f"k{y}" for y in Y])
    assert_same(data, load_dataset(tmp_path / "t.parquet"))
    assert data.feature_names[1:] == ("size missing", "shape=flat", "shape=long", "shape=round")
    again = Dataset.from_arrays(frame, Y, test=(frame[:7], Y[:7]), validation=0)
    assert (len(again.train), len(again.validation), len(again.test)) == (90, 0, 7)
    np.testing.assert_array_equal(again.test.x, again.train.x[:7])


def test_a_frame_and_series_give_their_names():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["a", "b", "c"])
    data = Dataset.from_arrays(frame, pandas.Series(Y, name="kind"))
    assert (data.feature_names, data.label) == (("a", "b", "c"), ("kind",))
    assert Dataset.from_arrays(X, Y, names=["a", "b", "c"]).feature_names == ("a", "b", "c")


@pytest.mark.parametrize(
    ("options", "counts"),
    [
        ({}, (65, 7, 18)),
        ({"test": 0.5}, (41, 4, 45)),
        ({"test": 10, "validation": np.int64(20)}, (60, 20, 10)),
        ({"test": 0, "validation": 0}, (90, 0, 0)),
        ({"test": (X[:5], Y[:5]), "validation": 1}, (89, 1, 5)),
    ],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_shares_counts_and_own_rows(options, counts, weighted):
    weights = np.abs(X[:, 1]) + 1 if weighted else None
    data = Dataset.from_arrays(X, Y, weights=weights, scale="none", dtype="float64", **options)
    assert tuple(len(getattr(data, part)) for part in PARTS) == counts
    assert_same(data, Dataset.from_arrays(X, Y, scale="none", dtype="float64", **options))
    if weighted:
        np.testing.assert_array_equal(data.train.weights, np.abs(data.train.x[:, 1]) + 1)
        if not isinstance(options.get("test"), tuple):
            np.testing.assert_array_equal(data.test.weights, np.abs(data.test.x[:, 1]) + 1)


def test_weights_of_own_rows_and_of_rows_without():
    w = np.arange(1, 6)
    data = Dataset.from_arrays(X, Y, test=(X[:5], Y[:5], w), validation=(X[:4], Y[:4]))
    assert data.test.weights.tolist() == [1, 2, 3, 4, 5]
    assert data.validation.weights.tolist() == [1, 1, 1, 1]
    assert set(data.train.weights) == {1}


@pytest.mark.parametrize(
    ("y", "names", "classes"),
    [
        (["b", "a"] * 45, ("b", "a", "c"), [0, 1]),
        (np.arange(90) % 2 * 2, ("x", "y", "z"), [0, 2]),
        (np.arange(90) % 2 + 1, ("one", "two"), [0, 1]),
    ],
)
def test_names_of_classes(y, names, classes):
    data = Dataset.from_arrays(X, y, class_names=names, test=(X[:2], y[:2]))
    assert data.class_names == names
    assert np.unique(data.train.y).tolist() == classes
    assert data.test.y.tolist() == classes


@pytest.mark.parametrize(
    ("y", "said"),
    [
        (Y.astype(float), "taken as 3 classes; task='regression' makes them values"),
        (np.eye(3)[Y // 4], "taken as one-hot classes"),
        (np.arange(90), "its 90 different whole-number labels are taken as values to fit"),
    ],
)
def test_what_is_assumed_of_labels_is_said(y, said):
    with pytest.warns(UserWarning, match=said) as caught:
        data = Dataset.from_arrays(X, y)
    assert [warning.filename for warning in caught] == [__file__]
    assert said in data.note


@pytest.mark.parametrize(
    ("y", "options"),
    [(Y, {}), (X[:, 0], {}), (Y.astype(float), {"task": "classification"}), (["a", "b"] * 45, {})],
)
def test_nothing_is_said_where_nothing_is_assumed(y, options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Dataset.from_arrays(X, y, **options).note == ""


def changed(array, place, value):
    array = array.copy()
    array[place] = value
    return array


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((X, Y[:5]), "arrays: x has 90 rows, but y 5 labels"),
        ((X[0], Y), "x: expected rows (N, D), got shape (3,); x.reshape(-1, 1) makes one column"),
        (("moons", Y), "xpmlp.load_dataset takes the name of a data set or a file"),
        ((None, Y), "x: expected an array, list, frame or tensor, got NoneType"),
        (([[1, 2], [3]], [0, 1]), "x: no array can be made of it: its rows have different lengths"),
        ((X.astype(str), Y), "x: expected numbers, got <U32; a frame of pandas"),
        ((changed(X, (3, 1), np.nan), Y), "the features of row 3 of x contain NaN or inf"),
        ((X, ["a"] * 89 + [None]), "y: row 89 has an entry that is missing"),
        ((X, ["a"] * 89 + [np.nan]), "y: row 89 has an entry that is missing"),
        ((X, ["a"] * 89 + [1]), "y: 'a' is a text and 1 is none"),
        ((X, ["a"] * 90), "every label is 'a'; classification needs at least two classes"),
        ((np.ma.masked_array(X, X > 0), Y), "x: fill what is masked"),
    ],
)
def test_rows_that_are_refused(given, message):
    with pytest.raises(InputError, match=re.escape(message)):
        Dataset.from_arrays(*given)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test": X}, "test: expected a share below 1, a count, or a pair (x, y) of rows, got nd"),
        ({"test": (X,)}, "test: expected a share, a count, or a pair (x, y) of rows, got 1 things"),
        ({"test": True}, "got bool"),
        ({"test": 2.5}, "test: expected a share below 1, a count, or 0, got 2.5"),
        ({"validation": -1}, "validation: expected a share below 1, a count, or 0, got -1"),
        ({"test": 90}, "taking 90 of 90 rows would leave nothing to train on"),
        ({"validation": (X[:, :2], Y)}, "rows of validation x are 2, those of x 3"),
        ({"validation": (X, Y[:3])}, "validation x has 90 rows, but validation y 3 labels"),
        ({"test": (X, ["a"] * 90)}, "test y, <U1 of shape (90,), is not like y, int64"),
        ({"weights": Y[:5]}, "weights: expected (90,) numbers, got int64 of shape (5,)"),
        ({"weights": Y - 4}, "weights: expected positive numbers, got 0 in row"),
        ({"class_names": ["a"]}, "y has 3 classes (4, 7, 9), which 'a' don't fit"),
        ({"class_names": list("abc"), "task": "regression"}, "y holds no classes"),
        ({"names": ["a"]}, "names: expected 3 texts, one for each column of x, got ['a']"),
        ({"scale": "StandardScaler"}, "unknown scale 'StandardScaler' (did you mean 'standard'?)"),
        ({"task": "classify"}, "unknown task 'classify' (did you mean 'classification'?)"),
    ],
)
def test_options_that_are_refused(options, message):
    with pytest.raises(InputError, match=re.escape(message)):
        Dataset.from_arrays(X, Y, **options)


def test_frames_that_are_refused():
    frame, other = frames()
    for options, message in (
        ({"test": (frame[["size"]], Y)}, "all parts must have the same columns"),
        ({"names": ["a", "b"]}, "a frame has names of its own"),
        ({"test": (frame[:3], Y)}, "test y 90 labels"),
    ):
        with pytest.raises(InputError, match=re.escape(message)):
            Dataset.from_arrays(frame, Y, **options)
    with pytest.raises(InputError, match="call its collect"):
        Dataset.from_arrays(other.lazy(), Y)
