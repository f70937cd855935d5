"""EMNIST, QMNIST, KMNIST and sets of one's own: what their files mean."""

import gzip

import numpy as np
import pytest

from xpmlp.data.blocks import Columns
from xpmlp.data.image_sets import IMAGE_SETS
from xpmlp.data.registry import load_dataset
from xpmlp.data.streaming import stream_rows
from xpmlp.errors import DataUnavailableError, InputError

pytestmark = pytest.mark.usefixtures("isolated")

UPRIGHT = np.array([[1, 1, 0], [1, 0, 0], [1, 0, 0], [1, 1, 1]], np.uint8) * 200


def by_columns(images):
    """The IDX encoding of images (N, H, W) as EMNIST has it, a column of pixels after another."""
    n, height, width = images.shape
    sizes = b"".join(size.to_bytes(4, "big") for size in (n, width, height))
    columns = (bytes(image[:, j].tolist()) for image in images for j in range(width))
    return b"\0\0\x08\x03" + sizes + b"".join(columns)


def write_emnist(folder, idx, split, labels, test_labels, *, end="", dot="-"):
    """Write a split of EMNIST: image i of a part is `UPRIGHT` with its first pixel i."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, values in (("train", labels), ("test", test_labels)):
        images = np.stack([UPRIGHT] * len(values))
        images[:, 0, 0] = np.arange(len(values))
        for name, content in (
            ("images-idx3-ubyte", by_columns(images)),
            ("labels-idx1-ubyte", idx(values)),
        ):
            file = f"emnist-{split}-{part}-{name.replace('-idx', f'{dot}idx')}{end}"
            (folder / file).write_bytes(gzip.compress(content) if end else content)
    return folder


@pytest.mark.parametrize(
    "place", ["emnist-letters", "emnist", "EMNIST/raw", "EMNIST", "gzip", "", "EMNIST/raw/gzip"]
)
@pytest.mark.parametrize(("end", "dot"), [("", "-"), (".gz", "-"), ("", ".")])
def test_letters(tmp_path, idx, place, end, dot):
    labels = np.arange(52) % 26 + 1
    write_emnist(tmp_path / place, idx, "letters", labels, [26, 1], end=end, dot=dot)
    data = load_dataset("emnist-letters", data_dir=tmp_path, scale="none", validation=0)
    assert data.class_names == tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert data.train.y.tolist() == [*range(26), *range(26)]
    assert data.test.y.tolist() == [25, 0]
    assert data.image_shape == (4, 3)
    for i, image in enumerate(data.train.x.reshape(-1, 4, 3)):
        expected = UPRIGHT.copy()
        expected[0, 0] = i
        np.testing.assert_array_equal(image, expected)
    assert (data.name, data.note) == ("emnist-letters", "")


@pytest.mark.parametrize(
    ("split", "classes", "some"),
    [
        ("byclass", 62, {0: "0", 10: "A", 35: "Z", 36: "a", 61: "z"}),
        ("bymerge", 47, {9: "9", 10: "A", 35: "Z", 36: "a", 38: "d", 46: "t"}),
        ("balanced", 47, {9: "9", 10: "A", 35: "Z", 37: "b", 43: "n", 46: "t"}),
        ("digits", 10, {0: "0", 9: "9"}),
        ("mnist", 10, {0: "0", 9: "9"}),
    ],
)
def test_classes_of_emnist(tmp_path, idx, split, classes, some):
    write_emnist(tmp_path, idx, split, np.arange(3 * classes) % classes, [0, classes - 1])
    data = load_dataset(f"emnist-{split}", data_dir=tmp_path)
    assert len(data.class_names) == len({*data.class_names}) == classes
    assert {i: data.class_names[i] for i in some} == some
    assert data.test.y.tolist() == [0, classes - 1]
    write_emnist(tmp_path, idx, split, [0, classes], [0])
    with pytest.raises(InputError, match=f"label {classes} of row 1 is outside 0..{classes - 1}"):
        load_dataset(f"emnist-{split}", data_dir=tmp_path)


def test_the_last_rows_of_balanced_validate(tmp_path, idx):
    """As many as there are to test, as the makers propose."""
    write_emnist(tmp_path, idx, "balanced", np.arange(40), np.arange(7))
    data = load_dataset("emnist-balanced", data_dir=tmp_path)
    assert data.train.y.tolist() == [*range(33)]
    assert data.validation.y.tolist() == [*range(33, 40)]


def test_a_model_of_emnist_predicts_on_its_file(tmp_path, idx):
    """What is streamed from the file is what is trained on."""
    write_emnist(tmp_path, idx, "digits", np.arange(20) % 10, np.arange(10))
    data = load_dataset("emnist-digits", data_dir=tmp_path, scale="none")
    file = tmp_path / "emnist-digits-test-images-idx3-ubyte"
    blocks = stream_rows(file, Columns(12, image_shape=data.image_shape), 4, lambda note: None)
    np.testing.assert_array_equal(np.concatenate([block.x for block in blocks]), data.test.x)


def test_a_tenth_of_byclass_validates(tmp_path, idx):
    write_emnist(tmp_path, idx, "byclass", np.arange(60), np.arange(7))
    assert len(load_dataset("emnist-byclass", data_dir=tmp_path).validation) == 6


def test_a_mapping_beside_the_files(tmp_path, idx):
    write_emnist(tmp_path, idx, "letters", [2, 3, 2], [3])
    mapping = tmp_path / "emnist-letters-mapping.txt"
    mapping.write_text("2 66 98\n3 67 99\n\n")
    data = load_dataset("emnist-letters", data_dir=tmp_path, validation=0)
    assert data.class_names == ("B", "C")
    assert data.train.y.tolist() == [0, 1, 0]
    for text, message in (
        (
            "2 66\nx\n",
            "line 2: expected a label and the code of a character, as in '10 65', got 'x'",
        ),
        ("2 66\n3 -1\n", "line 2: expected a label and the code"),
        ("2 66\n3 55296\n", "line 2: expected a label and the code"),
        ("2 66\n4 67\n", "expected labels that follow one another, a line each"),
        ("", "expected labels that follow one another"),
    ):
        mapping.write_text(text)
        with pytest.raises(InputError) as caught:
            load_dataset("emnist-letters", data_dir=tmp_path)
        assert str(caught.value).startswith(str(mapping))
        assert message in str(caught.value)


def label_table(classes):
    """The IDX encoding of QMNIST's table of labels: the class, then seven other numbers."""
    rows = [[c, 4, 2100 + i, i, 30 + c, 70_000 + i, 0, 0] for i, c in enumerate(classes)]
    sizes = b"".join(n.to_bytes(4, "big") for n in (len(rows), 8))
    return b"\0\0\x0c\x02" + sizes + b"".join(n.to_bytes(4, "big") for row in rows for n in row)


