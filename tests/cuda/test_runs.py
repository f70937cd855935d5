"""Whole runs on the GPU end where NumPy ends, whatever is recorded, captured and replayed."""

import warnings
from functools import cache

import numpy as np
import pytest

from tests.backends.test_agreement import RUNS, TWO_HUNDRED_STEPS
from tests.cuda.devices import numpy_backend
from tests.problems import make_dataset, relative_distance
from xpmlp.backends.captured import CapturedEpoch
from xpmlp.runs.fitting import finish, fit, fit_many
from xpmlp.training.checkpoint import Checkpoint
from xpmlp.training.config import Config
from xpmlp.training.trainer import Trainer

pytestmark = pytest.mark.cuda

SGD = {
    "hidden": (12, 8),
    "activation": ("tanh",),
    "optimizer": "sgd",
    "learning_rate": 0.05,
    "record": "loss",
}
MORE = {
    "sgd-loss-alone": SGD,
    "adam-loss-alone": {**SGD, "optimizer": "adam", "learning_rate": 0.01},
    "without-ragged-batch": {**SGD, "batch_size": 30},
    "full-batch": {**SGD, "batch_size": 0, "epochs": 200, "record": "norms"},
    "batch-of-one": {**SGD, "batch_size": 1, "epochs": 2},
    "thousands-of-steps": {**SGD, "batch_size": 2, "epochs": 1, "learning_rate": 0.01},
}
ALL = {**RUNS, **MORE}
ROWS = {"thousands-of-steps": 30_001}
GROWTH = 16
EPS = float(np.finfo(np.float32).eps)


def config_of(label, dtype):
    return Config(**{**TWO_HUNDRED_STEPS, **ALL[label], "dtype": dtype})


def run(backend, label, dtype):
    """Train on a third of the rows: 300 in batches of 32, or 10,001 in pairs and one alone."""
    data = make_dataset(rows=ROWS.get(label, 900), dtype=dtype)
    return fit(config_of(label, dtype), data, backend=backend)


@cache
def reference(label, dtype):
    return run(numpy_backend(dtype), label, dtype)


@pytest.mark.parametrize("gpu", ["cupy", "torch"], indirect=True)
@pytest.mark.parametrize("label", ["sgd-loss-alone", "full-batch"])
def test_epochs_are_captured(gpu, label):
    """What could not be captured would run step by step, end at the same weights, and warn."""
    config = config_of(label, "float32").replace(epochs=2)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        trainer = fit(config, make_dataset(dtype="float32"), backend=gpu.backend("float32")).trainer
    assert [str(one.message) for one in told if one.category is RuntimeWarning] == []
    kept = trainer.problem.step.plans.kept
    assert kept
    assert {type(plan) for plan in kept.values()} == {CapturedEpoch}


@pytest.mark.parametrize("label", ALL)
def test_the_same_weights_in_float64(gpu, label):
    ours, numpys = run(gpu.backend(), label, "float64"), reference(label, "float64")
    assert relative_distance(ours.model.params, numpys.model.params) < 1e-9
    np.testing.assert_allclose(ours.history.steps, numpys.history.steps, rtol=1e-7, atol=1e-11)
    assert ours.test.accuracy == numpys.test.accuracy


@pytest.mark.parametrize("label", ALL)
def test_the_same_weights_in_float32_as_far_as_rounding_grows(gpu, label):
    """How far it grows, NumPy's float32 tells beside NumPy's float64."""
    ours, numpys = run(gpu.backend("float32"), label, "float32"), reference(label, "float32")
    exact = reference(label, "float64").model.params
    growth = max(relative_distance(numpys.model.params, exact), 4 * EPS)
    assert growth < 1e-3, "the run itself says nothing"
    assert relative_distance(ours.model.params, exact) < GROWTH * growth
    assert {a.dtype for layer in ours.model.params for a in layer} == {np.dtype("float32")}


def test_an_ensemble_is_its_members_alone(gpu):
    config = Config(
        hidden=(6,), epochs=6, batch_size=8, dtype="float64", learning_rate=0.05, seeds=(0, 3, 7)
    )
    for options in ({"l2": 0.01, "clip_norm": 0.5}, {"record": "loss", "optimizer": "sgd"}):
        configs, data = config.replace(**options).members(), make_dataset()
        for mine, own in zip(fit_many(configs, data, backend=gpu.backend()), configs, strict=True):
            alone = fit(own, data, backend=numpy_backend())
            assert relative_distance(mine.model.params, alone.model.params) < 1e-9
            np.testing.assert_allclose(mine.history.steps, alone.history.steps, rtol=1e-8)


def test_members_that_stop_early_leave_the_others_as_they_are(gpu):
    config = Config(hidden=(7, 5), epochs=30, optimizer="adam", learning_rate=0.05, batch_size=8)
    config = config.replace(dtype="float64", early_stopping=2, seeds=(0, 3, 7))
    data = make_dataset()
    runs = fit_many(config.members(), data, backend=gpu.backend())
    alone = [fit(own, data, backend=numpy_backend()) for own in config.members()]
    assert [len(r.history.epochs) for r in runs] == [len(r.history.epochs) for r in alone]
    assert len({len(r.history.epochs) for r in runs}) > 1
    for mine, own in zip(runs, alone, strict=True):
        assert relative_distance(mine.model.params, own.model.params) < 1e-9


@pytest.mark.parametrize(
    "options", [{}, {"record": "loss", "optimizer": "sgd"}], ids=["all", "loss"]
)
def test_same_seed_same_bits(gpu, options):
    config = Config(hidden=(40, 30), epochs=4, batch_size=16, **options)
    data = make_dataset(rows=300, dtype="float32")
    one, two = (fit(config, data, backend=gpu.backend("float32")) for _ in "ab")
    for mine, other in zip(one.model.params, two.model.params, strict=True):
        np.testing.assert_array_equal(mine.W, other.W)
        np.testing.assert_array_equal(mine.b, other.b)
    np.testing.assert_array_equal(one.history.steps, two.history.steps)


@pytest.mark.parametrize("towards", ["the GPU", "the CPU"])
def test_a_checkpoint_goes_on_elsewhere(gpu, towards, tmp_path):
    config = Config(hidden=(6,), epochs=6, batch_size=8, dtype="float64", optimizer="adam")
    data, file = make_dataset(), tmp_path / "checkpoint.safetensors"
    places = [gpu.backend(), numpy_backend()]
    first, second = places if towards == "the CPU" else reversed(places)
    begun = Trainer(config, data, first)
    for record in begun.epochs():
        if record.epoch == 3:
            break
    begun.checkpoint().save(file)
    resumed = Trainer(config, data, second)
    resumed.resume(Checkpoint.load(file))
    assert len(list(resumed.epochs())) == 3
    whole = fit(config, data, backend=numpy_backend())
    assert relative_distance(finish(resumed).model.params, whole.model.params) < 1e-9
    np.testing.assert_allclose(resumed.history.steps, whole.history.steps, rtol=1e-8)
