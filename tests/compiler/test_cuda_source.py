"""Each kind of kernel against NumPy, over sizes that leave threads idle, in several thread orders.

Functions of two arrays are recorded, grouped, written as CUDA C, and run on the stand-in.
"""

import shutil
import subprocess

import array_api_compat.numpy as numpy_xp
import numpy as np
import pytest

from xpmlp.compiler.cuda_source import PRELUDE, number
from xpmlp.compiler.expressions import Parameter, offset, row_major
from xpmlp.compiler.grouping import KERNEL
from xpmlp.compiler.plan import Plan
from xpmlp.compiler.recording import NotRecordable
from xpmlp.nn.dropout import mix
from xpmlp.nn.initializers import initialize
from xpmlp.training.step import Objective, initial_state, make_step
from xpmlp.types import Affine, Batch, Hyper

ORDERS = ("forward", "backward", 7)


def softmax(xp, a, b):
    e = xp.exp(a - xp.max(a, axis=-1, keepdims=True))
    return e / xp.sum(e, axis=-1, keepdims=True) + b


def centred(xp, a, b):
    share = xp.mean(a, axis=-1)
    return (a - share[..., None]) * b


def below(xp, a, b):
    total = xp.sum(a * b, axis=-2)
    return total * total - 1.0


def norms(xp, a, b):
    flat = xp.reshape(a + b, (*a.shape[:-2], -1))
    return xp.sqrt(xp.vecdot(flat, flat))


def all_entries(xp, a, b):
    return xp.sum(xp.abs(a - b), axis=(-2, -1))


def chosen(xp, a, b):
    larger = xp.where(a > b, a, xp.minimum(a, -0.5))
    return xp.astype(a < 0.0, a.dtype) + xp.sign(b) * larger - xp.maximum(b, 0.25) / 3


def spread(xp, a, b):
    return a[..., :1, :] * b[..., :, :1] + 2


def hashed(xp, a, b):
    """Integers that wrap, and shifts of negative ones, as dropout has them."""
    x = xp.astype(a * 1e8, xp.int32)
    y = mix(x ^ mix(xp.astype(b * 1e8, xp.int32))) * -1640531527 - x
    return xp.astype(-y < 12345, a.dtype) + xp.astype(y, a.dtype)


FUNCTIONS = (softmax, centred, below, norms, all_entries, chosen, spread, hashed)
SHAPES = [(1, 1), (3, 2), (9, 8), (70, 19), (40, 33), (5, 1030), (2, 3, 4), (3, 40, 40)]


def plan_of(backend, function, *arrays):
    """Return a plan whose metrics are the function of arrays on the device."""

    def make(xp):
        return lambda state, batch, hyper: ((), function(xp, *batch))

    return Plan(backend.kernels, backend.xp, make, (), backend.put(arrays), ())


def assert_on_gpu(cuda, backend, function, *arrays):
    expected = function(numpy_xp, *arrays)
    eps = np.finfo(expected.dtype).eps
    with backend.running():
        plan = plan_of(backend, function, *arrays)
        assert {op.name for op in plan.memory.operations} <= {KERNEL, "getitem", "reshape"}
        for order in ORDERS:
            cuda.order = order
            plan.metrics[...] = plan.metrics * 0 - 77
            plan.run()
            result = backend.to_numpy(plan.metrics)
            assert result.dtype == expected.dtype
            np.testing.assert_allclose(
                result, expected, rtol=64 * eps, atol=64 * eps * np.max(np.abs(expected))
            )


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_kernels_compute_what_numpy_does(cuda, cupy_backend, function, shape):
    a, b = np.random.default_rng(0).standard_normal((2, *shape))
    assert_on_gpu(cuda, cupy_backend, function, a, b)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_kernels_in_float32(cuda, cupy_backend, function):
    a, b = np.random.default_rng(0).standard_normal((2, 12, 9)).astype(np.float32)
    cupy_backend.dtype = "float32"
    assert_on_gpu(cuda, cupy_backend, function, a, b)


@pytest.mark.parametrize("shape", [(50, 50), (200, 51), (2, 60, 70)], ids=str)
def test_the_last_of_many_blocks_adds_up(cuda, cupy_backend, shape):
    """More entries than one block takes; the count of blocks that ended begins anew each time."""
    a, b = np.random.default_rng(0).standard_normal((2, *shape))
    assert_on_gpu(cuda, cupy_backend, norms, a, b)


def test_the_same_numbers_give_the_same_bits_in_any_order(cuda, cupy_backend):
    a, b = np.random.default_rng(0).standard_normal((2, 200, 51))
    results = set()
    with cupy_backend.running():
        plan = plan_of(cupy_backend, norms, a, b)
        for cuda.order in (*ORDERS, 8, 9):
            plan.run()
            results.add(float(cupy_backend.to_numpy(plan.metrics)))
    assert len(results) == 1


def test_nan_and_infinity_pass_as_in_numpy(cuda, cupy_backend):
    values = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -2.0])
    a, b = map(np.ascontiguousarray, np.meshgrid(values, values))
    with np.errstate(all="ignore"):
        for function in (chosen, lambda xp, a, b: xp.maximum(a, b) + xp.minimum(a, b)):
            assert_on_gpu(cuda, cupy_backend, function, a, b)


