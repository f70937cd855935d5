"""Models and checkpoints on disk: they come back as they were, or are refused."""

import errno
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
from safetensors.numpy import save

from tests.conftest import load_or_skip
from tests.problems import make_dataset
from xpmlp.data.registry import load_dataset
from xpmlp.errors import InputError, RunError
from xpmlp.files import clear_partials
from xpmlp.runs.fitting import fit
from xpmlp.training.checkpoint import Checkpoint
from xpmlp.training.config import Config
from xpmlp.training.model import Model
from xpmlp.training.tensors import read_tensors, write_tensors
from xpmlp.training.trainer import Trainer


@pytest.fixture(scope="module")
def run():
    config = Config(hidden=(5, 4), epochs=2, dtype="float64", early_stopping=9, optimizer="adam")
    return fit(config, make_dataset(), backend=load_or_skip("numpy"))


def test_a_model_comes_back(run, tmp_path):
    run.model.save(tmp_path / "model.safetensors")
    again = Model.load(tmp_path / "model.safetensors")
    x = make_dataset().test.x
    np.testing.assert_array_equal(again.logits(x), run.test.logits)
    assert again.class_names == ("a", "b", "c")
    assert (again.sizes, again.n_parameters) == ((4, 5, 4, 3), 64)
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]


def test_arrays_come_back_however_they_lie_in_memory(tmp_path):
    grid = np.arange(24.0).reshape(4, 6)
    arrays = {"turned": grid.T, "strided": grid[::2, 1::3], "number": np.array(7), "none": grid[:0]}
    write_tensors(tmp_path / "f", arrays, "some", {})
    for name, array in read_tensors(tmp_path / "f", "some", lambda tensors, _: tensors).items():
        np.testing.assert_array_equal(array, arrays[name], strict=True)


@pytest.mark.parametrize("scale", ["none", "unit", "standard"])
def test_a_model_scales_raw_rows_as_its_training_did(scale, tmp_path):
    rng = np.random.default_rng(0)
    raw = rng.normal(50, 20, (40, 2))
    table = np.column_stack([raw, np.arange(40) % 2])
    np.savetxt(tmp_path / "table.csv", table, delimiter=",", fmt=["%.17g", "%.17g", "%d"])
    data = load_dataset(str(tmp_path / "table.csv"), scale=scale, dtype="float64")
    model = fit(Config(hidden=(3,), epochs=1, dtype="float64"), data).model
    model.save(tmp_path / "model.safetensors")
    scaled = Model.load(tmp_path / "model.safetensors").scale_inputs(raw)
    known = np.concatenate([data.train.x, data.validation.x, data.test.x])
    nearest = np.abs(scaled[:, None] - known[None]).max(axis=-1).min(axis=1)
    assert nearest.max() < 1e-12
    assert (scale == "none") == np.allclose(scaled, raw)


def test_a_model_refuses_other_inputs(run):
    with pytest.raises(InputError, match=r"takes x of shape \(N, 4\), got \(2, 5\)"):
        run.model.predict(np.zeros((2, 5)))


def test_a_checkpoint_comes_back(run, tmp_path):
    saved = run.trainer.checkpoint()
    saved.save(tmp_path / "checkpoint.safetensors")
    again = Checkpoint.load(tmp_path / "checkpoint.safetensors")
    assert again.config == saved.config
    assert again.epochs == saved.epochs
    assert again.generator == saved.generator
    assert int(again.state.step) == len(run.history.steps) == 2
    assert len(again.state.moments) == 2
    np.testing.assert_array_equal(again.best_params[1].W, saved.best_params[1].W)


