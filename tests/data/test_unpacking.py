"""Files that unpack to more than they justify, and those that say so wrongly."""

import gzip
import io
import zipfile

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from xpmlp.data.archives import read_archive
from xpmlp.data.blocks import Columns
from xpmlp.data.registry import load_dataset
from xpmlp.data.streaming import stream_rows
from xpmlp.data.unpacking import size_text
from xpmlp.errors import InputError
from xpmlp.training.config import Config

ROWS = 20_000
MIB = 2.0**-10  # as max_unpacked, which is in GiB


def zeros_npz(path):
    np.savez_compressed(path, x=np.zeros((ROWS, 10)), y=np.arange(ROWS) % 2)


def zeros_csv(path):
    path.write_bytes(gzip.compress(b"a,y\n" + b"0,1\n1,0\n" * 4 * ROWS))


def zeros_svm(path):
    path.write_bytes(gzip.compress(b"1 1:1\n2 2:1\n" * ROWS))


def wide_svm(path):
    path.write_bytes(b"1 100000:1\n2 1:1\n")


def zeros_parquet(path):
    y = np.arange(10 * ROWS) % 2
    parquet.write_table(pa.table({"a": 0.5 * y, "y": y}), path)


def coded_parquet(path):
    text = pa.array(["x" * 10_000, "y"]).take(pa.array(np.arange(1000) % 2))
    parquet.write_table(pa.table({"a": np.arange(1000), "y": text}), path)


MADE = {
    "a.npz": zeros_npz,
    "a.csv.gz": zeros_csv,
    "a.svm.gz": zeros_svm,
    "b.svm": wide_svm,
    "a.parquet": zeros_parquet,
    "b.parquet": coded_parquet,
}


@pytest.mark.parametrize("name", MADE)
def test_what_a_file_does_not_justify_needs_the_option(tmp_path, name):
    path = tmp_path / name
    MADE[name](path)
    says = r"its [\d.]+ (bytes|KiB) unpack to [\d.]+ \w+, more than 0.000488281 GiB and than 20"
    with pytest.raises(InputError, match=rf"{name}: {says}.*: --max-unpacked 1$"):
        load_dataset(str(path), max_unpacked=MIB / 2)
    assert len(load_dataset(str(path), max_unpacked=64 * MIB).train)


def test_what_unpacks_to_less_than_20_times_its_size_needs_none(tmp_path):
    x = np.random.default_rng(0).random((1000, 3))
    np.savez_compressed(tmp_path / "a.npz", x=x, y=np.arange(1000) % 2)
    assert load_dataset(str(tmp_path / "a.npz"), max_unpacked=1e-9).n_features == 3


def test_the_option_is_no_wish_for_columns(tmp_path):
    assert Config.load(written(tmp_path / "a.toml", b"max_unpacked = 0.5")).max_unpacked == 0.5
    with pytest.raises(InputError, match="max_unpacked is 0.0; it must be above 0"):
        Config(max_unpacked=0.0)
    assert load_dataset("xor", max_unpacked=1.0).name == "xor"


def test_columns_of_an_archive_that_is_predicted(tmp_path, monkeypatch):
    monkeypatch.setattr("xpmlp.data.unpacking.TIMES", 0)
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.asfortranarray(np.zeros((ROWS, 2))))
    assert sum(len(block.x) for block in stream_rows(path, Columns(2), 1000, str)) == ROWS
    monkeypatch.setattr("xpmlp.data.array_blocks.require_justified", refuse)
    with pytest.raises(InputError, match=f"{16 * ROWS} bytes; save the array in C order"):
        list(stream_rows(path, Columns(2), 1000, str))


def refuse(path, unpacked, *, remedy):
    raise InputError(f"{unpacked} bytes; {remedy}")


@pytest.mark.parametrize("change", [-8, 8, 2**31])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_archive_whose_directory_lies(tmp_path, change, method):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as archive:
        for name, array in (("x", np.zeros((6, 2))), ("y", np.arange(6) % 2)):
            file = io.BytesIO()
            np.save(file, array)
            archive.writestr(f"{name}.npy", file.getvalue())
    content = bytearray(data.getvalue())
    place = content.index(b"PK\1\2") + 24
    size = int.from_bytes(content[place : place + 4], "little") + change
    content[place : place + 4] = size.to_bytes(4, "little")
    path = written(tmp_path / "a.npz", content)
    with pytest.raises(InputError, match=r"not a whole .npz archive .*\(.*x"):
        read_archive(path)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (5 << 30, "5.0 GiB")],
)
def test_sizes(size, text):
    assert size_text(size) == text


def written(path, content):
    path.write_bytes(content)
    return path
