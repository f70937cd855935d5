import gzip
import hashlib
import io
import os
import subprocess
import sys

import numpy as np
import pytest
import requests

from xpmlp.data import dataset_names, download, load_dataset, registry
from xpmlp.data.download import RemoteFile
from xpmlp.errors import DataUnavailableError, InputError

pytestmark = pytest.mark.usefixtures("isolated")


def cache(tmp_path):
    return tmp_path / "cache-home" / "xpmlp"


def make_mnist(folder, pair, train=40, test=10, **options):
    pair(folder, "train", train, seed=1, **options)
    pair(folder, "t10k", test, seed=2, **options)
    return folder


def same(a, b):
    """Whether two data sets hold the same numbers in the same parts."""
    parts = ("train", "validation", "test")
    return all(
        np.array_equal(getattr(getattr(a, part), field), getattr(getattr(b, part), field))
        for part in parts
        for field in ("x", "y")
    )


def test_names_need_no_numpy():
    code = (
        "import sys; from xpmlp.data import dataset_names; print(*dataset_names());"
        "assert not {'numpy', 'pooch', 'sklearn', 'requests'} & set(sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(run.stdout.split()) == {
        *("auto", "mnist", "fashion-mnist", "kmnist", "qmnist", "notmnist", "digits"),
        *(f"emnist-{name}" for name in ("balanced", "byclass", "bymerge")),
        *("emnist-digits", "emnist-letters", "emnist-mnist"),
        *("iris", "moons", "xor", "spirals", "ellipse"),
    }


def test_mnist_imports_neither_sklearn_nor_pooch(tmp_path, pair):
    make_mnist(tmp_path / "d" / "mnist", pair)
    code = (
        "import sys; from xpmlp.data import load_dataset;"
        f"load_dataset('mnist', data_dir={str(tmp_path / 'd')!r});"
        "assert not {'sklearn', 'pooch', 'requests', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_name_has_a_loader():
    for name in dataset_names():
        assert name == "auto" or callable(registry._loader(name))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("by_variable", [False, True])
def test_data_folder(tmp_path, pair, images, monkeypatch, packed, by_variable):
    make_mnist(tmp_path / "d" / "mnist", pair, packed=packed)
    if by_variable:
        monkeypatch.setenv("XPMLP_DATA_DIR", str(tmp_path / "d"))
    before = sorted(tmp_path.rglob("*"))
    data = load_dataset("mnist", data_dir=None if by_variable else tmp_path / "d", dtype="float64")
    assert sorted(tmp_path.rglob("*")) == before, "nothing may be written"
    x, y = images(40, seed=1)
    np.testing.assert_array_equal(data.train.x, x.reshape(40, 12)[:36] / 255)
    np.testing.assert_array_equal(data.validation.x, x.reshape(40, 12)[36:] / 255)
    np.testing.assert_array_equal(data.train.y, y[:36])
    np.testing.assert_array_equal(data.test.x, images(10, seed=2)[0].reshape(10, 12) / 255)
    assert data.name == "mnist"
    assert data.class_names == tuple("0123456789")
    assert data.image_shape == (4, 3)
    assert data.scale == "unit"


def test_the_named_folder_comes_before_the_variable(tmp_path, pair, monkeypatch):
    make_mnist(tmp_path / "a" / "mnist", pair, train=40)
    make_mnist(tmp_path / "b" / "mnist", pair, train=30)
    monkeypatch.setenv("XPMLP_DATA_DIR", str(tmp_path / "b"))
    assert len(load_dataset("mnist", data_dir=tmp_path / "a", validation=0).train) == 40


def test_the_cache_helps_an_incomplete_folder(tmp_path, pair):
    pair(tmp_path / "d" / "mnist", "t10k", 30)
    folder = make_mnist(cache(tmp_path) / "mnist", pair)
    data = load_dataset("mnist", data_dir=tmp_path / "d", validation=0)
    assert len(data.train) == 40
    assert data.note == (
        f"{tmp_path}/d/mnist lacks train-images-idx3-ubyte, train-labels-idx1-ubyte, "
        f"so mnist is read from {folder}"
    )


def test_what_is_missing_is_said(tmp_path, pair):
    folder = make_mnist(tmp_path / "d" / "mnist", pair)
    (folder / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(DataUnavailableError) as caught:
        load_dataset("mnist", data_dir=tmp_path / "d")
    text = str(caught.value)
    assert f"{tmp_path / 'd' / 'mnist'} lacks train-labels-idx1-ubyte; mnist is not" in text
    assert "http://127.0.0.1:9/" in text
    assert "\n" not in text


def test_a_folder_that_is_not_there(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"--data-dir: there is no folder .*absent"):
        load_dataset("iris", data_dir=tmp_path / "absent")
    monkeypatch.setenv("XPMLP_DATA_DIR", str(tmp_path / "gone"))
    with pytest.raises(InputError, match=r"XPMLP_DATA_DIR: there is no folder .*gone"):
        load_dataset("iris")


def test_download_goes_into_the_cache(tmp_path, pair, monkeypatch):
    """The mirror is played by two functions in the place of the transfer alone."""
    made = make_mnist(tmp_path / "made", pair)
    contents = {path.name: path.read_bytes() for path in made.iterdir()}
    files = [
        RemoteFile(name, len(data), hashlib.sha256(data).hexdigest())
        for name, data in contents.items()
    ]
    (tmp_path / "d").mkdir()

    def answer(url, **_options):
        response = requests.Response()
        response.status_code = 200
        name = url.rsplit("/", 1)[1].removesuffix(".gz")
        response.raw = io.BytesIO(gzip.compress(contents[name]))
        return response

    monkeypatch.setattr(requests, "head", answer)
    monkeypatch.setattr(requests, "get", answer)
    monkeypatch.setitem(download.FILES, "mnist", files)
    data = load_dataset("mnist", data_dir=tmp_path / "d")
    assert same(data, load_dataset("mnist", data_dir=tmp_path / "d"))
    assert list((tmp_path / "d").iterdir()) == []
    assert {p.name: p.read_bytes() for p in (cache(tmp_path) / "mnist").iterdir()} == contents
    assert same(data, load_dataset("auto"))


def test_auto_prefers_mnist(tmp_path, pair):
    make_mnist(tmp_path / "d" / "mnist", pair)
    data = load_dataset(data_dir=tmp_path / "d")
    assert data.name == "mnist"
    assert data.note == ""


def test_auto_without_mnist():
    data = load_dataset("auto")
    assert data.name == "digits"
    assert "MNIST" in data.note
    assert "digits" in data.note
    assert "\n" not in data.note
    assert same(data, load_dataset("digits"))


def test_auto_does_not_hide_a_damaged_file(tmp_path, pair):
    folder = make_mnist(tmp_path / "d" / "mnist", pair)
    (folder / "t10k-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01\0\0\0\x0a")
    with pytest.raises(InputError, match="truncated") as caught:
        load_dataset("auto", data_dir=tmp_path / "d")
    assert not isinstance(caught.value, DataUnavailableError)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "notmnist"])
