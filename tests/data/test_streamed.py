"""Rows that stay on disk: found, split, scaled, read in any order, and watched for changes."""

import json
import os

import numpy as np
import pytest

import xpmlp
from xpmlp.data import streamed
from xpmlp.data.ahead import made_ahead
from xpmlp.data.scaling import statistics
from xpmlp.data.shards import Shards
from xpmlp.errors import InputError, RunError


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(streamed, "BLOCK_BYTES", 800)
    monkeypatch.setattr(streamed, "WINDOW_BYTES", 4000)


@pytest.fixture
def folder(tmp_path, small_blocks):
    """500 rows of 5 columns, sorted by their class, in a pair of files."""
    rng = np.random.default_rng(1)
    y = np.repeat(np.arange(5), 100)
    x = (rng.normal(size=(500, 5)) * [1, 10, 1e4, 1e-3, 0] + y[:, None]).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    return tmp_path


def load(folder, **options):
    return xpmlp.load_dataset(f"{folder}/", **options)


def test_parts_are_whole_blocks_that_cover_every_row_once(folder):
    data = load(folder, scale="none")
    parts = data.train, data.validation, data.test
    together = np.concatenate([part.x[:] for part in parts])
    expected = np.load(folder / "x.npy")
    assert np.array_equal(together[np.lexsort(together.T)], expected[np.lexsort(expected.T)])
    first = {tuple(row): i for i, row in enumerate(expected)}
    for part in parts:
        places = [first[tuple(row)] for row in part.x[:]]
        assert np.array_equal(part.y, np.load(folder / "y.npy")[places])
        assert len(set(np.diff(places)) - {1}) <= len(part) // 8
    assert "stay on disk" in data.note
    again, other = load(folder, scale="none"), load(folder, scale="none", seed=1)
    assert np.array_equal(again.test.x[:], data.test.x[:])
    assert not np.array_equal(other.test.x[:], data.test.x[:])


@pytest.mark.parametrize("scale", ["center", "unit", "standard"])
def test_statistics_of_one_pass_are_those_of_memory(folder, scale):
    raw = load(folder, scale="none", dtype="float64").train.x[:]
    found, wanted = load(folder, scale=scale).scaling, statistics(raw, scale)
    np.testing.assert_allclose(found.shift, wanted.shift, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.width, wanted.width, rtol=1e-12)
    x = load(folder, scale=scale).train.x[:]
    assert np.array_equal(x, found.apply(raw, "float32"))


@pytest.mark.parametrize("scale", ["auto", "robust", "quantile"])
def test_a_scale_that_sorts_is_refused(folder, scale):
    with pytest.raises(InputError, match=f"scale {scale} sorts the values"):
        load(folder, scale=scale)


def test_an_order_has_each_row_once_and_never_leaves_its_window(folder):
    x = load(folder).train.x
    order = x.shuffled(np.random.default_rng(3))
    assert np.array_equal(np.sort(order), np.arange(len(x)))
    assert np.array_equal(order, x.shuffled(np.random.default_rng(3)))
    blocks = np.searchsorted(x.starts, order, "right") - 1
    assert x.window > 1
    done = 0
    while done < len(order):
        window = []
        for block in blocks[done:]:
            if block not in window and len(window) == x.window:
                break
            window += [block] * (block not in window)
        rows = sum(x.blocks[block].rows for block in window)
        assert set(blocks[done : done + rows]) == set(window)
        assert (np.diff(order[done : done + rows].astype(int)) != 1).any()
        done += rows


@pytest.mark.parametrize("slots", [1, 2, 1000])
def test_a_reader_with_little_room_reads_any_order(folder, slots):
    x = load(folder).train.x
    numbers = np.random.default_rng(0).permutation(len(x))
    out = np.empty(x.shape, x.dtype)
    streamed.Reader(x, slots).read_into(out, numbers)
    assert np.array_equal(out, x[:][numbers])


