import gzip
import io
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xpmlp.data.idx import read_idx, read_image_pair
from xpmlp.errors import InputError


def header(*sizes, kind=8, dimensions=None):
    count = len(sizes) if dimensions is None else dimensions
    return bytes([0, 0, kind, count]) + b"".join(s.to_bytes(4, "big") for s in sizes)


def write(path, data):
    path.write_bytes(data)
    return path


def refused(path, *words, **options):
    """Read a file that must be refused, and check that the one-line message says why."""
    with pytest.raises(InputError) as caught:
        read_idx(path, **options)
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    for word in words:
        assert word in text
    return text


def test_reads_bytes_written_by_hand(tmp_path):
    data = bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 253, 254, 255])
    values = read_idx(write(tmp_path / "a", data))
    assert values.dtype == np.uint8
    np.testing.assert_array_equal(values, [[1, 2, 3], [253, 254, 255]])


@settings(deadline=None, max_examples=60)
@given(
    values=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=4, max_side=7)),
    packed=st.booleans(),
)
def test_round_trip(tmp_path_factory, idx, values, packed):
    data = gzip.compress(idx(values)) if packed else idx(values)
    read = read_idx(write(tmp_path_factory.mktemp("idx") / "values", data))
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, values)


def int32_bytes(rows):
    """The IDX encoding of a table of int32, written independently of the reader."""
    numbers = b"".join(n.to_bytes(4, "big", signed=True) for row in rows for n in row)
    return header(len(rows), len(rows[0]), kind=12) + numbers


def test_int32_is_read_highest_byte_first(tmp_path):
    rows = [[1, -2, 300], [70_000, -70_000, 2**31 - 1]]
    values = read_idx(write(tmp_path / "a", int32_bytes(rows)))
    assert values.tolist() == rows
    message = refused(write(tmp_path / "b", int32_bytes(rows)[:-1]), "truncated", "only 23")
    assert "2 x 3 x 4 = 24 bytes" in message
    refused(tmp_path / "a", "24 bytes", "23 allowed", max_bytes=23)


def test_gzip_is_known_by_its_bytes_not_its_name(tmp_path, idx):
    data = idx([1, 2, 3])
    assert read_idx(write(tmp_path / "plain.gz", data)).tolist() == [1, 2, 3]
    assert read_idx(write(tmp_path / "packed", gzip.compress(data))).tolist() == [1, 2, 3]


@settings(deadline=None, max_examples=60)
@given(cut=st.integers(0, 27), packed=st.booleans())
def test_every_truncation_is_refused(tmp_path_factory, idx, cut, packed):
    whole = idx(np.arange(12).reshape(1, 4, 3))
    assert len(whole) == 28
    data = gzip.compress(whole[:cut]) if packed else whole[:cut]
    refused(write(tmp_path_factory.mktemp("idx") / "short", data))


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_every_truncated_gzip_is_refused(tmp_path_factory, idx, data):
    whole = gzip.compress(idx(np.arange(200)))
    cut = data.draw(st.integers(0, len(whole) - 1))
    refused(write(tmp_path_factory.mktemp("idx") / "short.gz", whole[:cut]))


@pytest.mark.parametrize("packed", [False, True])
def test_oversized(tmp_path, idx, packed):
    data = idx([1, 2, 3]) + b"\0"
    path = write(tmp_path / "long", gzip.compress(data) if packed else data)
    refused(path, "oversized", "3 bytes")


