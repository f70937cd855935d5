"""Small valid files of each format, made by the libraries and by xpmlp itself."""

import io
import struct
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

ROWS = 6
X = np.arange(3.0 * ROWS).reshape(ROWS, 3) % 5
Y = np.arange(ROWS) % 2
ALONE = "alone.safetensors"  # a checkpoint with its history in it


def shared() -> str | None:
    """Return a folder in memory, where a flush to the disk costs nothing, None without one."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def idx() -> list[bytes]:
    """Return IDX files of bytes and of int32."""
    images, labels = np.arange(24, dtype=np.uint8), np.arange(6, dtype=">i4")
    return [
        struct.pack(">HBBIII", 0, 8, 3, 2, 4, 3) + images.tobytes(),
        struct.pack(">HBBI", 0, 12, 1, 6) + labels.tobytes(),
    ]


def texts() -> list[bytes]:
    """Return tables of numbers, texts, dates and gaps."""
    return [
        b"a,b,label\n1,2.5,x\n2,,y\n3,-1e3,x\n4,7,y\n",
        b'"name";"when";"yes";"y"\n"a;""b";2024-03-31;yes;1,5\nc;2024-04-01;no;2,5\nd;;no;1.000,5\n',
        b"# made up\n1 2  3\n4 5 6\n7 8 9\n",
        b"pixel0,pixel1,pixel2,pixel3,label\n0,1,2,3,0\n4,5,255,7,1\n",
    ]


def _columns() -> dict[str, Any]:
    import pyarrow as pa

    return {
        "number": pa.array([0.5, None, 2.0]),
        "text": pa.array(["a", "b", None]),
        "bytes": pa.array([b"a", b"\xff", b""]),
        "coded": pa.array(["a", "b", "a"]).dictionary_encode(),
        "coded numbers": pa.array([1, 2, 1]).dictionary_encode(),
        "when": pa.array([0, 1, 2**40], pa.timestamp("ns", "UTC")),
        "day": pa.array([0, 1, -(2**31)], pa.date32()),
        "time": pa.array([0, 1, 2], pa.time64("us")),
        "long": pa.array([0, 1, 2**62], pa.duration("s")),
        "decimal": pa.array([1, 2, 3], pa.decimal128(38, 2)),
        "half": pa.array(np.array([1, 2, 3], np.float16)),
        "huge": pa.array([1, 2, 2**64 - 1], pa.uint64()),
        "none": pa.nulls(3),
        "list": pa.array([[1], [], None]),
        "parts": pa.array([{"a": 1}, None, {"a": 2}]),
        "y": pa.array([True, False, True]),
    }


def _tables() -> list[Any]:
    import pyarrow as pa

    columns = _columns()
    odd = [pa.table({"a": columns["number"], name: columns[name]}) for name in columns]
    whole = pa.table({"a": X[:, 0], "b": X[:, 1], "t": list("abcdef"), "y": Y})
    return [whole, *odd, pa.table({"a": columns["number"], "y": columns["y"]})]


def parquet() -> list[bytes]:
    """Return Parquet files, of each type that a column may have."""
    from pyarrow import parquet as pq

    return [_written(pq.write_table, table) for table in _tables()]


def arrow() -> list[bytes]:
    """Return Arrow files, packed and not, and a stream."""
    from pyarrow import feather, ipc

    def stream(table: Any, file: Any) -> None:
        with ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table)

    whole = _tables()[0]
    files = [_written(feather.write_feather, table, compression="lz4") for table in _tables()]
    plain = _written(feather.write_feather, whole, compression="uncompressed")
    return [*files, plain, _written(stream, whole)]


def _written(write: Any, table: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    write(table, file, **options)
    return file.getvalue()


def svmlight() -> list[bytes]:
    """Return tables of places and values."""
    return [b"1 1:0.5 3:2\n0 2:1\n1 1:1\n0 3:-1e3 # note\n", b"1,2 1:1\n3 2:1\n"]


def npy() -> list[bytes]:
    """Return arrays in NumPy's format."""
    arrays = (X, X.astype(">f4"), np.asfortranarray(X), X.astype(np.uint8), X.astype(bool))
    return [_array(array) for array in (*arrays, X.astype(np.float16), X[:, :, None])]


def npz() -> list[bytes]:
    """Return archives of features and labels, packed and not."""
    names = np.array(["a", "b"])[Y]
    contents: Sequence[dict[str, Any]] = (
        {"x": X, "y": Y},
        {"images": np.zeros((ROWS, 2, 2), np.uint8), "labels": names},
        {"x_train": X, "y_train": X[:, :2], "x_test": X, "y_test": X[:, :2], "note": Y},
    )
    return [
        _saved(save, content) for content in contents for save in (np.savez, np.savez_compressed)
    ]


def _array(array: np.ndarray) -> bytes:
    return _saved(lambda file, array: np.save(file, array), {"array": array})


def _saved(save: Any, content: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    save(file, **content)
    return file.getvalue()


@cache
def run_files() -> dict[str, bytes]:
    """Return the files of a run of xor, trained for two epochs, by their names."""
    return _files_of(_fitted("xor"))


@cache
def _table_files() -> dict[str, bytes]:
    rows = "\n".join(f"{i},{'abc'[i % 3]},{i * i}" for i in range(8))
    with tempfile.TemporaryDirectory(dir=shared()) as folder:
        path = Path(folder) / "rows.csv"
        path.write_text(f"n,kind,value\n{rows}\n")
        return _files_of(_fitted(str(path)))


def _fitted(dataset: str) -> Any:
    from xpmlp.runs.fitting import fit
    from xpmlp.training.config import Config

    config = Config(dataset=dataset, hidden=(2,), epochs=2, early_stopping=2, compile="never")
    return fit(config.replace(optimizer="adam"))


def _files_of(run: Any) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory(dir=shared()) as name:
        folder = Path(name) / "run"
        run.save(folder, pictures=False)
        run.trainer.checkpoint().save(folder / ALONE)
        return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def put_run(folder: Path) -> None:
    """Write the files of a run that are opened again."""
    folder.mkdir(exist_ok=True)
    for name in ("config.toml", "model.safetensors", "summary.json", "history.csv", "steps.csv"):
        (folder / name).write_bytes(run_files()[name])


@cache
def opened_run() -> Any:
    """Return the run of these files, opened."""
    from xpmlp.runs.opened import OpenedRun

    with tempfile.TemporaryDirectory(dir=shared()) as folder:
        put_run(Path(folder))
        return OpenedRun.open(folder)


def models() -> list[bytes]:
    """Return models of points and of a table."""
    return [files["model.safetensors"] for files in (run_files(), _table_files())]


def checkpoints() -> list[bytes]:
    """Return checkpoints of points and of a table, and one whose history is apart."""
    alone = [files[ALONE] for files in (run_files(), _table_files())]
    return [*alone, run_files()["checkpoint.safetensors"]]


def configs() -> list[bytes]:
    """Return configs."""
    return [run_files()["config.toml"], b'hidden = [3, 3]\nactivation = "tanh"\nl2 = 1e-3\n']


def summaries() -> list[bytes]:
    """Return the figures of a run."""
    return [run_files()["summary.json"]]


def histories() -> list[tuple[bytes, bytes]]:
    """Return history.csv and steps.csv."""
    return [(run_files()["history.csv"], run_files()["steps.csv"])]
