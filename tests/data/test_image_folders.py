"""Where the files of a set may lie, and what is said of those that can't be used."""

import numpy as np
import pytest

from xpmlp.data.registry import load_dataset
from xpmlp.errors import DataUnavailableError, InputError

pytestmark = pytest.mark.usefixtures("isolated")


def write_set(folder, pair, train=40, test=10, **options):
    pair(folder, "train", train, seed=1, **options)
    pair(folder, "t10k", test, seed=2, **options)
    return folder


def dotted(folder):
    """Rename files as some copies of MNIST have them: `train-images.idx3-ubyte`."""
    for path in list(folder.iterdir()):
        path.rename(path.with_name(path.name.replace("-idx", ".idx")))


@pytest.mark.parametrize("place", ["mnist", "MNIST/raw", "MNIST", "Mnist", "", "raw", "gzip"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("with_dots", [False, True])
def test_where_files_may_lie(tmp_path, pair, images, place, packed, with_dots):
    folder = write_set(tmp_path / "d" / place, pair, packed=packed)
    if with_dots:
        dotted(folder)
    data = load_dataset("mnist", data_dir=tmp_path / "d", validation=0, scale="none")
    np.testing.assert_array_equal(data.train.x, images(40, seed=1)[0].reshape(40, 12))
    assert len(data.test) == 10
    told = place.lower().startswith("mnist")
    assert data.note == (
        ""
        if told
        else f"the images in {folder} are taken for mnist; neither names nor files say so"
    )


@pytest.mark.parametrize("place", ["fashion-mnist", "FashionMNIST/raw", "fashion_mnist", "fashion"])
def test_folders_of_fashion_mnist(tmp_path, pair, place):
    write_set(tmp_path / place, pair)
    data = load_dataset("fashion-mnist", data_dir=tmp_path)
    assert (data.class_names[9], data.note) == ("Ankle boot", "")


@pytest.mark.parametrize("within", ["", "raw"])
@pytest.mark.parametrize(
    ("called", "name"), [("KMNIST", "kmnist"), ("FashionMNIST", "fashion-mnist")]
)
def test_the_data_folder_may_be_that_of_the_set(tmp_path, pair, called, name, within):
    write_set(tmp_path / called / within, pair)
    for folder in (tmp_path / called, tmp_path / called / within):
        assert load_dataset(name, data_dir=folder).note == ""
        with pytest.raises(DataUnavailableError, match="mnist is not on this machine"):
            load_dataset("mnist", data_dir=folder)


def test_files_beside_a_folder_of_another_set(tmp_path, pair):
    write_set(tmp_path / "kmnist", pair, train=30)
    write_set(tmp_path / "mnist", pair, train=40)
    write_set(tmp_path, pair, train=50)
    for name, rows in (("kmnist", 30), ("mnist", 40), ("fashion-mnist", 50)):
        assert len(load_dataset(name, data_dir=tmp_path, validation=0).train) == rows


def test_the_most_complete_folder_is_read(tmp_path, pair):
    pair(tmp_path / "mnist", "train", 30)
    write_set(tmp_path / "MNIST" / "raw", pair)
    data = load_dataset("mnist", data_dir=tmp_path, validation=0)
    assert (len(data.train), data.note) == (40, "")


def test_a_folder_with_the_name_of_a_file_is_passed_over(tmp_path, pair):
    """As a Kaggle archive unpacks: each file twice, once in a folder that has its name."""
    folder = write_set(tmp_path / "mnist", pair)
    dotted(folder)
    (folder / "train-images-idx3-ubyte").mkdir()
    assert len(load_dataset("mnist", data_dir=tmp_path, validation=0).train) == 40


@pytest.mark.parametrize("name", ["mnist", "kmnist"])
def test_without_test_files_a_fifth_is_held_out(tmp_path, pair, name):
    folder = tmp_path / name
    pair(folder, "train", 50)
    data = load_dataset(name, data_dir=tmp_path)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [36, 4, 10]
    assert data.note == (
        f"{folder} lacks t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte, so a fifth of the images "
        "is held out to test"
    )


@pytest.mark.parametrize(
    ("gone", "says"),
    [
        (["train-labels-idx1-ubyte"], "lacks train-labels-idx1-ubyte"),
        (
            ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"],
            "lacks train-images-idx3-ubyte, train-labels-idx1-ubyte",
        ),
    ],
)
def test_what_lies_there_and_lacks_something_is_named(tmp_path, pair, gone, says):
    folder = write_set(tmp_path / "kmnist", pair)
    for name in gone:
        (folder / name).unlink()
    with pytest.raises(DataUnavailableError) as caught:
        load_dataset("kmnist", data_dir=tmp_path)
    assert str(caught.value).startswith(f"{folder} {says}; kmnist is not on this machine")


def test_a_folder_of_other_files_is_named(tmp_path):
    folder = tmp_path / "kmnist"
    folder.mkdir()
    for name in ("imgs.npz", "labels.npz"):
        (folder / f"kmnist-train-{name}").touch()
    with pytest.raises(DataUnavailableError) as caught:
        load_dataset("kmnist", data_dir=tmp_path)
    assert str(caught.value).startswith(
        f"{folder} holds kmnist-train-imgs.npz, kmnist-train-labels.npz; kmnist is not on"
    )


def test_counts_that_do_not_fit(tmp_path, pair, idx):
    folder = write_set(tmp_path / "mnist", pair)
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(39)))
    with pytest.raises(InputError, match="holds 40 images but .* holds 39 labels; they must be of"):
        load_dataset("mnist", data_dir=tmp_path)