@pytest.mark.parametrize("place", ["qmnist", "QMNIST/raw", ""])
@pytest.mark.parametrize("packed", [False, True])
def test_qmnist(tmp_path, idx, images, place, packed):
    folder = tmp_path / place
    folder.mkdir(parents=True, exist_ok=True)
    expected = {}
    for part, seed in (("train", 1), ("test", 2)):
        pixels, labels = images(30, seed)
        expected[part] = pixels.reshape(30, 12), labels[::-1]
        for name, content in (
            ("images-idx3-ubyte", idx(pixels)),
            ("labels-idx2-int", label_table(map(int, labels[::-1]))),
        ):
            content, end = (gzip.compress(content), ".gz") if packed else (content, "")
            (folder / f"qmnist-{part}-{name}{end}").write_bytes(content)
    data = load_dataset("qmnist", data_dir=tmp_path, validation=0, scale="none")
    for rows, part in ((data.train, "train"), (data.test, "test")):
        np.testing.assert_array_equal(rows.x, expected[part][0])
        np.testing.assert_array_equal(rows.y, expected[part][1])
    assert data.class_names == tuple("0123456789")


def test_qmnist_with_plain_test_labels(tmp_path, idx, images):
    """The makers also offer the test labels as bytes."""
    pixels, labels = images(20)
    for part in ("train", "test"):
        (tmp_path / f"qmnist-{part}-images-idx3-ubyte").write_bytes(idx(pixels))
    (tmp_path / "qmnist-train-labels-idx2-int").write_bytes(label_table(map(int, labels)))
    (tmp_path / "qmnist-test-labels-idx1-ubyte").write_bytes(idx(labels))
    data = load_dataset("qmnist", data_dir=tmp_path)
    assert data.test.y.tolist() == labels.tolist()


def test_kmnist(tmp_path, pair):
    for part in ("train", "t10k"):
        pair(tmp_path / "KMNIST" / "raw", part, 30)
    data = load_dataset("kmnist", data_dir=tmp_path)
    assert data.class_names == ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
    assert data.note == ""


@pytest.mark.parametrize("name", [name for name in IMAGE_SETS if "fashion" not in name][1:])
def test_what_is_not_downloaded_says_which_files_to_put_where(name):
    with pytest.raises(DataUnavailableError) as caught:
        load_dataset(name)
    text = str(caught.value)
    assert f"{name} is not on this machine and isn't downloaded" in text
    start = {"kmnist": "", "qmnist": "qmnist-"}.get(name, f"{name}-")
    assert f"put {start}train-images-idx3-ubyte, {start}train-labels-idx" in text
    assert f"into a folder DIR/{name}/ and pass --data-dir DIR" in text