def test_damaged_files_are_refused(run, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(InputError, match="checkpoint.safetensors does not exist"):
        Checkpoint.load(path)
    run.trainer.checkpoint().save(path)
    whole = path.read_bytes()
    for damaged in (whole[:100], whole[:-10], b"", b"not a tensor file at all"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="is not a whole safetensors file"):
            Checkpoint.load(path)
    run.model.save(path)
    with pytest.raises(InputError, match="holds xpmlp-model-1, not xpmlp-checkpoint-1"):
        Checkpoint.load(path)
    path.write_bytes(save({"x": np.zeros(2)}))
    with pytest.raises(InputError, match="holds something else, not xpmlp-model-1"):
        Model.load(path)


def test_files_with_damaged_contents_are_refused(run, tmp_path):
    path = tmp_path / "file.safetensors"
    run.model.save(path)
    tensors, about = read_tensors(path, "xpmlp-model-1", lambda *parts: parts)
    for changes in ({"sizes": [4, 5, 4, 7]}, {"loss": "hinge"}, {"activations": ["tahn"]}):
        write_tensors(path, tensors, "xpmlp-model-1", about | changes)
        with pytest.raises(InputError, match="file.safetensors is damaged|unknown"):
            Model.load(path)
    write_tensors(path, {}, "xpmlp-model-1", about)
    with pytest.raises(InputError, match="file.safetensors is damaged: KeyError: 'layers.0.W'"):
        Model.load(path)
    for about in ({}, {"n_layers": "two"}, {"n_layers": 1, "n_moments": 0}):
        write_tensors(path, tensors, "xpmlp-checkpoint-1", about)
        with pytest.raises(InputError, match="file.safetensors is damaged"):
            Checkpoint.load(path)
    for metadata in ("{", "[1]", "7"):
        path.write_bytes(save(tensors, {"xpmlp": metadata}))
        with pytest.raises(InputError, match="file.safetensors is damaged"):
            Model.load(path)


def test_the_same_run_writes_the_same_bytes(run, tmp_path):
    for name in ("one", "two"):
        run.model.save(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_checkpoint_of_another_net_is_refused(run):
    other = Trainer(
        run.trainer.config.replace(hidden=(6, 4)), make_dataset(), load_or_skip("numpy")
    )
    with pytest.raises(InputError, match="the checkpoint is of a run with another hidden"):
        other.resume(run.trainer.checkpoint())


def test_a_failed_write_leaves_the_old_file(run, tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    run.model.save(path)
    before = path.read_bytes()

    def full_disk(self, data):
        with self.open("wb") as file:
            file.write(data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full_disk)
    with pytest.raises(OSError, match="No space left"):
        run.model.save(path)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_threads_that_save_to_one_path_at_once_all_succeed(run, tmp_path, monkeypatch):
    """Both have written before either puts its file in place."""
    write, both_wrote = Path.write_bytes, Barrier(2)

    def together(self, content):
        write(self, content)
        both_wrote.wait(timeout=60)

    monkeypatch.setattr(Path, "write_bytes", together)
    path = tmp_path / "same.safetensors"
    with ThreadPoolExecutor(2) as threads:
        for saved in [threads.submit(run.model.save, path) for _ in range(2)]:
            saved.result(timeout=60)
    assert Model.load(path).sizes == (4, 5, 4, 3)
    assert [p.name for p in tmp_path.iterdir()] == ["same.safetensors"]


@pytest.mark.skipif(sys.platform == "win32", reason="permissions differ on Windows")
def test_a_file_has_the_permissions_that_every_new_file_has(run, tmp_path):
    (tmp_path / "plain").touch()
    run.model.save(tmp_path / "model")
    assert (tmp_path / "model").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_what_is_put_in_place_is_on_the_disk(run, tmp_path, monkeypatch):
    """Content is flushed under the other name, then the folder with the new one.

    A file system that can't is no trouble.
    """
    done, model = [], tmp_path / "model"
    monkeypatch.setattr(os, "fsync", lambda number: done.append((os.fstat(number), model.exists())))
    run.model.save(model)
    (content, before), (folder, after) = done
    assert (content.st_ino, before, after) == (model.stat().st_ino, False, True)
    assert folder.st_ino == tmp_path.stat().st_ino
    for number, says in ((errno.EINVAL, None), (errno.EIO, "Input/output")):

        def fails(_, number=number):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "fsync", fails)
        with pytest.raises(OSError, match=says) if says else nullcontext():
            run.model.save(tmp_path / "model")
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_folder_that_may_be_written_to_but_not_read_takes_files(run, tmp_path, monkeypatch):
    """As a drop box, or a home whose parent is closed to others."""

    def denied(path, flags):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    with monkeypatch.context() as patch:
        patch.setattr("xpmlp.files.os.open", denied)
        run.model.save(tmp_path / "model")
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


@pytest.mark.skipif(sys.platform == "win32", reason="they stay on Windows")
def test_unfinished_files_of_dead_processes_are_cleared(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    gone = [f".model.safetensors.{dead.pid}-0a1b.partial", f".epochs.png.{dead.pid}.partial"]
    gone.append(f".config.toml.{os.getpid()}-ff.partial")
    stay = [f".model.safetensors.{os.getppid()}-0a1b.partial", ".mine.partial", "a.1.partial"]
    for name in gone + stay:
        (tmp_path / name).touch()
    clear_partials(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(stay)


@pytest.mark.parametrize("name", ["torch", "jax", "array-api-strict"])
def test_a_run_goes_on_with_another_library(name):
    """Two epochs on one library, two on another: as all four on NumPy, but for rounding."""
    config = Config(hidden=(6,), epochs=4, batch_size=8, dtype="float64", optimizer="adam")
    data, other = make_dataset(), load_or_skip(name)
    whole = fit(config, data, backend=load_or_skip("numpy"))
    first = Trainer(config, data, other)
    for record in first.epochs():
        if record.epoch == 2:
            break
    second = Trainer(config, data, load_or_skip("numpy"))
    second.resume(first.checkpoint())
    list(second.epochs())
    for mine, theirs in zip(second.model().params, whole.model.params, strict=True):
        np.testing.assert_allclose(mine.W, theirs.W, rtol=1e-9, atol=1e-12)


def test_a_name_that_is_not_registered_is_no_damage(tmp_path, monkeypatch):
    from xpmlp.nn.activations import ACTIVATIONS

    monkeypatch.setitem(ACTIVATIONS, "own", ACTIVATIONS["tanh"])
    config = Config(hidden=(3,), epochs=1, activation="own")
    fit(config, make_dataset(), backend=load_or_skip("numpy")).model.save(
        tmp_path / "own.safetensors"
    )
    assert Model.load(tmp_path / "own.safetensors").activations == ("own",)
    monkeypatch.delitem(ACTIVATIONS, "own")
    with pytest.raises(InputError, match=r"own\.safetensors: unknown activation 'own'"):
        Model.load(tmp_path / "own.safetensors")


def test_large_labels_are_named_where_the_loss_diverges():
    from tests.problems import make_regression
    from xpmlp.data.dataset import Rows

    data = make_regression()
    large = Rows(data.train.x, data.train.y * 1e150)
    object.__setattr__(data, "train", large)
    with pytest.raises(RunError, match=r"labels divided by about \de\+1\d\d, or clip_norm"):
        fit(Config(hidden=(3,), epochs=5, dtype="float64"), data, backend=load_or_skip("numpy"))
