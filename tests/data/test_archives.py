"""Archives of arrays: the names that are known, parts, images, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xpmlp.data.archives import read_archive
from xpmlp.data.registry import load_dataset
from xpmlp.errors import InputError


def archive(tmp_path, **arrays):
    path = tmp_path / "rows.npz"
    np.savez_compressed(path, **arrays)
    return path


def refusal(path):
    """Return the one line with which an archive is refused, without its name."""
    with pytest.raises(InputError) as caught:
        read_archive(path)
    start, text = f"{path}: ", str(caught.value)
    assert text.startswith(start)
    assert "\n" not in text
    return text.removeprefix(start)


@pytest.mark.parametrize(
    "names",
    [
        *(("x", "y"), ("X", "y"), ("X", "Y"), ("Images", "Labels")),
        *(("x_train", "y_train"), ("X_train", "y_train"), ("train_images", "train_labels")),
    ],
)
def test_names(tmp_path, names):
    x, y = np.arange(6).reshape(3, 2), np.array([4, 2, 4])
    found = read_archive(archive(tmp_path, **dict(zip(names, (x, y), strict=True))))
    assert found.x.tolist() == x.tolist()
    assert found.x.dtype == np.float64
    assert found.y.tolist() == [1, 0, 1]
    assert found.class_names == ("2", "4")
    assert found.feature_names == ("x1", "x2")
    assert found.image_shape is None
    assert found.validation is found.test is None
    assert found.note == ""


def keras_mnist(images):
    """The arrays of Keras' mnist.npz, smaller."""
    (x, y), (x_test, y_test) = images(40, seed=1), images(10, seed=2)
    return {"x_train": x, "y_train": y, "x_test": x_test, "y_test": y_test}


def test_keras_mnist(tmp_path, images):
    arrays = keras_mnist(images)
    path = archive(tmp_path, **arrays)
    data = load_dataset(str(path), dtype="float64")
    assert [len(part) for part in (data.train, data.validation, data.test)] == [36, 4, 10]
    np.testing.assert_array_equal(data.test.x, arrays["x_test"].reshape(10, 12) / 255)
    assert data.test.y.tolist() == arrays["y_test"].tolist()
    assert data.class_names == tuple("0123456789")
    assert data.image_shape == (4, 3)
    assert (data.scale, data.note) == ("unit", "")


def medmnist(labels, shape=(4, 3)):
    """The arrays of a set of MedMNIST, smaller, with these labels (24, L)."""
    pixels = np.random.default_rng(0).integers(0, 256, (24, *shape), dtype=np.uint8)
    ends = {"train": slice(0, 12), "val": slice(12, 18), "test": slice(18, 24)}
    images = {f"{part}_images": pixels[rows] for part, rows in ends.items()}
    return images | {f"{part}_labels": labels[rows] for part, rows in ends.items()}


def test_medmnist(tmp_path):
    labels = (np.arange(24, dtype=np.uint8) % 3)[:, None]
    arrays = medmnist(labels)
    path = archive(tmp_path, **arrays)
    data = load_dataset(str(path), scale="none")
    for part, name in ((data.train, "train"), (data.validation, "val"), (data.test, "test")):
        np.testing.assert_array_equal(part.x, arrays[f"{name}_images"].reshape(-1, 12))
        np.testing.assert_array_equal(part.y, arrays[f"{name}_labels"][:, 0])
    assert (data.task, data.class_names, data.note) == ("classification", ("0", "1", "2"), "")
    others = load_dataset(str(path), validation=3)
    assert [len(part) for part in (others.train, others.validation, others.test)] == [15, 3, 6]


def test_chestmnist_has_several_labels_a_row(tmp_path):
    labels = np.random.default_rng(1).integers(0, 2, (24, 5), dtype=np.uint8)
    data = load_dataset(str(archive(tmp_path, **medmnist(labels))))
    assert data.task == "multilabel"
    assert data.class_names == ()
    assert data.n_outputs == 5
    assert data.train.y.dtype == np.float64
    np.testing.assert_array_equal(data.validation.y, labels[12:18])


