import gzip
import os
from pathlib import Path

import numpy as np
import pytest

REAL_DATA = os.environ.get("XPMLP_DATA_DIR")


def idx_bytes(values):
    """The IDX encoding of a uint8 array, written independently of the reader."""
    values = np.asarray(values, dtype=np.uint8)
    header = bytes([0, 0, 8, values.ndim])
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    return header + sizes + values.tobytes()


def image_rows(n, seed=0):
    """n images of 4x3 random pixels and n labels that run through 0..9."""
    images = np.random.default_rng(seed).integers(0, 256, (n, 4, 3), dtype=np.uint8)
    return images, np.arange(n, dtype=np.uint8) % 10


def write_pair(folder, part, n, *, packed=False, seed=0):
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = image_rows(n, seed)
    for kind, values in (("images-idx3", images), ("labels-idx1", labels)):
        data = idx_bytes(values)
        name = f"{part}-{kind}-ubyte"
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(data))
        else:
            (folder / name).write_bytes(data)


@pytest.fixture(scope="session")
def idx():
    return idx_bytes


@pytest.fixture(scope="session")
def pair():
    return write_pair


@pytest.fixture(scope="session")
def images():
    return image_rows


@pytest.fixture
def real_data():
    if not REAL_DATA or not Path(REAL_DATA, "mnist").is_dir():
        pytest.skip("needs XPMLP_DATA_DIR, a folder with mnist/, notmnist10k/ and ist597/")
    return Path(REAL_DATA)


@pytest.fixture
def isolated(monkeypatch, tmp_path):
    """No data folder, an empty cache, and no mirror that could be reached."""
    from xpmlp.data import download

    monkeypatch.delenv("XPMLP_DATA_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache-home"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in download.MIRRORS:
        monkeypatch.setitem(download.MIRRORS, name, ("http://127.0.0.1:9/",))
    return tmp_path
