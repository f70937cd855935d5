"""`xpmlp convert`: shards from IDX, archives and tables; stopped, gone on with, trained on."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

import xpmlp
from tests.commands import runner
from xpmlp import convert
from xpmlp.data import converting
from xpmlp.data.wishes import Wishes

run = runner(convert.main)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(converting, "BLOCK_ROWS", 30)
    monkeypatch.setattr(converting, "SHARD_BYTES", 4000)


def all_rows(data):
    parts = data.train, data.validation, data.test
    return np.concatenate([p.x[:] for p in parts]), np.concatenate([p.y for p in parts])


def in_order(x, y):
    table = np.column_stack([x, y])
    return table[np.lexsort(table.T)]


def test_an_archive_keeps_its_parts_and_its_classes(capsys):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, 5)), rng.choice(["a", "b", "c"], 200)
    np.savez_compressed(
        "rows.npz", x_train=x[:150], y_train=y[:150], x_test=x[150:], y_test=y[150:]
    )
    code, out, err = run(capsys, "rows.npz", "shards")
    assert (code, out) == (0, "")
    assert err.endswith("3 shards in shards; train with --dataset of it\n")
    data = xpmlp.load_dataset("./shards", scale="none", dtype="float64", validation=0)
    assert data.class_names == ("a", "b", "c")
    assert np.array_equal(data.train.x[:], x[:150])
    assert np.array_equal(data.test.x[:], x[150:])
    assert [data.class_names[i] for i in data.test.y] == y[150:].tolist()


def test_images_of_an_idx_file(capsys):
    images = np.random.default_rng(0).integers(256, size=(120, 4, 3), dtype=np.uint8)
    labels = (np.arange(120) % 10).astype(np.uint8)
    with gzip.open("train-images-idx3-ubyte.gz", "wb") as file:
        file.write(struct.pack(">HBBIII", 0, 8, 3, *images.shape) + images.tobytes())
    with gzip.open("train-labels-idx1-ubyte.gz", "wb") as file:
        file.write(struct.pack(">HBBI", 0, 8, 1, 120) + labels.tobytes())
    assert run(capsys, "train-images-idx3-ubyte.gz", "shards", "--quiet") == (0, "", "")
    data = xpmlp.load_dataset("./shards", scale="none", validation=0)
    assert data.image_shape == (4, 3)
    x, y = all_rows(data)
    assert np.array_equal(in_order(x, y), in_order(images.reshape(120, -1), labels))


@pytest.fixture(params=["csv", "parquet"])
def table(request):
    """300 rows of a number with gaps, a category and a yes/no; the label is a text."""
    rng = np.random.default_rng(3)
    lines = ["height,colour,old,kind"]
    for i in range(300):
        height = "" if i % 17 == 0 else f"{rng.normal():.3f}"
        lines.append(f"{height},{['red', 'green', 'blue'][i % 3]},{['yes', 'no'][i % 2]},k{i % 4}")
    path = Path("table.csv")
    path.write_text("\n".join(lines))
    if request.param == "parquet":
        pacsv, parquet = pytest.importorskip("pyarrow.csv"), pytest.importorskip("pyarrow.parquet")
        path = Path("table.parquet")
        parquet.write_table(pacsv.read_csv("table.csv"), path, row_group_size=50)
    return path


def test_a_table_becomes_what_training_makes_of_it(capsys, table):
    assert run(capsys, table, "shards", "--quiet")[0] == 0
    data, known = (
        xpmlp.load_dataset("./shards", scale="none"),
        xpmlp.load_dataset(table, scale="none"),
    )
    assert data.feature_names == known.feature_names
    assert data.class_names == known.class_names
    assert data.label == known.label == ("kind",)
    both = [in_order(*all_rows(one)) for one in (data, known)]
    gaps = [one[:, 1] == 1 for one in both]  # where a median of other rows stands
    assert gaps[0].sum() == gaps[1].sum() > 0
    assert np.array_equal(both[0][~gaps[0]], both[1][~gaps[1]])
    scaled = xpmlp.load_dataset("./shards")
    assert set(np.unique(scaled.train.x[:][:, 1:])) == {0.0, 1.0}
    assert abs(scaled.train.x[:][:, 0].mean()) < 1e-6
    config = xpmlp.Config(hidden=(4,), epochs=1, backend="numpy", device="cpu")
    model = xpmlp.fit(config, scaled).model
    assert [rule.name for rule in model.columns] == ["height", "colour", "old"]


def test_a_class_that_the_first_rows_lack_is_told_with_the_remedy(capsys):
    rows = [f"{i},{'a' if i % 2 else 'b'}" for i in range(5000)]
    Path("table.csv").write_text("\n".join(["x,kind", *rows, "1,c"]))
    code, _, err = run(capsys, "table.csv", "shards", "--first", "100")
    assert code == 2
    assert "those of the first 100 rows; --first N reads more of them" in err
    assert err.count("\n") <= 2


def test_blocks_of_wide_rows_have_fewer_of_them(capsys, monkeypatch):
    monkeypatch.setattr(converting, "BLOCK_BYTES", 4000)
    x = np.random.default_rng(0).normal(size=(60, 100))
    np.savez("rows.npz", x=x, y=np.arange(60) % 2)
    sizes = [len(rows.y) for rows in converting.conversion_of(Path("rows.npz"), Wishes()).rows]
    assert sizes == [5] * 12
    assert run(capsys, "rows.npz", "shards", "--quiet") == (0, "", "")
    data = xpmlp.load_dataset("./shards", scale="none", dtype="float64")
    assert np.array_equal(in_order(*all_rows(data)), in_order(x, np.arange(60) % 2))


def test_a_conversion_that_was_stopped_goes_on(capsys, monkeypatch):
    x = np.random.default_rng(0).normal(size=(1000, 5))
    np.savez("rows.npz", x=x, y=np.arange(1000) % 2)
    save, saved = np.save, []

    def stop(file, array):
        saved.append(array)
        if len(saved) == 5:
            raise KeyboardInterrupt
        save(file, array)

    with monkeypatch.context() as patched:
        patched.setattr(np, "save", stop)
        assert run(capsys, "rows.npz", "shards")[0] == 130
    begun = {file.name: file.stat().st_mtime_ns for file in Path("shards").glob("*.npy")}
    assert len(begun) == 4
    assert not (Path("shards") / "manifest.json").exists()
    assert run(capsys, "rows.npz", "shards", "--task", "regression")[0] == 2
    assert run(capsys, "rows.npz", "shards", "--quiet") == (0, "", "")
    for name, time in begun.items():
        assert (Path("shards") / name).stat().st_mtime_ns == time
    data = xpmlp.load_dataset("./shards", scale="none", dtype="float64")
    assert np.array_equal(in_order(*all_rows(data)), in_order(x, np.arange(1000) % 2))
    assert sorted(p.suffix for p in Path("shards").iterdir() if p.suffix != ".npy") == [".json"]
    code, _, err = run(capsys, "rows.npz", "shards")
    assert (code, "holds shards already" in err) == (2, True)


def test_what_is_no_source_is_told(capsys):
    assert run(capsys, "nothing.csv", "shards")[::2] == (
        2,
        "xpmlp convert: nothing.csv: there is no such file\n",
    )