@pytest.mark.parametrize("shape", [(4, 3, 3), (3, 4, 3), (4, 3, 2, 2)])
def test_colours_and_volumes_are_flattened(tmp_path, shape):
    labels = np.arange(24)[:, None] % 3
    path = archive(tmp_path, **medmnist(labels, shape))
    found = read_archive(path)
    width = int(np.prod(shape))
    assert found.x.shape == (12, width)
    assert found.image_shape is None
    assert found.feature_names == ()
    assert found.full_scale == 255
    shown = " x ".join(map(str, shape))
    assert found.note == (
        f"{path}: {shown} values a row are trained on as {width} columns, and not shown"
    )


@pytest.mark.parametrize("shape", [(20, 4, 3), (20, 4, 3, 1), (20, 1, 4, 3)])
def test_images_stay_bytes(tmp_path, images, shape):
    x, y = images(20)
    found = read_archive(archive(tmp_path, Images=x.reshape(shape), Labels=y.reshape(-1, 1)))
    assert found.image_shape == (4, 3)
    assert found.full_scale == 255
    assert found.x.dtype == np.uint8
    np.testing.assert_array_equal(found.x, x.reshape(20, 12))
    assert found.y.tolist() == y.tolist()


@pytest.mark.parametrize(
    ("dtype", "factor", "full_scale", "stored"),
    [
        ("int64", 1, 255, "uint8"),
        ("float32", 1, 255, "float64"),
        ("float64", 1 / 255, 1, "float64"),
        ("uint16", 257, None, "float64"),
        ("float64", -1, None, "float64"),
    ],
)
def test_pixels_of_any_dtype(tmp_path, images, dtype, factor, full_scale, stored):
    x, y = images(20)
    pixels = (x.astype("float64") * factor).astype(dtype)
    found = read_archive(archive(tmp_path, images=pixels, labels=y))
    assert found.full_scale == full_scale
    assert found.x.dtype == stored
    np.testing.assert_array_equal(found.x, pixels.reshape(20, 12))


def test_the_brightest_pixel_may_be_in_the_test_rows(tmp_path, images):
    arrays = keras_mnist(images)
    arrays["x_train"] = arrays["x_train"] // 16
    assert read_archive(archive(tmp_path, **arrays)).full_scale == 255
    arrays["x_test"] = arrays["x_test"] // 16
    found = read_archive(archive(tmp_path, **arrays))
    assert found.full_scale == 16
    assert found.note.endswith("no pixel is above 15, so 16 is taken for full brightness")


@settings(deadline=None, max_examples=40)
@given(
    sizes=st.tuples(st.integers(1, 6), st.integers(0, 4), st.integers(0, 4)),
    texts=st.booleans(),
)
def test_parts_share_their_classes(tmp_path_factory, sizes, texts):
    """Each part's labels come back through the names of the classes, wherever a class occurs."""
    rng = np.random.default_rng(sum(sizes))
    arrays, expected = {}, {}
    for part, size in zip(("train", "val", "test"), sizes, strict=True):
        if size:
            y = rng.integers(0, 5, size)
            expected[part] = [f"c{i}" if texts else str(i) for i in y]
            arrays[f"x_{part}"] = rng.normal(size=(size, 2))
            arrays[f"y_{part}"] = np.array(expected[part]) if texts else y
    path = archive(tmp_path_factory.mktemp("parts"), **arrays)
    if len({label for labels in expected.values() for label in labels}) < 2:
        assert "classification needs at least two classes" in refusal(path)
        return
    found = read_archive(path)
    parts = {"train": (found.x, found.y), "val": found.validation, "test": found.test}
    for part, rows in parts.items():
        assert (rows is None) == (part not in expected)
        if rows is not None:
            assert [found.class_names[i] for i in rows[1]] == expected[part]
            np.testing.assert_array_equal(rows[0], arrays[f"x_{part}"])


def test_arrays_of_no_part_are_named(tmp_path):
    arrays = {"x": np.eye(2), "y": np.arange(2), "x_test": np.eye(2), "writers": np.arange(2)}
    path = archive(tmp_path, **arrays)
    assert read_archive(path).note == f"{path}: not used: writers, x_test"