def test_named_sets_are_never_replaced(name):
    with pytest.raises(DataUnavailableError, match=f"DIR/{name}/"):
        load_dataset(name)


def test_fashion_mnist(tmp_path, pair):
    make_mnist(tmp_path / "fashion-mnist", pair)
    data = load_dataset("fashion-mnist", data_dir=tmp_path)
    assert len(data.class_names) == 10
    assert (data.class_names[0], data.class_names[9]) == ("T-shirt/top", "Ankle boot")


def test_test_images_of_another_size(tmp_path, pair, idx):
    make_mnist(tmp_path / "mnist", pair)
    (tmp_path / "mnist" / "t10k-images-idx3-ubyte").write_bytes(idx(np.zeros((10, 3, 3))))
    with pytest.raises(InputError, match=r"3 x 3 pixels, but .* 4 x 3"):
        load_dataset("mnist", data_dir=tmp_path)


def test_notmnist_pairs_are_taken_as_they_are(tmp_path, pair, images):
    make_mnist(tmp_path / "notmnist-large", pair, train=60)
    data = load_dataset("notmnist", data_dir=tmp_path, scale="none")
    assert (len(data.train), len(data.validation), len(data.test)) == (54, 6, 10)
    np.testing.assert_array_equal(data.test.x, images(10, seed=2)[0].reshape(10, 12))
    assert data.class_names == tuple("ABCDEFGHIJ")


@pytest.mark.parametrize("inside", [True, False])
def test_notmnist_course_archive(tmp_path, images, inside):
    x, y = images(16_100)
    folder = tmp_path / "notmnist" if inside else tmp_path
    folder.mkdir(exist_ok=True)
    np.savez(folder / "notMNIST.npz", Images=x, Labels=y)
    data = load_dataset("notmnist", data_dir=tmp_path, scale="none")
    assert (len(data.train), len(data.validation), len(data.test)) == (10_000, 6_000, 100)
    parts = [data.train, data.validation, data.test]
    together = np.concatenate([np.c_[part.x, part.y] for part in parts])
    expected = np.c_[x.reshape(-1, 12), y]
    order, expected_order = np.lexsort(together.T), np.lexsort(expected.T)
    np.testing.assert_array_equal(together[order], expected[expected_order])
    assert not np.array_equal(together, expected)
    assert not same(data, load_dataset("notmnist", data_dir=tmp_path, scale="none", seed=1))


def test_notmnist_with_too_few_images(tmp_path, pair):
    pair(tmp_path / "notmnist", "t10k", 50)
    (tmp_path / "notmnist.tar.gz").write_text("passed over")
    with pytest.raises(InputError, match=r"more than 8,000 images, got 50"):
        load_dataset("notmnist", data_dir=tmp_path)


