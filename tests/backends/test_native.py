"""Epochs as programs of the processor are the epochs as written; the same bits however they run."""

import subprocess
import sys
from threading import Thread

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.compiler.test_plan import assert_close, problems
from tests.native import (
    LARGE,
    SMALL,
    assert_same_bits,
    compiled_quickly,
    compiled_step,
    cut,
    native_or_skip,
    programs,
    turned,
)
from tests.thorough import examples
from xpmlp.backends.base import Backend, EpochPlan
from xpmlp.backends.numpy import native, native_jobs
from xpmlp.backends.numpy.blas import NoBlas
from xpmlp.compiler import building
from xpmlp.compiler.building import NoCompiler
from xpmlp.leaves import leaves, map_tree
from xpmlp.nn.activations import ACTIVATIONS, Activation
from xpmlp.nn.initializers import initialize
from xpmlp.nn.losses import LOSSES
from xpmlp.optim import OPTIMIZERS
from xpmlp.training.step import Objective, initial_state
from xpmlp.types import Batch, Hyper

ROWS = 53
NORMS = {"gradient_norms": True, "clip_norm": 0.5, "l2": True, "l1": True}
DEEP = Objective(
    ("tanh", "relu", "gelu", "sigmoid"), "softmax_cross_entropy", "momentum", **NORMS
)._replace(dropout=(0.2, 0.0, 0.0, 0.1))
DEEP_SIZES = (4, 40, 16, 33, 16, 33)


def targets_of(loss, rng, rows, outputs):
    if loss == "softmax_cross_entropy":
        return rng.integers(0, outputs, rows)
    if loss == "poisson":
        return rng.poisson(1.5, (rows, outputs)).astype(float)
    return rng.integers(0, 2, (rows, outputs)).astype(float)


