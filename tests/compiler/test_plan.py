"""A step that is replayed from its plan is the step as it is written, within rounding."""

import gc
import tracemalloc
import weakref
from dataclasses import replace

import array_api_compat.numpy as xp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import load_or_skip
from tests.problems import make_dataset
from tests.thorough import examples
from xpmlp.backends.base import Backend, EpochPlan
from xpmlp.backends.numpy.kernels import NumpyKernels
from xpmlp.compiler.plan import Plan
from xpmlp.compiler.recording import NotRecordable
from xpmlp.leaves import leaves, map_tree
from xpmlp.nn.activations import ACTIVATIONS, Activation
from xpmlp.nn.dropout import dropout_rates
from xpmlp.nn.initializers import initialize
from xpmlp.nn.losses import LOSSES
from xpmlp.optim import OPTIMIZERS
from xpmlp.runs.fitting import fit
from xpmlp.training.config import Config
from xpmlp.training.step import Objective, initial_state, make_step
from xpmlp.types import Affine, Batch, Hyper

ROWS, FEATURES, OUTPUTS = 23, 4, 3
PLANNED = ("numpy", "torch")
CANCELLED = 1e-3
# The others divide a gradient by its own size: what rounding leaves of one near zero becomes a
# whole step (of RMSprop's first, ten rates), so that these take small ones, and in float32, where
# no two orders of the same sums agree, none.
LINEAR = ("sgd", "momentum", "nesterov")


def assert_close(ours, expected, roundings=2**11):
    """The same dtype and shape, and values as close as so many roundings of the largest.

    An array that lies below CANCELLED is what cancellation left of larger numbers, of which it
    carries the roundings.
    """
    assert ours.dtype == expected.dtype
    assert ours.shape == expected.shape
    if ours.dtype.kind != "f":
        np.testing.assert_array_equal(ours, expected)
        return
    largest = np.max(np.abs(expected), initial=CANCELLED)
    tolerance = roundings * np.finfo(ours.dtype).eps * largest
    np.testing.assert_allclose(ours, expected, rtol=0, atol=tolerance)


def targets(loss, rng):
    if loss == "softmax_cross_entropy":
        return rng.integers(0, OUTPUTS, ROWS)
    if loss == "binary_cross_entropy":
        return rng.integers(0, 2, (ROWS, OUTPUTS)).astype(float)
    if loss == "poisson":
        return rng.poisson(1.5, (ROWS, OUTPUTS)).astype(float)
    return rng.standard_normal((ROWS, OUTPUTS))


