"""Rows of files in blocks: what is read, in what order, and what is refused."""

import gzip
import io
import subprocess
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest

from xpmlp.data.blocks import Columns
from xpmlp.data.streaming import stream_rows
from xpmlp.errors import InputError

AB = Columns(2, ("a", "b"))
NAMELESS = Columns(2, ("x1", "x2"))
IMAGES = Columns(12, image_shape=(4, 3))


def read(path, columns, batch_rows=1024):
    """Return all rows, the sizes of the blocks, and the notes."""
    notes = []
    blocks = list(stream_rows(path, columns, batch_rows, notes.append))
    return np.concatenate([block.x for block in blocks]), [len(b.x) for b in blocks], notes


def refusal(path, columns, batch_rows=1024):
    """Return the one line with which a file is refused, without its folder."""
    with pytest.raises(InputError) as caught:
        read(path, columns, batch_rows)
    text = str(caught.value)
    assert "\n" not in text
    return text.replace(f"{path.parent}/", "")


DTYPES = ["uint8", "int64", "float16", "float32", ">f8", "bool"]


def save(path, array):
    """Write an array as the ending asks for."""
    writers = {".npy": np.save, ".npz": np.savez}
    if path.suffix == ".zip":
        np.savez_compressed(path.with_suffix(""), x=array)
        return path.with_suffix(".npz")
    writers[path.suffix](path, array)
    return path