def test_damaged_gzip(tmp_path, idx):
    data = bytearray(gzip.compress(idx(np.arange(250))))
    data[-6] ^= 0xFF  # inside the checksum of the contents
    refused(write(tmp_path / "a.gz", bytes(data)), "damaged gzip")
    refused(write(tmp_path / "b.gz", b"\x1f\x8b\x08\0" + bytes(6) + b"\xff" * 50), "damaged gzip")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", ("not an IDX file", "empty")),
        (b"<html>", ("not an IDX file",)),
        (header(3, kind=13) + bytes(12), ("0x08", "0x0c", "0x0d")),
        (header(3, dimensions=0), ("dimensions", "got 0")),
        (header(3, dimensions=255) + bytes(2000), ("dimensions", "got 255")),
        (header(2, 2)[:-1], ("truncated", "header")),
        (header(0, 28, 28), ("no data", "0 x 28 x 28")),
        (header(3) + bytes(2), ("truncated", "3 bytes", "only 2")),
        (header(2**32 - 1, 2**32 - 1, 2**32 - 1), ("promises", "allowed")),
    ],
)
def test_bad_headers(tmp_path, data, words):
    refused(write(tmp_path / "bad", data), *words)


def test_a_lying_header_allocates_nothing(tmp_path):
    path = write(tmp_path / "liar", header(1000, 1000, 1000) + bytes(100))
    tracemalloc.start()
    try:
        refused(path, "truncated", "only 100")
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_a_gzip_bomb_is_not_unpacked(tmp_path):
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1) as file:
        file.write(header(1000))
        for _ in range(200):
            file.write(bytes(1 << 20))
    path = write(tmp_path / "bomb", packed.getvalue())
    tracemalloc.start()
    try:
        refused(path, "oversized")
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_max_bytes(tmp_path, idx):
    path = write(tmp_path / "a", idx(np.zeros((5, 2))))
    assert read_idx(path, max_bytes=10).shape == (5, 2)
    refused(path, "10 bytes", "9 allowed", max_bytes=9)


def test_absent_file_and_folder(tmp_path):
    refused(tmp_path / "absent", "No such file")
    refused(tmp_path, "directory")


def pair_of(tmp_path, idx, images, labels):
    return write(tmp_path / "images", idx(images)), write(tmp_path / "labels", idx(labels))


def test_labels_may_begin_at_one(tmp_path, idx):
    files = pair_of(tmp_path, idx, np.zeros((3, 2, 2)), [1, 26, 2])
    assert read_image_pair(*files, 26, first_label=1)[1].tolist() == [0, 25, 1]
    with pytest.raises(InputError, match=r"label 1 of row 0 is outside 2\.\.26"):
        read_image_pair(*files, 25, first_label=2)


def test_the_first_column_of_a_table_is_the_label(tmp_path, idx):
    images, _ = pair_of(tmp_path, idx, np.zeros((2, 2, 2)), [0, 0])
    table = write(tmp_path / "table", int32_bytes([[7, 4, 2100], [0, 1, 61]]))
    assert read_image_pair(images, table, 10)[1].tolist() == [7, 0]
    with pytest.raises(InputError, match="label 7 of row 0 is outside 0..6"):
        read_image_pair(images, table, 7)
    with pytest.raises(InputError, match="unsigned bytes, got 2 x 8 of int32"):
        read_image_pair(write(tmp_path / "i", int32_bytes([[0] * 8] * 2)), table, 10)


def test_image_pair(tmp_path, idx):
    files = pair_of(tmp_path, idx, np.arange(24).reshape(2, 4, 3), [9, 0])
    images, labels = read_image_pair(*files, 10)
    assert images.shape == (2, 4, 3)
    assert images.dtype == np.uint8
    assert labels.dtype == np.int64
    assert labels.tolist() == [9, 0]


@pytest.mark.parametrize(
    ("images", "labels", "file", "word"),
    [
        (np.zeros((2, 4)), [0, 1], "images", "3-dimensional"),
        (np.zeros((2, 4, 3)), [[0], [1]], "labels", "1-dimensional"),
        (np.zeros((2, 4, 3)), [0, 1, 2], "labels", "3 labels"),
        (np.zeros((2, 4, 3)), [0, 10], "labels", "label 10 of row 1 is outside 0..9"),
    ],
)
def test_image_pair_refuses(tmp_path, idx, images, labels, file, word):
    with pytest.raises(InputError, match=str(tmp_path / file)) as caught:
        read_image_pair(*pair_of(tmp_path, idx, images, labels), 10)
    assert word in str(caught.value)
