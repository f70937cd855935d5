"""No array of the mathematics is made on a default device: those of another would refuse it."""

import array_api_strict
import numpy as np
import pytest
from hypothesis import given, settings

from tests.compiler.test_plan import problems
from tests.conftest import load_or_skip
from tests.problems import make_dataset, make_regression, relative_distance
from tests.thorough import examples
from xpmlp.backends.base import Backend
from xpmlp.backends.registry import load, select_backend
from xpmlp.errors import InputError
from xpmlp.leaves import leaves
from xpmlp.nn.activations import ACTIVATIONS
from xpmlp.nn.initializers import initialize
from xpmlp.nn.losses import LOSSES
from xpmlp.optim import OPTIMIZERS
from xpmlp.runs.fitting import fit, fit_many
from xpmlp.training.config import Config
from xpmlp.training.gradient_check import check_gradients
from xpmlp.training.step import initial_state, make_step
from xpmlp.types import Batch

SMALL = Config(hidden=(5, 4), epochs=2, batch_size=8, learning_rate=0.01, dtype="float64")
RUNS = {
    **{f"activation {name}": {"activation": (name,)} for name in ACTIVATIONS},
    **{f"optimizer {name}": {"optimizer": name, "l2": 0.01} for name in OPTIMIZERS},
    "softmax": {"loss": "softmax_cross_entropy", "label_smoothing": 0.1},
    "binary": {"loss": "binary_cross_entropy"},
    "squares": {"loss": "mean_squared_error"},
    "penalties": {"l2": 0.01, "l1": 0.01, "l2_per": "row", "clip_norm": 0.1},
    "dropout": {"dropout": (0.3, 0.5), "record": "loss"},
    "early stopping": {"early_stopping": 1, "epochs": 4},
    "linear net, all rows": {"hidden": (), "batch_size": 0},
}


@pytest.fixture
def device1() -> Backend:
    return load("array-api-strict", "device1", "float64")


def assert_same(ours, numpys) -> None:
    assert relative_distance(ours.model.params, numpys.model.params) < 1e-12
    np.testing.assert_allclose(ours.history.steps, numpys.history.steps, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(ours.test.logits, numpys.test.logits, rtol=1e-10, atol=1e-12)
    assert ours.record.validation_loss == pytest.approx(numpys.record.validation_loss, rel=1e-12)


@pytest.mark.parametrize("label", RUNS)
def test_nets_train_as_on_numpy(device1, label):
    config = SMALL.replace(**RUNS[label])
    assert_same(
        *(fit(config, make_dataset(), backend=one) for one in (device1, load_or_skip("numpy")))
    )


def test_regression_trains_as_on_numpy(device1):
    assert_same(
        *(fit(SMALL, make_regression(), backend=one) for one in (device1, load_or_skip("numpy")))
    )


@pytest.mark.parametrize("optimizer", ["adam", "nesterov"])
def test_ensembles_train_as_on_numpy(device1, optimizer):
    config = SMALL.replace(seeds=(0, 1, 2), optimizer=optimizer, dropout=(0.3,), clip_norm=0.1)
    ours, numpys = (
        fit_many(config.members(), make_dataset(), backend=one)
        for one in (device1, load_or_skip("numpy"))
    )
    for one, other in zip(ours, numpys, strict=True):
        assert_same(one, other)


@settings(max_examples=examples(40, few=10), deadline=None)
@given(problem=problems())
def test_steps_of_any_kind(problem):
    """With row weights, members with orders and rates of their own, penalties, dropout."""
    objective, params, rows, plan, hyper, dtype = problem

    def states(backend):
        step = backend.compile(lambda xp: make_step(xp, objective))
        with backend.running():
            start = backend.put((params, np.array(0)))
            state = initial_state(backend.xp, objective, *start)
            data, numbers = backend.put((rows, hyper))
            state, metrics = Backend.run_epoch(backend, step, state, data, plan, numbers)
        return [*leaves(backend.fetch(state)), metrics]

    tolerance = 2**11 * np.finfo(dtype).eps
    both = (load("array-api-strict", "device1", dtype), load_or_skip("numpy", dtype))
    for mine, theirs in zip(*map(states, both), strict=True):
        largest = np.max(np.abs(theirs), initial=1e-3)
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=tolerance * largest)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_losses_of_any_kind(device1, name, weighted):
    rng = np.random.default_rng(0)
    z, t = rng.standard_normal((6, 3)), np.eye(3)[rng.integers(0, 3, 6)]
    arrays, xp = (z, t, rng.random(6) + 0.5 if weighted else None), device1.xp
    ours = LOSSES[name].function(xp, *device1.put(arrays))
    for mine, theirs in zip(ours, LOSSES[name].function(np, *arrays), strict=True):
        np.testing.assert_allclose(device1.to_numpy(mine), theirs, rtol=1e-12)
    predicted = device1.to_numpy(LOSSES[name].predict(xp, device1.asarray(z)))
    np.testing.assert_allclose(predicted, LOSSES[name].predict(np, z), rtol=1e-12)


def test_gradients_are_checked_there(device1):
    data, rng = make_dataset(), np.random.default_rng(0)
    checks = check_gradients(
        device1,
        initialize(np, rng, (4, 5, 3), bias_std=0.5),
        Batch(data.train.x, data.train.y),
        activations=("tanh",),
        loss="softmax_cross_entropy",
    )
    assert [check.verdict for check in checks] == ["CORRECT"] * 4


@pytest.mark.parametrize("device", ["device2", "no_float64"])
def test_float32_trains_on_the_other_devices(device):
    if f"Device('{device}')" not in str(array_api_strict.__array_namespace_info__().devices()):
        pytest.skip(f"this array-api-strict has no {device}")
    config, data = SMALL.replace(dtype="float32"), make_dataset(dtype="float32")
    ours = fit(config, data, backend=load("array-api-strict", device, "float32"))
    numpys = fit(config, data, backend=load_or_skip("numpy", "float32"))
    assert relative_distance(ours.model.params, numpys.model.params) < 1e-5


@pytest.mark.parametrize(
    ("device", "dtype", "lacks"),
    [("no_float64", "float64", "float64"), ("no_x64", "float32", "int64")],
)
def test_a_device_without_a_dtype_is_refused(device, dtype, lacks):
    if f"Device('{device}')" not in str(array_api_strict.__array_namespace_info__().devices()):
        pytest.skip(f"this array-api-strict has no {device}")
    with pytest.raises(InputError, match=f"has no {lacks} on its device {device}$"):
        load("array-api-strict", device, dtype)


def test_the_command_line_does_not_know_these_devices():
    with pytest.raises(InputError, match="device"):
        select_backend("array-api-strict", "device1")


def test_it_describes_its_device(device1):
    assert device1.describe()["device"] == "device1"
