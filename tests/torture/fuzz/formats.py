"""The formats: small valid files to begin with, how they are changed, and who reads them.

Each is read by what all commands read it through. `data set` and `run` are slower: what is made
of a table, and of a run with other figures.
"""

import gzip
import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tests.torture.fuzz import mutations, samples
from tests.torture.fuzz.mutations import Mutate

HISTORY_END = b"\n--steps--\n"


class Format(NamedTuple):
    """How one kind of file is made, changed and read.

    file: its name, which tells some readers what it is. read: is called with its folder, and
    must return or raise XpmlpError. write: puts the bytes into the folder, where they are not
    one file. unpacked: how many bytes the file says that it holds.
    """

    file: str
    samples: Callable[[], list[bytes]]
    read: Callable[[Path], object]
    mutate: Mutate = mutations.of_bytes
    write: Callable[[Path, bytes], object] | None = None
    unpacked: Callable[[bytes], int] = len

    def put(self, folder: Path, data: bytes) -> None:
        """Write an input into the folder that `read` is called with."""
        if self.write:
            self.write(folder, data)
        else:
            (folder / self.file).write_bytes(data)


def _read_idx(name: str) -> Callable[[Path], object]:
    def read(folder: Path) -> object:
        from xpmlp.data.idx import read_idx

        return read_idx(folder / name)

    return read


def _read_texts(name: str) -> Callable[[Path], object]:
    def read(folder: Path) -> object:
        from xpmlp.data.tables.reading import read_raw

        return read_raw(folder / name)

    return read


def _read_table(name: str) -> Callable[[Path], object]:
    def read(folder: Path) -> object:
        from xpmlp.data.tables.loading import load_table
        from xpmlp.data.wishes import Wishes

        return load_table(folder / name, Wishes())

    return read


def _read_svmlight(name: str) -> Callable[[Path], object]:
    def read(folder: Path) -> object:
        from xpmlp.data.svmlight import read_svmlight

        return read_svmlight(folder / name)

    return read


def _load(name: str) -> Callable[[Path], object]:
    def read(folder: Path) -> object:
        from xpmlp.data.registry import load_dataset

        data = load_dataset(str(folder / name), dtype="float64")
        return str(data), len(data.train), data.about and data.about.text()

    return read


def _stream(name: str) -> Callable[[Path], object]:
    def read(folder: Path) -> object:
        from xpmlp.data.blocks import Columns
        from xpmlp.data.streaming import stream_rows

        return [len(block.x) for block in stream_rows(folder / name, Columns(3), 2, str)]

    return read


def _both(name: str) -> Callable[[Path], object]:
    from xpmlp.errors import XpmlpError

    def read(folder: Path) -> object:
        try:
            _load(name)(folder)
        except XpmlpError:
            return _stream(name)(folder)
        return _stream(name)(folder)

    return read


def _read_model(folder: Path) -> object:
    from xpmlp.training.model import Model

    model = Model.load(folder / "model.safetensors")
    parts = [str(model).encode(), model.task, model.n_parameters]
    if not model.columns and (model.scaling is not None or model.scale == "none"):
        with np.errstate(all="ignore"):
            parts += [model.predict(np.zeros((2, model.sizes[0])))]
            parts += [model.predict_outputs(np.zeros((2, model.sizes[0])))]
    model.save(folder / "again.safetensors")
    return parts


def _read_checkpoint(folder: Path) -> object:
    from xpmlp.training.checkpoint import Checkpoint

    return Checkpoint.load(folder / "checkpoint.safetensors")


def _read_config(folder: Path) -> object:
    from xpmlp.training.config import Config

    config = Config.load(folder / "config.toml")
    return repr(config), config.filled().to_toml()


def _read_summary(folder: Path) -> object:
    from xpmlp.runs.opened import read_summary

    run = replace(samples.opened_run(), summary=read_summary(folder))
    shown = str(run).encode()
    return shown, run.best_epoch, run.interrupted, run.record, run.plans, run.test_score


def _read_history(folder: Path) -> object:
    from xpmlp.training.history import History

    history = History.read(folder)
    return str(history), history.steps, history.learning_rates


def _show_run(folder: Path) -> object:
    from xpmlp.runs.comparing import compare_runs

    samples.put_run(folder / "other")
    return compare_runs([folder, folder / "other"]).text().encode()


def _write_checkpoint(folder: Path, data: bytes) -> None:
    (folder / "checkpoint.safetensors").write_bytes(data)
    (folder / "checkpoint.history").write_bytes(samples.run_files()["checkpoint.history"])


def _write_run(folder: Path, data: bytes) -> None:
    samples.put_run(folder)
    (folder / "summary.json").write_bytes(data)


def _write_history(folder: Path, data: bytes) -> None:
    epochs, _, steps = data.partition(HISTORY_END)
    (folder / "history.csv").write_bytes(epochs)
    (folder / "steps.csv").write_bytes(steps)


def _dense(data: bytes) -> int:
    """Return the bytes of the whole table that places and values stand for."""
    places = [int(place) for place in re.findall(rb"(\d{1,18}):", data)]
    return 8 * data.count(b"\n") * max(places, default=0)


def _unzipped(data: bytes) -> int:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return sum(about.file_size for about in archive.infolist())
    except Exception:
        return len(data)


def _gunzipped(data: bytes) -> int:
    try:
        return len(gzip.decompress(data))
    except Exception:
        return 1024 * len(data)


FORMATS = {
    "idx": Format("images-idx3-ubyte", samples.idx, _read_idx("images-idx3-ubyte")),
    "gzip": Format(
        "images-idx3-ubyte.gz",
        lambda: [gzip.compress(data, 1, mtime=0) for data in samples.idx()],
        _read_idx("images-idx3-ubyte.gz"),
        mutations.of_gzip,
        unpacked=_gunzipped,
    ),
    "table": Format("rows.csv", samples.texts, _read_table("rows.csv"), mutations.of_text),
    "packed table": Format(
        "rows.csv.gz",
        lambda: [gzip.compress(data, 1, mtime=0) for data in samples.texts()],
        _read_texts("rows.csv.gz"),
        mutations.of_gzip,
        unpacked=_gunzipped,
    ),
    "parquet": Format("rows.parquet", samples.parquet, _read_table("rows.parquet")),
    "arrow": Format("rows.arrow", samples.arrow, _read_table("rows.arrow")),
    "svmlight": Format(
        "rows.svm", samples.svmlight, _read_svmlight("rows.svm"), mutations.of_text, unpacked=_dense
    ),
    "npz": Format(
        "rows.npz", samples.npz, _both("rows.npz"), mutations.of_archive, unpacked=_unzipped
    ),
    "npy": Format("rows.npy", samples.npy, _stream("rows.npy"), mutations.of_array),
    "model": Format("model.safetensors", samples.models, _read_model, mutations.of_tensors),
    "checkpoint": Format(
        "checkpoint.safetensors",
        samples.checkpoints,
        _read_checkpoint,
        mutations.of_tensors,
        _write_checkpoint,
    ),
    "toml": Format("config.toml", samples.configs, _read_config, mutations.of_text),
    "summary": Format("summary.json", samples.summaries, _read_summary, mutations.of_json),
    "history": Format(
        "history.csv",
        lambda: [HISTORY_END.join(pair) for pair in samples.histories()],
        _read_history,
        mutations.of_text,
        _write_history,
    ),
    "data set": Format("rows.csv", samples.texts, _load("rows.csv"), mutations.of_text),
    "run": Format("summary.json", samples.summaries, _show_run, mutations.of_json, _write_run),
}
