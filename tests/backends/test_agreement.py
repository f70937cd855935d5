"""One text, five libraries: the same run on each differs by rounding alone."""

import numpy as np
import pytest

from tests.conftest import CPU_BACKENDS, load_or_skip
from tests.native import LARGE, compiled_quickly, cut, native_or_skip, programs
from tests.problems import make_dataset, note_steps, relative_distance
from xpmlp.backends.base import Backend, EpochPlan
from xpmlp.backends.planned import PlannedBackend
from xpmlp.runs.fitting import fit
from xpmlp.training.config import Config

TWO_HUNDRED_STEPS = {"epochs": 20, "batch_size": 32, "lr_schedule": "cosine", "dtype": "float64"}
RUNS = {
    "relu-momentum": {"hidden": (12, 8), "activation": ("relu",), "learning_rate": 0.05},
    "sigmoid-sgd-l2": {
        "hidden": (10,),
        "activation": ("sigmoid",),
        "optimizer": "sgd",
        "learning_rate": 0.5,
        "l2": 0.01,
    },
    "gelu-adam-clipped": {
        "hidden": (9,),
        "activation": ("gelu",),
        "optimizer": "adam",
        "learning_rate": 0.01,
        "clip_norm": 0.5,
    },
    "silu-adamw-l1-binary": {
        "hidden": (6, 6),
        "activation": ("silu", "tanh"),
        "optimizer": "adamw",
        "learning_rate": 0.01,
        "l2": 0.1,
        "l1": 0.001,
        "loss": "binary_cross_entropy",
    },
    "tanh-muon-l2": {
        "hidden": (12, 8),
        "activation": ("tanh",),
        "optimizer": "muon",
        "learning_rate": 0.01,
        "l2": 0.1,
    },
    "tanh-relu-dropout": {
        "hidden": (12, 10),
        "activation": ("tanh", "relu"),
        "learning_rate": 0.05,
        "dropout": (0.2, 0.5),
    },
    "depth0-nesterov-mse": {
        "hidden": (),
        "optimizer": "nesterov",
        "learning_rate": 0.01,
        "loss": "mean_squared_error",
    },
}


def run(name: str, options: dict):
    """300 training rows in batches of 32: nine full steps and a ragged one, 20 times."""
    config = Config(**TWO_HUNDRED_STEPS, **options)
    return fit(config, make_dataset(rows=900), backend=load_or_skip(name))


@pytest.fixture(scope="module")
def reference():
    return {label: run("numpy", options) for label, options in RUNS.items()}