def problem_of(backend, objective, sizes, rows=ROWS, weights=False, batch_size=20, in_place=False):
    """Return state, data, plan and numbers of a small net."""
    rng = np.random.default_rng(0)
    t = targets_of(objective.loss, rng, rows, sizes[-1])
    data = Batch(rng.standard_normal((rows, sizes[0])), t, rng.random(rows) if weights else None)
    params = backend.put(initialize(np, rng, sizes, bias_std=0.3))
    state = initial_state(backend.xp, objective, params, backend.asarray(np.array(0)))
    seed = np.asarray(7, np.int32) if objective.dropout else None
    hyper = Hyper(*map(np.float64, (0.0, 0.01, 0.002, 0.9)), seed)
    steps = 3 if in_place else -(-rows // batch_size)
    rate = 1e-3 if objective.optimizer in ("momentum", "sgd", "nesterov") else 1e-4
    order = None if in_place else rng.permutation(rows)
    plan = EpochPlan(order, batch_size, rate * (1 + rng.random(steps)))
    return state, backend.put(data), plan, backend.put(hyper)


def assert_native(backend, step, state, data, plan, hyper):
    """Compare two epochs with those as written, then tile by tile, and in any number of threads."""
    before = map_tree(np.copy, (state, data, hyper))
    with backend.running():
        once = backend.run_epoch(step, state, data, plan, hyper)
        written = Backend.run_epoch(backend, step.function, state, data, plan, hyper)
        again = backend.run_epoch(step, once[0], data, plan, hyper)
        both = Backend.run_epoch(backend, step.function, written[0], data, plan, hyper)
        programs(step)
        for ours, expected in ((once, written), (again, both)):
            for mine, theirs in zip(leaves(ours), leaves(expected), strict=True):
                assert_close(mine, theirs)
        turned(step)
        for step.threads in (1, 2, 3, 5):
            assert_same_bits(backend.run_epoch(step, state, data, plan, hyper), once)
    assert_same_bits((state, data, hyper), before)
    return once


def of_member(tree, k):
    return map_tree(lambda leaf: leaf[k].copy() if leaf.ndim else leaf, tree)


@settings(max_examples=examples(40, few=3), deadline=None)
@given(
    problem=problems(),
    sizes=st.sampled_from([SMALL, LARGE, LARGE | {"SMALL_TASK": 0}, LARGE | {"WIDE": 64}]),
    parts=st.sampled_from([1, 2, 3, 5]),
)
def test_random_nets(problem, sizes, parts):
    """Members are each what they are alone, to the bit."""
    objective, params, rows, plan, hyper, dtype = problem
    backend = native_or_skip(dtype)
    with cut(sizes), compiled_quickly(), backend.running():
        step = compiled_step(backend, objective, parts=parts)
        zero = backend.asarray(np.array(0))
        state = initial_state(backend.xp, objective, backend.put(params), zero)
        data, hyper = backend.put(rows), backend.put(hyper)
        together, metrics = assert_native(backend, step, state, data, plan, hyper)
        for k in range(plan.learning_rates.shape[1] if plan.learning_rates.ndim == 2 else 0):
            order = plan.order if plan.order is None or plan.order.ndim == 1 else plan.order[k]
            own = EpochPlan(order, plan.batch_size, plan.learning_rates[:, k])
            alone = backend.run_epoch(step, of_member(state, k), data, own, of_member(hyper, k))
            assert_same_bits(alone, (of_member(together, k), metrics[..., k]))


def deep(dtype="float64", **options):
    """Return backend, step, state, data, plan and numbers of a net of five layers."""
    backend = native_or_skip(dtype)
    step = compiled_step(backend, DEEP)
    return backend, step, *problem_of(backend, DEEP, DEEP_SIZES, **options)


@pytest.mark.parametrize(
    "sizes", [LARGE, LARGE | {"WIDE": 64}, SMALL], ids=["large", "wide", "small"]
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_deep_net_that_is_clipped(dtype, sizes):
    """Norms of several layers, what clips by them, and updates end one after the other."""
    with cut(sizes), compiled_quickly():
        assert_native(*deep(dtype))


def test_an_epoch_in_pieces_is_the_whole():
    with cut(LARGE), compiled_quickly():
        backend, step, state, data, plan, hyper = deep()
        whole = backend.run_epoch(step, state, data, plan, hyper)
        metrics = []
        for piece in (slice(0, 1), slice(1, 3)):
            rows = slice(piece.start * 20, piece.stop * 20)
            part = EpochPlan(plan.order[rows], 20, plan.learning_rates[piece])
            state, values = backend.run_epoch(step, state, data, part, hyper)
            metrics.append(values)
    assert_same_bits((state, np.concatenate(metrics)), whole)


def test_calls_of_few_steps_are_one_of_many(monkeypatch):
    with cut(LARGE), compiled_quickly():
        backend, step, *problem = deep()
        whole = backend.run_epoch(step, *problem)
        monkeypatch.setattr(native_jobs, "SECONDS", 0.0)
        assert_same_bits(backend.run_epoch(step, *problem), whole)


def as_columns(array):
    return np.asfortranarray(array)


def every_second_row(array):
    return np.repeat(array, 2, axis=0)[::2]


def every_second_column(array):
    return np.repeat(array, 2, axis=-1)[..., ::2]


def turned_round(array):
    return array[::-1].copy()[::-1]


def only_readable(array):
    array = array.copy()
    array.setflags(write=False)
    return array


LAYOUTS = (as_columns, every_second_row, every_second_column, turned_round, only_readable)


@pytest.mark.parametrize("in_place", [False, True], ids=["gathered", "in place"])
def test_arrays_may_lie_anyhow(in_place):
    with cut(LARGE), compiled_quickly():
        backend, step, *problem = deep(in_place=in_place)
        state, data, plan, hyper = problem
        expected = backend.run_epoch(step, *problem)
        for lay in LAYOUTS:
            laid = map_tree(lambda array: lay(array) if array.ndim else array, (state, data))  # noqa: B023
            before = map_tree(np.copy, laid)
            assert_same_bits(backend.run_epoch(step, *laid, plan, hyper), expected)
            assert_same_bits(laid, before)
        programs(step)


SHAPES = {
    "one column, one output": ((1, 1), "mean_squared_error"),
    "one unit": ((1, 1, 1), "binary_cross_entropy"),
    "two classes": ((3, 5, 2), "softmax_cross_entropy"),
    "as many units as rows": ((20, 20, 20), "huber"),
    "as many classes as rows": ((4, 6, 20), "softmax_cross_entropy"),
    "as many in as out": ((7, 7, 7, 7), "mean_absolute_error"),
    "wide": ((130, 3, 140, 2), "softmax_cross_entropy"),
    "long rows": ((5, 1030, 3), "poisson"),
}


@pytest.mark.parametrize("batch", [{"batch_size": 1}, {}, {"in_place": True}], ids=str)
@pytest.mark.parametrize("label", SHAPES)
def test_shapes(label, batch):
    sizes, loss = SHAPES[label]
    backend = native_or_skip()
    hidden = len(sizes) - 2
    objective = Objective(("tanh",) * hidden, loss, "adam", **NORMS, dropout=(0.3,) * hidden)
    rows = 20 if "rows" in label else ROWS
    with cut(LARGE | {"SMALL_TASK": 0, "WIDE": 64}), compiled_quickly():
        step = compiled_step(backend, objective, parts=3)
        assert_native(backend, step, *problem_of(backend, objective, sizes, rows, **batch))


@pytest.mark.parametrize(
    ("k", "sizes"),
    [*((k, LARGE) for k in range(len(ACTIVATIONS))), *((k, SMALL) for k in (0, 5, 7))],
)
def test_every_activation_loss_and_optimizer(k, sizes):
    """Each at least once, at depths 1 to 4, with vectors as the processor has them."""
    names, depth = tuple(ACTIVATIONS), 1 + k % 4
    objective = Objective(
        tuple(names[(k + i) % len(names)] for i in range(depth)),
        tuple(LOSSES)[k % len(LOSSES)],
        tuple(OPTIMIZERS)[k % len(OPTIMIZERS)],
        l2=k % 3 > 0,
        l1=k % 4 == 1,
        clip_norm=0.5 if k % 2 else None,
        frozen=int(k % 4 == 3),
        l2_per="row" if k % 5 == 1 else "batch",
        label_smoothing=0.1 * (k % len(LOSSES) == 0),
        dropout=(0.3,) * depth if k % 3 == 0 else (),
    )
    backend = native_or_skip()
    with cut(sizes):
        step = compiled_step(backend, objective)
        widths = (6, 40, 11, 33, 7)[: depth + 1]
        assert_native(
            backend, step, *problem_of(backend, objective, (*widths, 4), weights=k % 2 == 0)
        )


def falls_back(objective, sizes, backend=None) -> str:
    """Return why a step is not compiled; it must run as written all the same."""
    backend = backend or native_or_skip()
    step = compiled_step(backend, objective)
    state, data, plan, hyper = problem_of(backend, objective, sizes)
    with backend.running():
        ours = backend.run_epoch(step, state, data, plan, hyper)
        written = Backend.run_epoch(backend, step.function, state, data, plan, hyper)
    for mine, theirs in zip(leaves(ours), leaves(written), strict=True):
        assert_close(mine, theirs)
    assert not step.how.startswith("compiled")
    return step.why_not


RELU = Objective(("relu",), "softmax_cross_entropy", "sgd")


def test_a_function_that_is_not_recorded_runs_as_written(monkeypatch):
    sine = Activation(lambda xp, z: xp.sin(z), lambda xp, z, a: xp.cos(z))
    monkeypatch.setitem(ACTIVATIONS, "sine", sine)
    reason = falls_back(RELU._replace(activations=("sine",)), (4, 5, 3))
    assert reason == "sin is not among the recorded operations"


def test_more_classes_than_a_row_may_have_are_replayed():
    assert falls_back(RELU, (4, 5, 1100)) == "several totals"


def test_without_a_compiler_steps_are_replayed(monkeypatch):
    backend = native_or_skip()

    def missing():
        raise NoCompiler("there is no C compiler")

    monkeypatch.setattr(building, "_command", missing)
    monkeypatch.setattr(building, "_LOADED", {})
    assert falls_back(RELU, (4, 5, 3), backend) == "there is no C compiler"


def test_without_a_blas_steps_are_replayed(monkeypatch):
    backend = native_or_skip()

    def unknown():
        raise NoBlas("NumPy's BLAS is none")

    monkeypatch.setattr(native, "numpy_blas", unknown)
    assert falls_back(RELU, (4, 5, 3), backend) == "NumPy's BLAS is none"


def test_several_threads_of_python_each_with_a_backend_of_its_own():
    same = []

    def train(expected):
        backend, step, *problem = deep()
        for _ in range(3):
            assert_same_bits(backend.run_epoch(step, *problem), expected)
        same.append(True)

    with cut(LARGE), compiled_quickly():
        backend, step, *problem = deep()
        expected = backend.run_epoch(step, *problem)
        threads = [Thread(target=train, args=(expected,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert same == [True] * 3


FORKED_AND_INTERRUPTED = """
import os, signal, threading
import numpy as np
from tests.backends.test_native import LARGE, cut, deep, native
from tests.native import assert_same_bits, compiled_quickly
from xpmlp.backends.base import EpochPlan

with cut(LARGE), compiled_quickly():
    backend, step, state, data, plan, hyper = deep()
    expected = backend.run_epoch(step, state, data, plan, hyper)
    child = os.fork()
    if not child:
        assert_same_bits(backend.run_epoch(step, state, data, plan, hyper), expected)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    steps = 10**6
    before = native.numpy_blas().threads.read()
    long = EpochPlan(np.zeros(20 * steps, np.int64), 20, np.zeros(steps))
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        backend.run_epoch(step, state, data, long, hyper)
        print("not interrupted")
    except KeyboardInterrupt:
        assert native.numpy_blas().threads.read() == before
        assert_same_bits(backend.run_epoch(step, state, data, plan, hyper), expected)
        print("interrupted")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not fork")
def test_a_child_computes_too_and_a_long_epoch_can_be_interrupted():
    native_or_skip()
    command = [sys.executable, "-W", "ignore", "-c", FORKED_AND_INTERRUPTED]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("interrupted\n", 0), done.stderr