@pytest.mark.parametrize("within", ["", "raw", "gzip"])
def test_a_folder_by_its_path(tmp_path, pair, images, within):
    folder = tmp_path / "KMNIST"
    write_set(folder / within, pair)
    for path in {folder, folder / within}:
        data = load_dataset(str(path), scale="none", validation=0)
        np.testing.assert_array_equal(data.train.x, images(40, seed=1)[0].reshape(40, 12))
        assert (data.name, data.class_names[9]) == (str(path), "wo")
        assert data.note == f"{path} is taken for kmnist because of its name"


def test_a_folder_of_ones_own(tmp_path, idx):
    folder = tmp_path / "mine.v2"
    folder.mkdir()
    for part, labels in (("train", [7, 40, 7, 200, 40]), ("t10k", [200, 9])):
        (folder / f"{part}-images-idx3-ubyte").write_bytes(idx(np.ones((len(labels), 2, 2))))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels))
    data = load_dataset(str(folder), validation=0)
    assert data.class_names == ("7", "9", "40", "200")
    assert data.train.y.tolist() == [0, 2, 0, 3, 2]
    assert data.test.y.tolist() == [3, 1]
    assert data.note == ""
    for part in ("train", "t10k"):
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx([3] * (5 if part == "train" else 2)))
    with pytest.raises(InputError, match="every label is 3; classification needs at least two"):
        load_dataset(str(folder))


def test_a_folder_of_notmnist_by_its_path(tmp_path, pair):
    write_set(tmp_path / "notMNIST_small", pair)
    data = load_dataset(f"{tmp_path}/notMNIST_small")
    assert data.class_names == tuple("ABCDEFGHIJ")
    named = load_dataset("notmnist", data_dir=tmp_path / "notMNIST_small")
    np.testing.assert_array_equal(named.test.x, data.test.x)


def test_a_folder_of_several_sets(tmp_path, pair):
    for part in ("emnist-digits-train", "emnist-digits-test", "emnist-mnist-train"):
        pair(tmp_path, part, 30)
    with pytest.raises(InputError) as caught:
        load_dataset(str(tmp_path))
    assert str(caught.value) == (
        f"{tmp_path} holds several sets; choose one by --data-dir {tmp_path} --dataset NAME: "
        "emnist-digits, emnist-mnist"
    )


def test_folders_without_a_set(tmp_path, pair):
    empty = tmp_path / "empty"
    empty.mkdir()
    four = "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels"
    with pytest.raises(InputError) as caught:
        load_dataset(str(empty))
    assert str(caught.value).startswith(f"{empty} holds nothing; to train on a folder, put a set")
    assert four in str(caught.value)
    pair(empty, "t10k", 10)
    with pytest.raises(InputError, match="lacks train-images-idx3-ubyte, train-labels-idx1-ubyte;"):
        load_dataset(str(empty))
