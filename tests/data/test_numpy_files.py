"""Arrays in NumPy's format whose headers say what can't be, or what nobody can learn from."""

import struct

import numpy as np
import pytest

from xpmlp.data.archives import read_archive
from xpmlp.data.numpy_files import map_array, open_archive
from xpmlp.errors import InputError


def npy(path, header, content=b"", version=b"\1\0"):
    text = header.encode() + b"\n"
    path.write_bytes(b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text + content)
    return path


def described(shape, descr="'<f8'", order="False"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (described("(-1, 2)"), r"shape \(-1, 2\) in its header"),
        (described("(2, 2)"), "promises 2 x 2 of float64 = 32 bytes, but 16 follow"),
        (described("(1,)"), "promises 1 of float64 = 8 bytes, but 16 follow"),
        (described(f"({2**62}, {2**62})"), "promises 4611686018427387904 x"),
        (described(f"(0, {2**70})"), "float64 = 0 bytes, but 16 follow"),
        (described("(2,)", "'|O'"), "values of type object"),
        (described("(2,)", "[('a', '|O')]"), "values of type"),
        (described("(2,)", "'<U0'"), "values of type <U0"),
        (described("(1.5,)"), "no header"),
        (described("(2,)", "'<f8'", "2"), "no header"),
        (described("(2,)", "'<q99'"), "no header"),
        ("(" * 5000, "no header"),
        ("{'descr':", "no header"),
        ("'''", "no header"),
        ("1" * 5000, "no header"),
        ("[]", "no header"),
        (" " * 20_000 + "{}", "no header"),
    ],
)
def test_headers_that_are_refused(tmp_path, header, reason):
    path = npy(tmp_path / "a.npy", header, bytes(16))
    with pytest.raises(InputError, match=rf"not a whole \.npy file .*{reason}"):
        map_array(path)


@pytest.mark.parametrize("dtype", [">f4", "<i2", "bool", "f2", np.longdouble])
@pytest.mark.parametrize("order", "CF")
def test_arrays_of_any_layout(tmp_path, dtype, order):
    array = np.array(np.arange(6).reshape(2, 3), dtype=dtype, order=order)
    np.save(tmp_path / "a.npy", array)
    np.savez_compressed(tmp_path / "a.npz", one=array, two=array[:0], three=array[0, 0])
    np.testing.assert_array_equal(map_array(tmp_path / "a.npy"), array)
    with open_archive(tmp_path / "a.npz") as archive:
        for name, expected in {"one": array, "two": array[:0], "three": array[0, 0]}.items():
            found = archive.read(name)
            np.testing.assert_array_equal(found, expected)
            assert (found.dtype, found.shape) == (expected.dtype, expected.shape)


def test_no_values_need_no_map(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((0, 3)))
    assert map_array(tmp_path / "a.npy").shape == (0, 3)


@pytest.mark.parametrize("code", [0x110000, 0xFFFFFFFF, 0xD800])
@pytest.mark.parametrize("order", "<>")
def test_texts_of_codes_that_are_no_characters(tmp_path, code, order):
    labels = np.array([code, 65], f"{order}u4").view(f"{order}U1")
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 1)), y=labels)
    with pytest.raises(InputError, match="y has texts of codes that are no characters"):
        read_archive(tmp_path / "a.npz")


def test_a_name_of_several_lines(tmp_path):
    np.savez(tmp_path / "a.npz", **{"a\nb": np.zeros(2)})
    with pytest.raises(InputError, match=r"an array is called 'a\\nb'"):
        read_archive(tmp_path / "a.npz")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_arrays_of_one_name(tmp_path):
    import zipfile

    path = tmp_path / "a.npz"
    np.savez(path, x=np.zeros((2, 1)), y=np.arange(2), X=np.ones((2, 1)))
    with pytest.raises(InputError, match="holds both X and x; keep one of them"):
        read_archive(path)
    np.savez(path, x=np.zeros((2, 1)), y=np.arange(2))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x.npy", archive.read("x.npy"))
    with pytest.raises(InputError, match="holds two arrays that are called x"):
        read_archive(path)


def test_other_ways_of_packing(tmp_path):
    import zipfile

    np.save(tmp_path / "x.npy", np.zeros((2, 1)))
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.write(tmp_path / "x.npy", "x.npy")
    with pytest.raises(InputError, match="x is packed in another way"):
        read_archive(tmp_path / "a.npz")


@pytest.mark.parametrize("which", ["x", "y"])
def test_values_beyond_float64(tmp_path, which):
    arrays = {"x": np.ones((3, 1), np.longdouble), "y": np.array([0.5, 1, 2], np.longdouble)}
    if np.finfo(np.longdouble).max == np.finfo(np.float64).max:
        pytest.skip("long double is no longer here than double")
    arrays[which][1] = np.finfo(np.longdouble).max
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=f"row 1 of {which} contain NaN or inf"):
        read_archive(tmp_path / "a.npz")