def test_operands_that_do_not_lie_row_by_row(cuda, cupy_backend):
    a, b = np.random.default_rng(0).standard_normal((2, 12, 9))

    def transposed(xp, a, b):
        return a[1::2, :] * b[:6, :] + a[:6, ::-1]

    with cupy_backend.running():
        plan = plan_of(cupy_backend, transposed, a, b)
        plan.run()
        np.testing.assert_allclose(cupy_backend.to_numpy(plan.metrics), transposed(np, a, b))


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda xp, a, b: xp.sum(a, axis=0), "over axis 0 of"),
        (lambda xp, a, b: xp.max(xp.astype(a, xp.int64), axis=-1), "no max of integers"),
        (lambda xp, a, b: xp.astype(a, xp.int16), "know no int16"),
        (lambda xp, a, b: xp.abs(xp.astype(a, xp.int64)), "know no abs of int64"),
        (lambda xp, a, b: xp.stack([a, b]) + 1.0, "more than the step's metrics"),
    ],
)
def test_what_kernels_cannot_do_is_refused(cuda, cupy_backend, function, reason):
    a, b = np.ones((2, 3, 4, 5))
    with cupy_backend.running(), pytest.raises(NotRecordable, match=reason):
        plan_of(cupy_backend, function, a, b)


def test_numbers_are_written_as_literals():
    assert number(0.1, "float") == "0.1f"
    assert number(1e-8, "double") == "1e-08"
    assert number(8, "float") == "8.0f"
    assert number(3, "long long") == "3"
    assert number(-0.5, "float") == "(-0.5f)"
    assert number(-np.inf, "double") == "(-(double)__int_as_float(0x7f800000))"


def test_places_of_broadcast_entries():
    whole = Parameter("x", (4, 6), (6, 1), "float")
    assert offset("i", (4, 6), whole) == "i"
    assert offset("i", (4, 6), Parameter("x", (6,), (1,), "float")) == "i % 6"
    assert offset("i", (4, 6), Parameter("x", (4, 1), (1, 1), "float")) == "i / 6"
    assert offset("i", (4, 6), Parameter("x", (), (), "float")) == "0"
    assert offset("i", (2, 4, 6), Parameter("x", (2, 1, 6), (6, 6, 1), "float")) == (
        "(i / 24) * 6 + i % 6"
    )
    assert row_major(whole)
    assert not row_major(Parameter("x", (4, 6), (1, 4), "float"))


def step_plan(backend, members=0, **objective):
    """Return the plan of a whole step, 784-300-10 on a batch of 128."""
    rng, lead = np.random.default_rng(0), (members,) if members else ()
    params = initialize(np, rng, (784, 300, 10))
    if members:
        params = tuple(Affine(*(np.stack([leaf] * members) for leaf in layer)) for layer in params)
    names = Objective(("relu",), "softmax_cross_entropy", **objective)
    batch = Batch(rng.random((*lead, 128, 784)), rng.integers(0, 10, (*lead, 128)))
    hyper = Hyper(*(np.full(lead, value) for value in (0.1, 0.01, 0.0, 0.9)))
    if names.dropout:
        hyper = hyper._replace(seed=np.full(lead, 7, np.int32))
    state = initial_state(backend.xp, names, *backend.put((params, np.asarray(0))))
    batch, hyper = backend.put((batch, hyper))
    return Plan(backend.kernels, backend.xp, lambda xp: make_step(xp, names), state, batch, hyper)


@pytest.mark.parametrize(
    ("objective", "kernels", "products"),
    [
        ({"optimizer": "sgd", "gradient_norms": False}, 3, 5),
        ({"optimizer": "sgd", "gradient_norms": False, "l2": True}, 3, 5),
        ({"optimizer": "momentum", "gradient_norms": False}, 4, 5),
        ({"optimizer": "momentum"}, 4, 5),
        ({"optimizer": "adam"}, 4, 5),
        ({"optimizer": "adam", "clip_norm": 1.0}, 6, 5),
        ({"optimizer": "sgd", "gradient_norms": False, "members": 2}, 3, 5),
        ({"optimizer": "sgd", "gradient_norms": False, "dropout": (0.5,)}, 4, 5),
        ({"optimizer": "adam", "dropout": (0.5,)}, 5, 5),
        ({"optimizer": "muon"}, 15, 20),
    ],
)
def test_a_step_takes_few_launches(cuda, cupy_backend, objective, kernels, products):
    with cupy_backend.running():
        plan = step_plan(cupy_backend, **objective)
        copies = cuda.copies
        plan.run()
    assert len(cuda.kernel_launches) == kernels
    assert len(cuda.gemms) == products
    assert cuda.copies == copies


def test_the_kernels_of_whole_steps_compile_for_a_gpu(cuda, cupy_backend, tmp_path):
    if shutil.which("nvcc") is None:
        pytest.skip("nvcc is not installed")
    with cupy_backend.running():
        step_plan(cupy_backend, optimizer="adam", clip_norm=1.0, l1=True)
        step_plan(cupy_backend, optimizer="sgd", gradient_norms=False, members=2, dropout=(0.5,))
    source = tmp_path / "kernels.cu"
    source.write_text("\n".join([PRELUDE, *cupy_backend.kernels.pending.values()]))
    command = ["nvcc", "-std=c++17", "-arch=sm_90", "-cubin", "-Werror", "all-warnings"]
    made = subprocess.run(
        [*command, "-o", str(tmp_path / "kernels.cubin"), str(source)],
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stdout + made.stderr


def test_numbers_beyond_float32_are_written_as_it_holds_them():
    """NVRTC refuses a literal that is out of range; below the least normal number it is zero."""
    assert number(1e300, "float") == "(float)__int_as_float(0x7f800000)"
    assert number(-1e300, "float") == "(-(float)__int_as_float(0x7f800000))"
    assert number(1e-50, "float") == "0.0f"
    assert number(1e300, "double") == "1e+300"
    assert number(np.nan, "float") == "(float)__int_as_float(0x7fffffff)"