def test_a_file_by_path(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("a,b,kind\n" + "".join(f"{i * i},{i % 7},{'xy'[i % 2]}\n" for i in range(50)))
    data = load_dataset(str(path), validation=0.25, scale="standard", seed=3)
    assert data.name == str(path)
    assert (len(data.train), len(data.validation), len(data.test)) == (30, 10, 10)
    assert data.class_names == ("x", "y")
    assert data.feature_names == ("a", "b")
    assert data.train.x.dtype == np.float32
    assert data.scale == "standard"
    np.testing.assert_allclose(data.train.x.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(data.train.x.std(axis=0), 1, rtol=1e-5)
    assert abs(data.test.x.mean()) > 1e-3
    assert same(data, load_dataset(str(path), validation=0.25, scale="standard", seed=3))


def test_a_regression_file(tmp_path):
    path = tmp_path / "line.dat"
    path.write_text("".join(f"{i} {i / 2 + 0.25}\n" for i in range(40)))
    data = load_dataset(str(path))
    assert data.task == "regression"
    assert data.n_outputs == 1
    assert data.scale == "auto"
    assert data.train.y.dtype == np.float64
    mean, deviation = data.train.y.mean(axis=0), data.train.y.std(axis=0)
    np.testing.assert_allclose(data.target.shift, mean)
    np.testing.assert_allclose(data.target.width, deviation)
    np.testing.assert_allclose(data.train.x, (data.train.y - mean) / deviation, rtol=1e-5)
    raw = load_dataset(str(path), scale="none")
    assert raw.target is None
    np.testing.assert_array_equal(raw.train.y, raw.train.x / 2 + 0.25)


def test_contract_of_every_small_set():
    for name in ("digits", "iris", "moons", "xor", "spirals"):
        for dtype in ("float32", "float64"):
            data = load_dataset(name, dtype=dtype, validation=0)
            assert len(data.validation) == 0
            for part in (data.train, data.validation, data.test):
                assert part.x.dtype == dtype
                assert part.x.flags.c_contiguous
                assert part.x.shape == (len(part), data.n_features)
                assert part.y.dtype == np.int64
            assert set(data.train.y) == set(range(data.n_outputs))
            image = data.image_shape is not None
            assert len(data.feature_names) == (0 if image else data.n_features)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "mnits"}, "unknown data set 'mnits'.*'mnist'.*FILE.csv"),
        ({"name": "absent.csv"}, "absent.csv: there is no such file"),
        ({"name": "iris", "scale": "units"}, "unknown scale 'units'"),
        ({"name": "iris", "dtype": "float16"}, "unknown dtype 'float16'"),
        ({"name": "iris", "seed": -1}, "seed must be 0 or more, got -1"),
        ({"name": "iris", "validation": 110}, "nothing to train on"),
        ({"name": "iris", "validation": 1.5}, "fraction between 0 and 1"),
        ({"name": "own.csv", "label": 2}, "^label: expected a text, .*, got 2$"),
        ({"name": "own.csv", "label": ["a"]}, r"^label: expected a text, .*, got \['a'\]$"),
        ({"name": "own.csv", "drop": "age"}, "^drop: expected a list of names, got 'age'$"),
        ({"name": "own.csv", "features": [2]}, r"^features: expected a list of names, got \[2\]$"),
    ],
)
def test_bad_arguments(arguments, words):
    with pytest.raises(InputError, match=words):
        load_dataset(**arguments)


def test_real_mnist(real_data):
    data = load_dataset("mnist", data_dir=real_data, validation=0, scale="none")
    assert data.train.x.shape == (60_000, 784)
    assert data.test.x.shape == (10_000, 784)
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(data.train.y).tolist() == counts
    assert np.bincount(data.test.y).tolist() == [
        *(980, 1135, 1032, 1010, 982),
        *(892, 958, 1028, 974, 1009),
    ]
    header = b"\0\0\x08\x03" + b"".join(n.to_bytes(4) for n in (10_000, 28, 28))
    pixels = data.test.x.astype(np.uint8).tobytes()
    images = {file.name: file.sha256 for file in download.FILES["mnist"]}["t10k-images-idx3-ubyte"]
    assert hashlib.sha256(header + pixels).hexdigest() == images
    scaled = load_dataset("mnist", data_dir=real_data)
    assert (len(scaled.train), len(scaled.validation)) == (50_000, 10_000)
    np.testing.assert_array_equal(scaled.validation.y, data.train.y[50_000:])
    np.testing.assert_array_equal(scaled.train.x[:100], data.train.x[:100] / np.float32(255))


def test_real_notmnist(real_data):
    data = load_dataset("notmnist", data_dir=real_data, seed=5)
    assert (len(data.train), len(data.validation), len(data.test)) == (6000, 2000, 2000)
    every = np.r_[data.train.y, data.validation.y, data.test.y]
    assert np.bincount(every).tolist() == [1000] * 10
    assert data.train.x.min() == 0
    assert data.train.x.max() == 1
    assert len(load_dataset("notmnist", data_dir=real_data, validation=0).train) == 8000


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's /proc")
def test_real_mnist_is_small(real_data):
    code = (
        "from xpmlp.data import load_dataset; load_dataset('mnist');"
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )
    environment = {**os.environ, "XPMLP_DATA_DIR": str(real_data)}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert int(run.stdout) < 450 * 1024