@pytest.mark.parametrize("name", ["rows.npy", "rows.npz", "rows.zip"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays(tmp_path, name, dtype, order):
    array = np.asarray(np.arange(14).reshape(7, 2) % 5, dtype=dtype, order=order)
    rows, sizes, notes = read(save(tmp_path / name, array), NAMELESS, 3)
    np.testing.assert_array_equal(rows, array)
    assert sizes == [3, 3, 1]
    assert notes == []


@pytest.mark.parametrize("name", ["rows.npy", "rows.npz"])
@pytest.mark.parametrize("columns", [IMAGES, Columns(12)])
def test_arrays_of_images(tmp_path, images, name, columns):
    pixels = images(5)[0]
    rows, _, _ = read(save(tmp_path / name, pixels), columns, 2)
    np.testing.assert_array_equal(rows, pixels.reshape(5, 12))
    assert rows.dtype == np.uint8


@pytest.mark.parametrize(
    ("arrays", "first"),
    [
        ({"x": [[1.0, 2.0]], "other": [[3.0, 4.0]], "y": [0]}, 1),
        ({"Images": [[5.0, 6.0]], "other": [[3.0, 4.0]]}, 5),
        ({"rows": [[7.0, 8.0]], "labels": [0], "n": 3}, 7),
    ],
)
def test_the_array_of_an_archive(tmp_path, arrays, first):
    np.savez(tmp_path / "rows.npz", **arrays)
    assert read(tmp_path / "rows.npz", AB)[0].tolist() == [[first, first + 1]]


@pytest.mark.parametrize("name", ["rows.npy", "rows.npz"])
def test_channels(tmp_path, images, name):
    pixels = images(5)[0]
    for shape, columns in (((4, 3, 1), IMAGES), ((1, 4, 3), IMAGES), ((2, 2, 3), Columns(12))):
        rows, _, _ = read(save(tmp_path / name, pixels.reshape(5, *shape)), columns)
        np.testing.assert_array_equal(rows, pixels.reshape(5, 12))
    assert refusal(save(tmp_path / name, pixels.reshape(5, 2, 2, 3)), IMAGES) == (
        f"{name} has images of 2 x 2 x 3 pixels, the model takes those of 4 x 3"
    )


@pytest.mark.parametrize(
    ("arrays", "taken"),
    [
        ({"x_train": [[1.0, 2.0]], "y_train": [0], "x_test": [[3.0, 4.0]], "y_test": [1]}, 3),
        (
            {"train_images": [[1.0, 2.0]], "test_images": [[5.0, 6.0]], "val_images": [[0.0, 0.0]]},
            5,
        ),
        ({"x_train": [[7.0, 8.0]], "y_train": [[0]]}, 7),
    ],
)
def test_of_an_archive_in_parts_the_test_rows_are_taken(tmp_path, arrays, taken):
    np.savez(tmp_path / "rows.npz", **arrays)
    rows, _, (note,) = read(tmp_path / "rows.npz", AB)
    assert rows.tolist() == [[taken, taken + 1]]
    name = next(name for name, values in arrays.items() if np.array_equal(values, rows))
    assert note == f"{tmp_path / 'rows.npz'}: the rows of {name} are taken"


def test_images_of_emnist_are_turned_upright(tmp_path):
    """Three images of 4 x 3, whose pixels lie in the file column by column."""
    upright = np.arange(36).reshape(3, 4, 3)
    sizes = b"".join(n.to_bytes(4, "big") for n in (3, 3, 4))
    pixels = bytes(int(image[i, j]) for image in upright for j in range(3) for i in range(4))
    path = tmp_path / "emnist-letters-test-images-idx3-ubyte"
    path.write_bytes(b"\0\0\x08\x03" + sizes + pixels)
    rows, sizes, (note,) = read(path, IMAGES, 2)
    assert rows.tolist() == upright.reshape(3, 12).tolist()
    assert sizes == [2, 1]
    assert note.endswith("images column by column; they are turned upright")


def test_an_idx_file_of_int32_holds_no_images(tmp_path):
    path = tmp_path / "labels-idx2-int"
    path.write_bytes(b"\0\0\x0c\x02" + bytes([0, 0, 0, 1, 0, 0, 0, 2]) + bytes(8))
    assert refusal(path, AB) == f"{path.name}: expected unsigned bytes, got int32"


@pytest.mark.parametrize("name", ["rows.npy", "rows.npz"])
@pytest.mark.parametrize(
    ("array", "columns", "message"),
    [
        (np.ones((2, 3)), AB, " has 3 columns, the model takes 2"),
        (np.ones((2, 3)), IMAGES, " has 3 columns, the model takes 12 (images of 4 x 3 pixels)"),
        (np.ones((2, 3, 4)), IMAGES, " has images of 3 x 4 pixels, the model takes those of 4 x 3"),
        (np.ones((2, 3, 4)), AB, " has images of 3 x 4 pixels, the model takes 2 columns"),
        (np.array([["a", "b"]]), AB, ": expected numbers, got an array of <U1"),
        (np.ones((2, 2), complex), AB, ": expected numbers, got an array of complex128"),
        (np.array([[1, np.nan], [1, 2]]), AB, ", row 0: NaN or infinity can't be predicted on"),
        (np.array([[1, 2], [np.inf, 2]]), AB, ", row 1: NaN or infinity can't be predicted on"),
        (np.ones((0, 2)), AB, ": holds no rows"),
    ],
)
def test_arrays_that_are_refused(tmp_path, name, array, columns, message):
    assert refusal(save(tmp_path / name, array), columns, 1) == name + message


def test_shapes_and_archives_that_are_refused(tmp_path):
    assert "expected rows (N, D) or images (N, H, W), got an array of shape (3,)" in refusal(
        save(tmp_path / "rows.npy", np.ones(3)), AB
    )
    np.savez(tmp_path / "two.npz", p=np.ones((1, 2)), q=np.ones((2, 2)))
    assert refusal(tmp_path / "two.npz", AB) == (
        "two.npz: expected an array x or images, or a single one of 2 dimensions or more; "
        "found p (1, 2), q (2, 2)"
    )
    objects = np.array([[1, None]], dtype=object)
    np.save(tmp_path / "objects.npy", objects, allow_pickle=True)
    assert "objects.npy: not a whole .npy file of numbers" in refusal(tmp_path / "objects.npy", AB)
    with zipfile.ZipFile(tmp_path / "empty.npz", "w"):
        pass
    assert refusal(tmp_path / "empty.npz", AB).endswith("found nothing")


@pytest.mark.parametrize("name", ["rows.npy", "rows.npz", "rows.zip"])
def test_every_truncated_array_is_refused(tmp_path, name):
    path = save(tmp_path / name, np.arange(40.0).reshape(20, 2))
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        assert refusal(path, AB, 3).startswith(f"{path.name}: not a whole")


def test_a_damaged_archive_is_refused_at_its_end(tmp_path):
    path = save(tmp_path / "rows.npz", np.arange(40.0).reshape(20, 2))
    content = bytearray(path.read_bytes())
    content[content.index(np.float64(39).tobytes())] ^= 1
    path.write_bytes(content)
    assert "Bad CRC-32" in refusal(path, AB, 3)


@pytest.mark.parametrize("packed", [False, True])
def test_images(tmp_path, idx, images, packed):
    pixels = images(7)[0]
    path = tmp_path / "t10k-images-idx3-ubyte"
    path.write_bytes(gzip.compress(idx(pixels)) if packed else idx(pixels))
    rows, sizes, _ = read(path, IMAGES, 3)
    np.testing.assert_array_equal(rows, pixels.reshape(7, 12))
    assert sizes == [3, 3, 1]


def test_images_that_are_refused(tmp_path, idx, images):
    path, content = tmp_path / "images.idx3-ubyte", idx(images(7)[0])
    path.write_bytes(content)
    assert refusal(path, Columns(64, image_shape=(8, 8))) == (
        "images.idx3-ubyte has images of 4 x 3 pixels, the model takes those of 8 x 8"
    )
    assert refusal(path, AB).endswith("has images of 4 x 3 pixels, the model takes 2 columns")
    path.write_bytes(content[:-1])
    assert refusal(path, IMAGES, 3).endswith("promises 7 rows, but only 6 whole ones follow it")
    path.write_bytes(content + b"\0")
    assert refusal(path, IMAGES, 3).endswith("oversized: data go on after the 7 rows")
    path.write_bytes(gzip.compress(content)[:-9])
    assert refusal(path, IMAGES, 3).endswith("truncated: its gzip data end too early")
    path.write_bytes(idx(np.arange(5)))
    assert "expected rows (N, D) or images (N, H, W), got an array of shape (5,)" in refusal(
        path, IMAGES
    )


def test_files_that_are_refused(tmp_path):
    assert refusal(tmp_path / "rows.csv", AB) == "rows.csv: there is no such file"
    (tmp_path / "folder.csv").mkdir()
    assert refusal(tmp_path / "folder.csv", AB).startswith("folder.csv: this is a folder")
    (tmp_path / "rows.xlsx").write_text("1,2\n")
    assert "expected a file that ends in .csv, .tsv, .txt, .dat, .data, .parquet" in refusal(
        tmp_path / "rows.xlsx", AB
    )
    (tmp_path / "rows.csv").write_text("1,2\n")
    assert refusal(tmp_path / "rows.csv", AB, 0) == "a batch must have 1 row or more, got 0"


def test_what_comes_before_a_bad_row_is_read(tmp_path):
    np.save(tmp_path / "rows.npy", [[1, 2], [3, 4], [5, 6], [np.inf, 7]])
    blocks = stream_rows(tmp_path / "rows.npy", AB, 2, print)
    assert next(blocks).x.tolist() == [[1, 2], [3, 4]]
    with pytest.raises(InputError, match="row 3"):
        next(blocks)


WIDE = Columns(100)
MANY = 25_000


def write_large(path):
    """Write 2,500,000 numbers, 20 MB as float64."""
    match path.suffix:
        case ".gz":
            header = bytes([0, 0, 8, 2]) + MANY.to_bytes(4) + (100).to_bytes(4)
            path.write_bytes(gzip.compress(header + bytes(MANY * 100), 1))
        case ".npz":
            np.savez_compressed(path, x=np.ones((MANY, 100)))
        case ".npy":
            np.save(path, np.ones((MANY, 100)))


@pytest.mark.parametrize("name", ["rows-idx2-ubyte.gz", "rows.npz", "rows.npy"])
def test_memory_does_not_grow_with_the_file(tmp_path, name):
    write_large(tmp_path / name)
    tracemalloc.start()
    rows = sum(len(block.x) for block in stream_rows(tmp_path / name, WIDE, 100, print))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows == MANY
    assert peak < 2_000_000


PROGRAM = """
import resource, sys
from xpmlp.data.blocks import Columns
from xpmlp.data.streaming import stream_rows
columns = Columns(1000)
next(stream_rows(sys.argv[2], columns, 10, print))
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + 50_000_000
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
print(sum(len(block.x) for block in stream_rows(sys.argv[1], columns, 1000, print)))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("kind", ["idx", "npz"])
def test_200_mb_are_read_with_room_for_50(tmp_path, kind):
    """Zeros: as a file with holes, and packed."""
    rows = 200_000 if kind == "idx" else 25_000
    small, large = tmp_path / "small.npy", tmp_path / f"large.{kind}"
    np.save(small, np.zeros((10, 1000)))
    if kind == "idx":
        with large.open("wb") as file:
            file.write(bytes([0, 0, 8, 2]) + rows.to_bytes(4) + (1000).to_bytes(4))
            file.truncate(12 + rows * 1000)
    else:
        header = io.BytesIO()
        about = {"descr": "<f8", "fortran_order": False, "shape": (rows, 1000)}
        np.lib.format.write_array_header_1_0(header, about)
        options = {"compression": zipfile.ZIP_DEFLATED, "compresslevel": 1}
        with (
            zipfile.ZipFile(large, "w", **options) as archive,
            archive.open("x.npy", "w", force_zip64=True) as member,
        ):
            member.write(header.getvalue())
            for _ in range(rows // 1000):
                member.write(bytes(8_000_000))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, large, small], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, f"{rows}\n"), done.stderr
