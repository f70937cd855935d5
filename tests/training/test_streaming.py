"""Training on rows that stay on disk is the same, to the bit, as on the same rows in memory."""

from dataclasses import replace

import numpy as np
import pytest

import xpmlp
from xpmlp.data import streamed
from xpmlp.training import streaming
from xpmlp.training.range_test import rise
from xpmlp.training.trainer import Trainer


@pytest.fixture
def data(tmp_path, monkeypatch):
    """410 rows of 6 columns, in blocks of 5 and chunks of a few steps."""
    monkeypatch.setattr(streamed, "WINDOW_BYTES", 2000)
    monkeypatch.setattr(streaming, "CHUNK_BYTES", 2000)
    rng = np.random.default_rng(2)
    y = np.repeat(np.arange(3), 137)
    np.save(tmp_path / "x.npy", rng.normal(size=(411, 6)) + y[:, None])
    np.save(tmp_path / "y.npy", y)
    return xpmlp.load_dataset(f"{tmp_path}/")


def in_memory(data):
    parts = {part: getattr(data, part) for part in ("train", "validation", "test")}
    rows = {part: xpmlp.Rows(r.x[:], r.y.astype(np.int64)) for part, r in parts.items()}
    return replace(data, **rows)


def weights(trainer):
    return [trainer.backend.to_numpy(leaf) for layer in trainer.params for leaf in layer]


@pytest.mark.parametrize(
    ("name", "compiled", "pieces"),
    [
        ("numpy", "never", 1e-4),
        ("numpy", "never", 5.0),
        ("numpy", "always", 1e-4),
        pytest.param("torch", "auto", 1e-4, marks=pytest.mark.thorough),
        pytest.param("jax", "auto", 5.0, marks=pytest.mark.thorough),
    ],
)
def test_the_same_order_gives_the_same_bits(data, monkeypatch, name, compiled, pieces):
    if name != "numpy":
        pytest.importorskip(name)
    monkeypatch.setattr("xpmlp.training.pieces.PIECE_SECONDS", pieces)
    backend = xpmlp.select_backend(name, "cpu").backend
    if compiled == "always" and (why := backend.why_not_compiled()):
        pytest.skip(why)
    config = xpmlp.Config(
        hidden=(8,), epochs=2, batch_size=16, dropout=0.2, clip_norm=1.0, compile=compiled
    )
    on_disk, orders = Trainer(config, data, backend), []
    plan = on_disk.plan

    def kept():
        orders.append(plan())
        return orders[-1]

    vars(on_disk)["plan"] = kept
    list(on_disk.epochs())
    here = in_memory(data)
    memory = Trainer(config, here, backend, order=lambda e: orders[e].order, score_train=False)
    list(memory.epochs())
    assert not np.array_equal(orders[0].order, orders[1].order)
    for one, other in zip(weights(on_disk), weights(memory), strict=True):
        assert np.array_equal(one, other)
    for one, other in zip(on_disk.history.epochs, memory.history.epochs, strict=True):
        assert one.validation_loss == other.validation_loss
        assert one.train_loss == other.train_loss
    test, known = on_disk.evaluate(data.test), memory.evaluate(here.test)
    assert np.array_equal(test.logits, known.logits)


def test_rows_that_a_library_has_yet_to_look_at_are_not_written_over(data, monkeypatch):
    """JAX copies what it is given, or computes with it in place, after the call has come back."""
    monkeypatch.setattr(streaming, "CHUNK_BYTES", 240)
    monkeypatch.setattr("xpmlp.training.evaluation.CPU_EVALUATION_ROWS", 5)
    backend = xpmlp.select_backend("numpy", "cpu").backend
    trainer = Trainer(xpmlp.Config(hidden=(8,), epochs=1), data, backend)
    known, run_rows, late = trainer.evaluate(in_memory(data).test), backend.run_rows, []

    def run_late(*arguments):
        made = [tuple(map(np.empty_like, arrays)) for arrays in run_rows(*arguments)]
        late.append((arguments, made))
        return made

    def wait(_):
        for arguments, made in late:
            for outs, arrays in zip(made, run_rows(*arguments), strict=True):
                for out, array in zip(outs, arrays, strict=True):
                    out[...] = array
        late.clear()

    def fetched(array):
        wait(array)
        return np.asarray(array)

    monkeypatch.setattr(backend, "run_rows", run_late)
    monkeypatch.setattr(backend, "synchronize", wait)
    monkeypatch.setattr(backend, "to_numpy", fetched)
    assert np.array_equal(trainer.evaluate(data.test).logits, known.logits)


def test_several_seeds_are_each_as_if_alone(data):
    backend = xpmlp.select_backend("numpy", "cpu").backend
    configs = [xpmlp.Config(hidden=(4,), epochs=2, batch_size=64, seed=seed) for seed in (0, 1)]
    together = xpmlp.fit_many(configs, data, backend=backend)
    for config, run in zip(configs, together, strict=True):
        alone = Trainer(config, data, backend)
        list(alone.epochs())
        for one, other in zip(weights(alone), weights(run.trainer), strict=True):
            assert np.array_equal(one, other)


def test_values_are_learnt_from_disk_too(tmp_path):
    x = np.random.default_rng(0).normal(size=(300, 4))
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", 1000 + x.sum(axis=1))
    data = xpmlp.load_dataset(f"{tmp_path}/")
    assert data.task == "regression"
    run = xpmlp.fit(xpmlp.Config(hidden=(8,), epochs=30, backend="numpy", device="cpu"), data)
    assert run.test.loss < 0.05


def test_a_batch_beyond_memory_is_refused(data, monkeypatch):
    monkeypatch.setattr(streaming, "MOST_BYTES", 1 << 10)
    config = xpmlp.Config(hidden=(4,), epochs=1, batch_size=0, backend="numpy", device="cpu")
    with pytest.raises(xpmlp.InputError, match="choose a smaller --batch-size"):
        xpmlp.fit(config, data)


def test_rates_are_not_tried_on_rows_that_stay_on_disk(data):
    backend = xpmlp.select_backend("numpy", "cpu").backend
    trainer = Trainer(xpmlp.Config(hidden=(5,), scale=None, dtype="float64"), data, backend)
    with pytest.raises(xpmlp.InputError, match="the rows of .* stay on disk, and rates are tried"):
        rise(trainer, 1e-4, 1.0)