@pytest.mark.parametrize("label", RUNS)
@pytest.mark.parametrize("name", [name for name in CPU_BACKENDS if name != "numpy"])
def test_200_steps_end_at_the_same_weights(name, label, reference):
    ours, numpys = run(name, RUNS[label]), reference[label]
    assert len(ours.history.steps) == 200
    assert relative_distance(ours.model.params, numpys.model.params) < 1e-9
    np.testing.assert_allclose(ours.history.steps, numpys.history.steps, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(ours.test.logits, numpys.test.logits, rtol=1e-8, atol=1e-10)
    assert ours.test.accuracy == numpys.test.accuracy
    assert {a.dtype for layer in ours.model.params for a in layer} == {np.dtype("float64")}


@pytest.mark.parametrize("label", RUNS)
@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_200_planned_steps_are_the_steps_as_written(name, label, monkeypatch):
    planned = run(name, RUNS[label])
    assert planned.trainer.problem.step.plans.kept
    monkeypatch.setattr(PlannedBackend, "run_epoch", Backend.run_epoch)
    written = run(name, RUNS[label])
    assert not written.trainer.problem.step.plans.kept
    assert relative_distance(planned.model.params, written.model.params) < 1e-12
    np.testing.assert_allclose(planned.history.steps, written.history.steps, rtol=1e-11)


@pytest.mark.parametrize("label", RUNS)
def test_200_compiled_steps_end_at_the_same_weights(label, reference):
    native_or_skip()
    with cut(LARGE), compiled_quickly():
        ours = run("numpy", RUNS[label] | {"compile": "always", "threads": 2})
    numpys, problem = reference[label], ours.trainer.problem
    assert programs(problem.step)
    assert problem.evaluator.evaluation.why_not == ""
    assert relative_distance(ours.model.params, numpys.model.params) < 1e-9
    np.testing.assert_allclose(ours.history.steps, numpys.history.steps, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(ours.test.logits, numpys.test.logits, rtol=1e-8, atol=1e-10)
    assert ours.test.accuracy == numpys.test.accuracy


def test_the_run_learned_something(reference):
    for result in reference.values():
        assert result.history.epochs[-1].train_loss < 0.7 * result.history.steps[0, 0]


def test_same_seed_same_bits(backend):
    config = Config(hidden=(7,), epochs=3, batch_size=16, backend=backend.name, dtype="float64")
    data = make_dataset()
    one, two = fit(config, data, backend=backend), fit(config, data, backend=backend)
    other = fit(config.replace(seed=1), data, backend=backend)
    assert all(
        (a == b).all()
        for p, q in zip(one.model.params, two.model.params, strict=True)
        for a, b in zip(p, q, strict=True)
    )
    assert (one.history.steps == two.history.steps).all()
    assert (one.model.params[0].W != other.model.params[0].W).any()


@pytest.mark.parametrize("name", CPU_BACKENDS)
def test_float32_stays_float32(name):
    backend = load_or_skip(name, "float32")
    for optimizer in (
        "sgd",
        "momentum",
        "nesterov",
        "rmsprop",
        "adam",
        "adam_epsilon_hat",
        "adamw",
        "muon",
    ):
        config = Config(hidden=(5,), epochs=2, optimizer=optimizer, learning_rate=0.01, l2=0.01)
        result = fit(config, make_dataset(dtype="float32"), backend=backend)
        assert {a.dtype for layer in result.model.params for a in layer} == {np.dtype("float32")}
        assert str(result.trainer.state.params[0].W.dtype).endswith("float32")


def test_members_may_have_their_own_order_and_rate(backend):
    """Three members in one run, each equal to the run it would be alone."""
    from xpmlp.nn.initializers import initialize
    from xpmlp.training.step import Objective, initial_state, make_step
    from xpmlp.types import Affine, Batch, Hyper

    data, rng = make_dataset(), np.random.default_rng(3)
    objective = Objective(("tanh",), "softmax_cross_entropy", "momentum", l2=True, clip_norm=1.0)
    singles = [initialize(np, rng, (4, 6, 3), bias_std=0.1) for _ in range(3)]
    orders = np.stack([rng.permutation(30) for _ in range(3)])
    rates, l2 = np.array([0.3, 0.1, 0.03]), np.array([0.0, 0.01, 0.1])
    step = backend.compile(lambda xp: make_step(xp, objective))
    rows = backend.put(Batch(data.train.x, data.train.y))

    def train(params, order, rate, l2):
        state = initial_state(
            backend.xp, objective, backend.put(params), backend.asarray(np.asarray(0))
        )
        hyper = backend.put(Hyper(rate, l2, np.float64(0.0), np.float64(0.9)))
        plan = EpochPlan(order, 8, np.stack([rate] * 4))
        state, metrics = backend.run_epoch(step, state, rows, plan, hyper)
        return backend.fetch(state.params), metrics

    members = tuple(
        Affine(*(np.stack(leaves) for leaves in zip(*layers, strict=True)))
        for layers in zip(*singles, strict=True)
    )
    together, metrics = train(members, orders, rates, l2)
    for k in range(3):
        alone, own = train(singles[k], orders[k], rates[k], l2[k])
        mine = tuple(Affine(layer.W[k], layer.b[k]) for layer in together)
        assert relative_distance(mine, alone) < 1e-13
        np.testing.assert_allclose(metrics[..., k], own, rtol=1e-12)


def test_jax_traces_the_step_once_for_the_scan_and_once_for_the_tail(monkeypatch):
    """Python sees the step twice however many steps and epochs run: the rest is compiled."""
    backend, seen = load_or_skip("jax"), note_steps(monkeypatch)
    config = Config(hidden=(5,), epochs=6, batch_size=7, dtype="float64", backend="jax")
    run = fit(config, make_dataset(), backend=backend)
    assert len(run.history.steps) == 6 * 5
    assert len(seen) == 2


def test_an_epoch_moves_its_order_its_rates_and_its_metrics_and_no_more(backend, monkeypatch):
    trainer = fit(
        Config(hidden=(5,), epochs=1, batch_size=7), make_dataset(), backend=backend
    ).trainer
    moves = []
    for name in ("asarray", "to_numpy"):
        move = getattr(backend, name)

        def noted(array, name=name, move=move):
            moves.append((name, tuple(array.shape)))
            return move(array)

        monkeypatch.setattr(backend, name, noted)
    plan, problem = trainer.plan(), trainer.problem
    backend.run_epoch(problem.step, trainer.state, problem.train, plan, trainer.hyper)
    uploads = [shape for name, shape in moves if name == "asarray"]
    assert sum(np.prod(shape, dtype=int) for shape in uploads) == 30 + 5
    assert [shape for name, shape in moves if name == "to_numpy"] == [(5, 5)]


def test_synchronize_waits_for_jax():
    """A long chain of products is handed over at once and done only after the wait."""
    backend = load_or_skip("jax")
    x = backend.asarray(np.eye(900))

    def chain(x):
        for _ in range(12):
            x = backend.xp.matmul(x, x)
        return x

    result = backend.compile(lambda xp: chain)(x)
    backend.synchronize((result, None))
    assert result.is_ready()