def test_images_of_bytes_are_pixels(tmp_path):
    images = np.arange(40 * 6, dtype=np.uint8).reshape(40, 2, 3)
    np.save(tmp_path / "my_x.npy", images)
    np.save(tmp_path / "my_y.npy", np.array(["a", "b"] * 20))
    with pytest.raises(InputError, match=r"my_y.npy: expected rows of numbers"):
        xpmlp.load_dataset(tmp_path / "my_x.npy")
    np.save(tmp_path / "my_y.npy", np.arange(40) % 2)
    data = xpmlp.load_dataset(tmp_path / "my_x.npy")
    assert (data.image_shape, data.scale, data.class_names) == ((2, 3), "unit", ("0", "1"))
    assert set(data.train.x[:].ravel()) <= set(np.divide(np.arange(240), 255, dtype=np.float32))


def change(file):
    array = np.load(file)
    array[0] += 1
    np.save(file, array)
    os.utime(file, ns=(1, 1))


def shrink(file):
    file.write_bytes(file.read_bytes()[:-8])


@pytest.mark.parametrize(
    ("harm", "said"),
    [(change, "was changed"), (shrink, "shrank from"), (os.remove, "vanished")],
    ids=["changed", "shrunk", "gone"],
)
def test_a_file_that_is_not_what_it_was_is_named(folder, harm, said):
    x = load(folder).train.x
    harm(folder / "x.npy")
    with pytest.raises(RunError, match=rf"x\.npy: the file {said}"):
        x[:10]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"x": np.zeros((4, 2)), "y": np.arange(3)}, r"y.npy: expected labels .* of the 4 rows"),
        ({"x": np.zeros(4), "y": np.arange(4)}, r"x.npy: expected rows \(N, D\)"),
        ({"x": np.zeros((4, 0)), "y": np.arange(4)}, r"got an array of shape \(4, 0\)"),
        ({"x": np.full((90, 2), np.nan), "y": np.arange(90) % 2}, "features of row 0 are NaN"),
        ({"x": np.zeros((90, 2)), "y": np.full(90, np.inf)}, "label of row 0 is NaN or inf"),
        ({"x": np.asfortranarray(np.zeros((9, 2))), "y": np.arange(9)}, "in Fortran order"),
        ({"x": np.zeros((9, 2))}, r"y.npy: there is no such file; x.npy goes with y.npy"),
        ({"x": np.full((90, 2), 1e300), "y": np.arange(90) % 2}, "too large for float32"),
    ],
)
def test_what_cant_be_trained_on_is_told_in_a_line(tmp_path, files, said):
    for name, array in files.items():
        np.save(tmp_path / f"{name}.npy", array)
    with pytest.raises(InputError, match=said):
        load(tmp_path, scale="none")


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"version": 1, "parts": {}})])
def test_a_manifest_of_somebody_else_is_refused(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(InputError, match="not a manifest of shards"):
        load(tmp_path)


def test_a_folder_of_shards_has_the_parts_of_its_manifest(tmp_path):
    shards = Shards(
        {"train": [("a.npy", "b.npy"), ("c.npy", "d.npy")], "test": [("e.npy", "f.npy")]},
        task="classification",
        class_names=("cat", "dog"),
        feature_names=("one", "two"),
    )
    x, y = np.arange(600.0).reshape(300, 2), np.arange(300) % 2
    for i, (rows, of_x, of_y) in enumerate([(100, "a", "b"), (100, "c", "d"), (100, "e", "f")]):
        np.save(tmp_path / f"{of_x}.npy", x[rows * i : rows * (i + 1)])
        np.save(tmp_path / f"{of_y}.npy", y[rows * i : rows * (i + 1)])
    (tmp_path / "manifest.json").write_text(json.dumps(shards.as_json()))
    data = load(tmp_path, scale="none", validation=0)
    assert (data.class_names, data.feature_names) == (("cat", "dog"), ("one", "two"))
    assert np.array_equal(data.train.x[:], x[:200])
    assert np.array_equal(data.test.x[:], x[200:])
    assert np.array_equal(data.test.y, y[200:])


def test_a_thread_ahead_never_writes_into_what_is_used_and_ends_with_its_user():
    def make(take):
        for i in range(100):
            memory = take()
            memory[:] = i
            yield memory

    ahead = made_ahead(make, [np.zeros(1000) for _ in range(3)])
    for i, memory in enumerate(ahead):
        assert (memory == i).all()
        if i == 50:
            break
    ahead.close()

    def fail(take):
        take()
        raise RunError("the disk is gone")
        yield

    with pytest.raises(RunError, match="the disk is gone"):
        next(made_ahead(fail, [None]))