@st.composite
def problems(draw):
    """An objective, data with or without weights, a state of 0 (single) to 3 members, a plan."""
    hidden = draw(st.lists(st.integers(1, 6), max_size=3))
    objective = Objective(
        tuple(draw(st.sampled_from(list(ACTIVATIONS))) for _ in hidden),
        draw(st.sampled_from(list(LOSSES))),
        draw(st.sampled_from(list(OPTIMIZERS))),
        l2=draw(st.booleans()),
        l1=draw(st.booleans()),
        clip_norm=draw(st.sampled_from([None, 0.1])),
        gradient_norms=draw(st.booleans()),
        dropout=dropout_rates([draw(st.sampled_from([0.0, 0.3])) for _ in hidden], len(hidden)),
        l2_per=draw(st.sampled_from(["batch", "row"])),
        frozen=draw(st.integers(0, len(hidden))),
    )
    if objective.loss == "softmax_cross_entropy":
        objective = objective._replace(label_smoothing=draw(st.sampled_from([0.0, 0.1])))
    members, rng = draw(st.integers(0, 3)), np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sizes = (FEATURES, *hidden, OUTPUTS)
    nets = [initialize(np, rng, sizes, bias_std=0.3) for _ in range(max(1, members))]
    params = nets[0]
    if members:
        params = tuple(
            Affine(*(np.stack(leaf) for leaf in zip(*layers, strict=True)))
            for layers in zip(*nets, strict=True)
        )
    weights = rng.random(ROWS) + 0.1 if draw(st.booleans()) else None
    rows = Batch(rng.standard_normal((ROWS, FEATURES)), targets(objective.loss, rng), weights)
    batch_size = draw(st.sampled_from([5, 8, ROWS]))
    order = rng.permutation(ROWS)
    if members and draw(st.booleans()):
        order = np.stack([rng.permutation(ROWS) for _ in range(members)])
    order = order if draw(st.booleans()) else None
    steps = -(-ROWS // batch_size) if order is not None else 2
    linear = objective.optimizer in LINEAR
    largest = 1e-6 if objective.loss == "poisson" else 0.1 if linear else 0.001  # e^z diverges soon
    rates = largest * rng.random((steps, members) if members else steps)
    number = (lambda v: np.full(members, v)) if members else np.float64
    hyper = Hyper(number(0.0), number(0.01), number(0.02), number(0.9))
    if objective.dropout:
        lead = (members,) if members else ()
        hyper = hyper._replace(seed=rng.integers(-(2**31), 2**31, lead, dtype=np.int32))
    dtype = draw(st.sampled_from(["float32", "float64"] if linear else ["float64"]))
    return objective, params, rows, EpochPlan(order, batch_size, rates), hyper, dtype


@settings(max_examples=examples(100, few=40), deadline=None)
@given(problem=problems())
@pytest.mark.parametrize("name", PLANNED)
def test_a_replay_is_the_step(name, problem):
    assert_replays(load_or_skip(name, problem[-1]), problem, Plan)


def assert_replays(backend, problem, kind):
    """Two epochs in the backend's way are those of the step as written; the start stays as it is.

    kind: of what the step must have kept for it.
    """
    objective, params, rows, plan, hyper, _ = problem
    step = backend.compile(lambda xp: make_step(xp, objective))
    with backend.running():
        zero = backend.asarray(np.array(0))
        start = initial_state(backend.xp, objective, backend.put(params), zero)
        before = map_tree(np.copy, backend.fetch(start))
        data, hyper = backend.put(rows), backend.put(hyper)
        once = backend.run_epoch(step, start, data, plan, hyper)
        again = backend.run_epoch(step, once[0], data, plan, hyper)
        written = Backend.run_epoch(backend, step, start, data, plan, hyper)
        both = Backend.run_epoch(backend, step, written[0], data, plan, hyper)
    assert step.plans.kept
    assert all(isinstance(kept, kind) for kept in step.plans.kept.values())
    for ours, expected in ((once, written), (again, both)):
        for mine, theirs in zip(leaves(ours[0]), leaves(expected[0]), strict=True):
            assert_close(backend.to_numpy(mine), backend.to_numpy(theirs))
        assert_close(ours[1], expected[1])
    for was, now in zip(leaves(before), leaves(backend.fetch(start)), strict=True):
        np.testing.assert_array_equal(now, was)


def small_step(objective):
    backend, rng = load_or_skip("numpy"), np.random.default_rng(0)
    rows = Batch(rng.standard_normal((64, 300)), rng.integers(0, 3, 64))
    params = initialize(np, rng, (300, 200, 3))
    state = initial_state(xp, objective, params, np.asarray(0))
    hyper = backend.put(Hyper(*map(np.float64, (0.1, 0.01, 0.0, 0.9))))
    return Plan(NumpyKernels(), xp, lambda xp: make_step(xp, objective), state, rows, hyper)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_replay_allocates_nothing(optimizer):
    plan = small_step(Objective(("relu",), "softmax_cross_entropy", optimizer, l2=True))
    plan.run()
    tracemalloc.start()
    for _ in range(20):
        plan.run()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < plan.state.params[0].W.nbytes / 4  # NumPy buffers 8,192 numbers of an operation


def test_new_weights_are_written_over_the_old():
    """Nothing is copied home at the end: weights and velocities are written where they lie."""
    objective = Objective(("relu",), "softmax_cross_entropy", "momentum")
    plan = small_step(objective)
    homes = {id(leaf) for leaf in leaves(plan.state)}
    written = {id(call.args[-1]) for call in plan.calls if call.args}
    assert homes <= written


def test_a_mathematics_that_cannot_be_recorded_runs_as_it_is_written(monkeypatch):
    """An activation with a function that plans don't know trains all the same."""
    config = Config(hidden=(5,), epochs=2, batch_size=8, dtype="float64")
    sine = Activation(lambda xp, z: xp.sin(z), lambda xp, z, a: xp.cos(z))
    monkeypatch.setitem(ACTIVATIONS, "tanh", sine)
    run = fit(config.replace(activation="tanh"), make_dataset(), backend=load_or_skip("numpy"))
    (reason,) = run.trainer.problem.step.plans.kept.values()
    assert reason == "sin is not among the recorded operations"
    strict = fit(
        config.replace(activation="tanh"), make_dataset(), backend=load_or_skip("array-api-strict")
    )
    np.testing.assert_allclose(run.history.steps, strict.history.steps, rtol=1e-10)


def test_a_step_that_depends_on_a_value_is_refused():
    def make(xp):
        def step(state, batch, hyper):
            return (state, batch) if batch > 0 else (state, hyper)

        return step

    with pytest.raises(NotRecordable, match="depends on a value"):
        Plan(NumpyKernels(), xp, make, np.ones(2), np.ones(2), np.ones(2))


def test_the_trainer_replays(monkeypatch):
    run = fit(
        Config(hidden=(5,), epochs=3, batch_size=8), make_dataset(), backend=load_or_skip("numpy")
    )
    assert len(run.trainer.problem.step.plans.kept) == 2  # full batches and the ragged tail


def test_plans_do_not_pile_up():
    backend = load_or_skip("numpy")
    objective = Objective((), "softmax_cross_entropy", "sgd")
    step = backend.compile(lambda xp: make_step(xp, objective))
    rng = np.random.default_rng(0)
    rows = backend.put(Batch(rng.standard_normal((40, 2)), rng.integers(0, 2, 40)))
    hyper = backend.put(Hyper(*map(np.float64, (0.1, 0.0, 0.0, 0.9))))
    state = initial_state(xp, objective, initialize(np, rng, (2, 2)), np.asarray(0))
    for batch_size in range(1, 30):
        plan = EpochPlan(np.arange(batch_size), batch_size, np.ones(1))
        backend.run_epoch(step, state, rows, plan, hyper)
    assert len(step.plans.kept) == 8


def two(function):
    """A step over a state of two leaves; its metrics are a sum."""

    def make(xp):
        def step(state, batch, hyper):
            return function(xp, *state), xp.sum(state[0] * batch)

        return step

    return make


@pytest.mark.parametrize(
    "function",
    [
        lambda xp, a, b: (a + b, a),
        lambda xp, a, b: (b, a),
        lambda xp, a, b: ((a + b),) * 2,
        lambda xp, a, b: (a + 1.0, xp.reshape(a, (3,))),
        lambda xp, a, b: (xp.reshape(b, (3,)), xp.reshape(a, (3,))),
        lambda xp, a, b: (xp.zeros_like(a), b + 1.0),
        lambda xp, a, b: (a * np.float64(2.0), b),
        lambda xp, a, b: (a**2, b),
        lambda xp, a, b: (abs(a), b),
        lambda xp, a, b: (a + xp.reshape(xp.ones_like(a), (3,)), b),
        lambda xp, a, b: (a + 1.0, b),
        lambda xp, a, b: (a, b * 2.0),
        lambda xp, a, b: (a + b, a - b),
        lambda xp, a, b: (b + a, xp.astype(xp.astype(a, xp.int32), xp.float32)),
        lambda xp, a, b: (xp.sum(xp.stack([a, b], axis=1), axis=-1), b),
        lambda xp, a, b: (xp.where(a > b, a, 7.0), xp.where(a < b, b, a)),
    ],
)
def test_whatever_a_step_does_its_replay_is_that_or_refused(function):
    make = two(function)
    state = (np.array([1, 2, 3], np.float32), np.array([3, 2, 1], np.float32))
    batch, hyper = np.ones(3, np.float32), np.ones(3, np.float32)
    try:
        plan = Plan(NumpyKernels(), xp, make, state, batch, hyper)
    except NotRecordable:
        return
    for _ in range(3):
        state, metrics = make(xp)(state, batch, hyper)
        plan.run()
        assert_close(plan.metrics, metrics)
        for ours, expected in zip(plan.state, state, strict=True):
            assert_close(ours, expected)


@pytest.mark.parametrize("name", PLANNED)
@pytest.mark.parametrize(
    "function",
    [
        lambda xp, a, b: xp.stack([xp.stack([xp.sum(a), xp.sum(b)]), xp.stack([xp.max(a)] * 2)]),
        lambda xp, a, b: (lambda c: c - c[:1, :])(a * b),
        lambda xp, a, b: (lambda c: c - xp.matrix_transpose(c))(a * b),
        lambda xp, a, b: xp.astype(xp.astype(a * 4.0, xp.int64), a.dtype) * 0.5,
        lambda xp, a, b: xp.sum(a, axis=0, keepdims=True) * b,
        lambda xp, a, b: xp.astype(a, a.dtype, copy=False) + b,
        lambda xp, a, b: xp.vecdot(a, b, axis=0) + b[0, :],
        lambda xp, a, b: a[[0, 1], :] * 2.0,
    ],
)
def test_unusual_operations_are_right_or_refused(name, function):
    backend = load_or_skip(name)
    rng = np.random.default_rng(0)
    state = tuple(backend.asarray(rng.standard_normal((3, 3))) for _ in range(2))

    def make(xp):
        return lambda state, batch, hyper: (state, function(xp, *state) * 1.0)

    try:
        plan = Plan(backend.kernels, backend.xp, make, state, state[0], state[1])
    except NotRecordable:
        return
    plan.run()
    expected = backend.to_numpy(function(backend.xp, *state))
    assert_close(backend.to_numpy(plan.metrics), expected * 1.0)


@pytest.mark.parametrize("name", PLANNED)
def test_initial_weights_and_rows_may_lie_column_by_column(name):
    data, config = make_dataset(), Config(hidden=(5,), batch_size=8, epochs=2, l2=0.01)
    turned = replace(
        data, train=replace(data.train, x=np.asfortranarray(data.train.x.astype("float32")))
    )
    backend = load_or_skip(name, "float32")
    params = initialize(np, np.random.default_rng(0), (4, 5, 3))
    columns = tuple(Affine(np.asfortranarray(layer.W), layer.b) for layer in params)
    run = fit(config, turned, backend=backend, initial=columns)
    same = fit(config, data, backend=backend, initial=params)
    assert all(isinstance(plan, Plan) for plan in run.trainer.problem.step.plans.kept.values())
    for ours, theirs in zip(leaves(run.model.params), leaves(same.model.params), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_refused_step_keeps_nothing_alive(monkeypatch):
    """What can't be planned is remembered by its reason alone, and the data is freed after it."""
    sine = Activation(lambda xp, z: xp.sin(z), lambda xp, z, a: xp.cos(z))
    monkeypatch.setitem(ACTIVATIONS, "tanh", sine)
    backend, alive = load_or_skip("numpy"), []
    for activation in ("tanh", "relu"):
        config = Config(hidden=(5,), activation=activation, epochs=3, batch_size=0)
        run = fit(config, make_dataset(), backend=backend)
        alive.append(weakref.ref(run.trainer.problem.train.x))
        del run
    gc.collect()
    assert [reference() for reference in alive] == [None, None]


def test_recording_needs_little_more_memory_than_the_step():
    objective = Objective(("gelu", "gelu"), "softmax_cross_entropy", "sgd")
    backend, rng = load_or_skip("numpy"), np.random.default_rng(0)
    rows = Batch(rng.standard_normal((2000, 4)), rng.integers(0, 3, 2000))
    params = initialize(np, rng, (4, 300, 300, 3))
    state = initial_state(xp, objective, params, np.asarray(0))
    hyper = backend.put(Hyper(*map(np.float64, (0.1, 0.0, 0.0, 0.9))))

    def peak(function):
        tracemalloc.start()
        function()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    written = peak(lambda: make_step(xp, objective)(state, rows, hyper))
    make = lambda xp: make_step(xp, objective)  # noqa: E731
    recorded = peak(lambda: Plan(backend.kernels, xp, make, state, rows, hyper))
    assert recorded < 2.5 * written


def test_large_products_of_pytorch_give_the_same_steps(monkeypatch):
    """Every product through oneDNN, and every one that a single operation reads uncopied."""
    kernels = pytest.importorskip("xpmlp.backends.torch.kernels", reason="torch is not installed")
    config = Config(hidden=(7, 5), epochs=3, batch_size=8, optimizer="sgd", record="loss")
    backend = load_or_skip("torch", "float32")
    small = fit(config, make_dataset(), backend=backend)
    monkeypatch.setattr(kernels, "LARGE", 1)
    monkeypatch.setattr(kernels, "LARGE_TRANSPOSED", 1)
    large = fit(config, make_dataset(), backend=backend)
    for ours, theirs in zip(leaves(large.model.params), leaves(small.model.params), strict=True):
        assert_close(ours, theirs)


def test_metrics_that_are_a_part_of_the_state_are_refused():
    def make(xp):
        return lambda state, batch, hyper: ((state + 1.0), state)

    with pytest.raises(NotRecordable, match="the metrics are no array of their own"):
        Plan(NumpyKernels(), xp, make, np.ones(2), np.ones(2), np.ones(2))


def test_what_was_recorded_once_is_not_recorded_again(monkeypatch):
    backend, made = load_or_skip("numpy"), []
    sine = Activation(lambda xp, z: xp.sin(z), lambda xp, z, a: xp.cos(z))
    monkeypatch.setitem(ACTIVATIONS, "tanh", sine)
    record = Plan.__init__
    monkeypatch.setattr(Plan, "__init__", lambda *a: (made.append(1), record(*a))[1])
    for activation in ("relu", "tanh"):
        config = Config(hidden=(3,), activation=activation, epochs=4, batch_size=0)
        fit(config, make_dataset(), backend=backend)
    assert len(made) == 2