def test_a_wished_task(tmp_path):
    path = archive(tmp_path, x=np.eye(3), y=np.arange(3))
    assert read_archive(path).task == "classification"
    found = read_archive(path, "regression")
    assert (found.task, found.y.tolist()) == ("regression", [[0], [1], [2]])


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"a": np.zeros(2), "b": np.zeros(2)}, ["expected arrays x and y", "found a, b"]),
        ({"arr_0": np.zeros(2)}, ["train_images and train_labels; found arr_0"]),
        ({"x_test": np.eye(2), "y_test": np.arange(2)}, ["found x_test, y_test"]),
        ({"x": np.zeros(3), "y": np.zeros(3)}, ["(N, D)", "got x, float64 of shape (3,)"]),
        ({"x": np.zeros((3, 2), complex), "y": np.arange(3)}, ["complex128"]),
        ({"x": np.zeros((0, 2)), "y": np.arange(0)}, ["(0, 2)"]),
        ({"x": np.zeros((3, 2)), "y": np.arange(4)}, ["x has 3 rows", "y 4 labels"]),
        ({"x": np.array([[0.0], [np.nan]]), "y": np.arange(2)}, ["features of row 1 of x", "NaN"]),
        ({"x": np.zeros((2, 1)), "y": np.array([0, np.inf])}, ["labels of row 1 of y"]),
        ({"x": np.zeros((2, 1)), "y": np.array([3, 3])}, ["every label is '3'"]),
        ({"x": np.zeros((2, 1)), "y": np.zeros((2, 1, 1))}, ["as labels", "(2, 1, 1)"]),
        ({"x": np.zeros((2, 1)), "y": np.zeros((2, 0))}, ["as labels", "(2, 0)"]),
        ({"x": np.eye(3), "y": np.array([["a", "b"]] * 3)}, ["text labels", "(N,), got (3, 2)"]),
    ],
)
def test_refused_archives(tmp_path, arrays, words):
    text = refusal(archive(tmp_path, **arrays))
    for word in words:
        assert word in text


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"x_test": np.zeros((10, 3, 3), np.uint8)},
            "rows of x_test are 3 x 3, those of x_train 4 x 3",
        ),
        ({"y_test": np.arange(9)}, "x_test has 10 rows, but y_test 9 labels"),
        (
            {"y_test": np.array(["a"] * 10)},
            "y_test, <U1 of shape (10,), is not like y_train, uint8 of shape (40,)",
        ),
        (
            {"y_test": np.zeros((10, 2))},
            "y_test, float64 of shape (10, 2), is not like y_train, uint8 of shape (40,)",
        ),
    ],
)
def test_parts_that_do_not_fit(tmp_path, images, changed, message):
    assert refusal(archive(tmp_path, **keras_mnist(images) | changed)) == message


def test_refused_files(tmp_path):
    whole = bytearray(archive(tmp_path, x=np.arange(900.0).reshape(300, 3)).read_bytes())
    whole[100:140] = bytes(40)
    contents = {"a": b"not a zip archive", "b": b"PK\x03\x04 broken", "d": bytes(whole)}
    for name, content in contents.items():
        (tmp_path / f"{name}.npz").write_bytes(content)
        refusal(tmp_path / f"{name}.npz")
    with (tmp_path / "c.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    assert refusal(tmp_path / "c.npz").startswith("not a whole .npz archive")


sprung = []


class Trap:
    """Unpickling this leaves a trace."""

    def __reduce__(self):
        return (sprung.append, ("!",))


def test_objects_that_nobody_asks_for_are_no_trouble(tmp_path):
    x, about = np.arange(4).reshape(2, 2), np.array([{"made": "by hand"}], dtype=object)
    path = archive(tmp_path, x=x, y=np.arange(2), about=about)
    assert read_archive(path).note == f"{path}: not used: about"


def test_nothing_is_unpickled(tmp_path):
    x = np.empty((2, 1), dtype=object)
    x[:] = Trap()
    path = archive(tmp_path, x=x, y=np.arange(2))
    sprung.clear()
    assert refusal(path).startswith("not a whole .npz archive")
    assert sprung == []
    with np.load(path, allow_pickle=True) as trusting:
        assert trusting["x"].shape == (2, 1)
