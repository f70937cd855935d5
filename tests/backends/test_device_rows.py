"""Rows that are on the device already: they train as those of the host do, where they are."""

from dataclasses import replace

import numpy as np
import pytest

from tests.backends.test_captured import recording_backend
from tests.backends.test_own_arrays import FORMS, address
from tests.conftest import load_or_skip
from tests.problems import make_dataset, make_regression
from xpmlp.backends.registry import load
from xpmlp.data.dataset import Dataset, Rows
from xpmlp.errors import InputError
from xpmlp.runs.fitting import fit
from xpmlp.training.config import Config
from xpmlp.training.problem import Problem

SMALL = Config(hidden=(5,), epochs=2, batch_size=7, learning_rate=0.01, dtype="float64")
RUNS = {
    "batches": {},
    "all rows in place": {"batch_size": 0, "l2": 0.01},
    "dropout": {"dropout": (0.3,), "optimizer": "adam", "early_stopping": 2},
}
PARTS = ("train", "validation", "test")
ROWS = {name: form for name, form in FORMS.items() if name not in ("one number", "no rows")}


def placed(data: Dataset, put) -> Dataset:
    """The data set with x of each part as `put` makes it of the host's."""
    rows = {name: getattr(data, name) for name in PARTS}
    return replace(data, **{n: Rows(put(r.x), r.y, r.weights) for n, r in rows.items()})


def weighted(data: Dataset) -> Dataset:
    weights = np.random.default_rng(1).random(len(data.train)) + 0.5
    return replace(data, train=replace(data.train, weights=weights))


def assert_same_run(backend, config, host) -> None:
    """Training from device rows is training from host rows, and leaves them as they are."""
    with backend.running():
        device = placed(host, backend.asarray)
        ours, theirs = fit(config, device, backend=backend), fit(config, host, backend=backend)
        for mine, other in zip(ours.model.params, theirs.model.params, strict=True):
            np.testing.assert_array_equal(mine.W, other.W)
            np.testing.assert_array_equal(mine.b, other.b)
        np.testing.assert_array_equal(ours.history.steps, theirs.history.steps)
        np.testing.assert_array_equal(ours.test.logits, theirs.test.logits)
        assert ours.record.validation_loss == theirs.record.validation_loss
        problem = ours.trainer.problem
        for part in PARTS:
            own, used = getattr(device, part).x, getattr(problem, part).x
            assert address(backend, used) == address(backend, own)
            np.testing.assert_array_equal(backend.to_numpy(own), getattr(host, part).x)
        assert problem.fingerprint == theirs.trainer.problem.fingerprint


@pytest.mark.parametrize("label", RUNS)
def test_device_rows_train_as_host_rows(backend, label):
    assert_same_run(backend, SMALL.replace(**RUNS[label]), weighted(make_dataset()))


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_regression_on_device_rows(name):
    assert_same_run(load_or_skip(name), SMALL, make_regression())


@pytest.mark.parametrize("label", RUNS)
def test_captured_steps_on_device_rows(label):
    assert_same_run(recording_backend(), SMALL.replace(**RUNS[label]), weighted(make_dataset()))


@pytest.mark.parametrize("label", RUNS)
def test_cupys_graphs_on_device_rows(cuda, cupy_backend, label):
    assert_same_run(cupy_backend, SMALL.replace(**RUNS[label]), weighted(make_dataset()))


@pytest.mark.parametrize("label", RUNS)
def test_rows_on_a_strict_device(label):
    backend = load("array-api-strict", "device1", "float64")
    assert_same_run(backend, SMALL.replace(**RUNS[label]), weighted(make_dataset()))


@pytest.mark.parametrize("dtype", ["float64", "float32", "int32"])
@pytest.mark.parametrize("form", ROWS.values(), ids=ROWS)
def test_rows_of_any_layout_and_dtype(backend, form, dtype):
    """x comes to the net as floats of the backend's dtype, row by row, from host and device."""
    host = make_dataset(rows=12, features=4, dtype=dtype)
    y = host.train.y[: len(form(host.train.x))]
    with backend.running():
        own = getattr(backend.xp, dtype)
        made = placed(host, lambda x: form(backend.xp.astype(backend.asarray(x), own)))
        data = [
            replace(one, **{part: Rows(getattr(one, part).x, y) for part in PARTS})
            for one in (made, placed(host, form))
        ]
        ours, theirs = (Problem(SMALL, one, backend).train.x for one in data)
        assert ours.dtype == theirs.dtype == backend.asarray(np.zeros(1)).dtype
        np.testing.assert_array_equal(backend.to_numpy(ours), backend.to_numpy(theirs))
        np.testing.assert_array_equal(backend.to_numpy(ours), form(host.train.x))


@pytest.mark.parametrize("name", ["numpy", "torch", "array-api-strict"])
def test_integers_train_too(name):
    """The device's own, and the host's."""
    backend, host = load_or_skip(name, "float32"), make_dataset(dtype="int32")
    device = placed(host, backend.asarray)
    ours, theirs = (
        fit(SMALL.replace(dtype="float32"), one, backend=backend) for one in (device, host)
    )
    np.testing.assert_array_equal(ours.model.params[0].W, theirs.model.params[0].W)
    assert ours.model.params[0].W.dtype == "float32"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_device_rows_must_be_finite(backend, bad):
    host = make_dataset()
    host.train.x[3, 1] = bad
    with backend.running(), pytest.raises(InputError, match="train rows: x contains NaN or inf"):
        Problem(SMALL, placed(host, backend.asarray), backend)


def test_large_rows_are_finite(backend):
    """Their sum is not."""
    host = make_dataset()
    host.train.x[:] = 1e308
    with backend.running():
        Problem(SMALL, placed(host, backend.asarray), backend)
        Problem(SMALL, host, backend)


def test_tensors_with_gradients_train_without():
    backend, host = load_or_skip("torch"), make_dataset()
    device = placed(host, lambda x: backend.asarray(x).requires_grad_())
    ours, theirs = (fit(SMALL, one, backend=backend) for one in (device, host))
    np.testing.assert_array_equal(ours.model.params[0].W, theirs.model.params[0].W)
    assert device.train.x.grad is None
