"""Every operation of a plan, on NumPy and PyTorch, against the namespace's own function."""

import numpy as np
import pytest

from tests.conftest import load_or_skip
from xpmlp.compiler.plan import Plan
from xpmlp.compiler.recording import (
    ACROSS,
    CONSTANTS,
    RECORDED,
    NotRecordable,
    Recorded,
    RecordingNamespace,
    Tape,
)
from xpmlp.leaves import leaves

PLANNED = ("numpy", "torch")


def integers(xp, x):
    return xp.astype(x * 1e9, xp.int32)


OPERATIONS = {
    "add a row": lambda xp, a, b: a + b[..., :1, :],
    "subtract from a number": lambda xp, a, b: 2.0 - a * b,
    "divide": lambda xp, a, b: a / (b * b + 1.0),
    "a number over an array": lambda xp, a, b: 1.0 / (b * b + 1.0),
    "negative": lambda xp, a, b: -a,
    "abs and sign": lambda xp, a, b: xp.abs(a) * xp.sign(b),
    "sqrt": lambda xp, a, b: xp.sqrt(xp.abs(a)),
    "exponentials": lambda xp, a, b: xp.exp(a) + xp.expm1(b),
    "logarithms": lambda xp, a, b: xp.log(xp.abs(a) + 1.0) + xp.log1p(xp.abs(b)),
    "tanh": lambda xp, a, b: xp.tanh(a),
    "maximum with a number": lambda xp, a, b: xp.maximum(a, 0.0),
    "maximum of a number": lambda xp, a, b: xp.maximum(0.5, a),
    "maximum of two": lambda xp, a, b: xp.maximum(a, b),
    "minimum with a number": lambda xp, a, b: xp.minimum(a, 0.25),
    "greater, as numbers": lambda xp, a, b: xp.astype(a > 0.0, a.dtype) * b,
    "less and equal": lambda xp, a, b: xp.astype(a < b, a.dtype) + xp.astype(a == a, a.dtype),
    "greater, read twice": lambda xp, a, b: xp.where(a > b, xp.astype(a > b, a.dtype), b),
    "where with a number": lambda xp, a, b: xp.where(a > b, a, 7.0),
    "bits of integers that wrap": lambda xp, a, b: xp.astype(
        ((integers(xp, a) >> 16) & 0xFFFF) ^ (integers(xp, b) * 0x7FEB352D), a.dtype
    ),
    "sum over columns": lambda xp, a, b: xp.sum(a, axis=-1),
    "sum over columns, kept": lambda xp, a, b: a / xp.sum(xp.abs(b), axis=-1, keepdims=True),
    "sum over rows": lambda xp, a, b: xp.sum(a * b, axis=-2),
    "sum over rows, kept": lambda xp, a, b: a - xp.sum(b, axis=-2, keepdims=True),
    "sum over both": lambda xp, a, b: xp.sum(a, axis=(-2, -1)),
    "sum over the first": lambda xp, a, b: xp.sum(a, axis=0),
    "mean over columns": lambda xp, a, b: xp.mean(a, axis=-1),
    "mean over rows": lambda xp, a, b: xp.mean(a, axis=-2, keepdims=True) + b,
    "largest": lambda xp, a, b: a - xp.max(a, axis=-1, keepdims=True),
    "largest, dropped": lambda xp, a, b: xp.max(a, axis=-1),
    "largest of all": lambda xp, a, b: xp.max(a, axis=(-2, -1)),
    "place of the largest": lambda xp, a, b: xp.astype(xp.argmax(a, axis=-1), a.dtype),
    "vecdot": lambda xp, a, b: xp.vecdot(a, b),
    "vecdot of flat arrays": lambda xp, a, b: xp.sqrt(
        xp.vecdot(xp.reshape(a * a, (-1,)), xp.reshape(b * b, (-1,)))
    ),
    "product": lambda xp, a, b: xp.matmul(a, xp.matrix_transpose(b)),
    "product of a transposed": lambda xp, a, b: xp.matmul(xp.matrix_transpose(a), b),
    "product and a row": lambda xp, a, b: xp.matmul(a, xp.matrix_transpose(b)) + b[..., :1, :1],
    "number less a product": lambda xp, a, b: 1.0 - xp.matmul(a, xp.matrix_transpose(b)),
    "array less a product": lambda xp, a, b: a - xp.matmul(xp.matmul(a, xp.matrix_transpose(b)), b),
    "a product less an array": lambda xp, a, b: (
        xp.matmul(xp.matmul(a, xp.matrix_transpose(b)), b) - a
    ),
    "a product times an array": lambda xp, a, b: (
        b * xp.matmul(xp.matmul(a, xp.matrix_transpose(b)), b)
    ),
    "a scaled product": lambda xp, a, b: (
        xp.reshape(b[..., 0, 0], (*b.shape[:-2], 1, 1))
        * xp.matmul(xp.matrix_transpose(a[..., :2, :]), b[..., :2, :])
    ),
    "the sum of products": lambda xp, a, b: 0.9 * a + 0.1 * b,
    "an array less a product of arrays": lambda xp, a, b: a - a * b,
    "a product of arrays less an array": lambda xp, a, b: a * b - a,
    "a stack": lambda xp, a, b: xp.stack([xp.sum(a), xp.sum(b), xp.sum(a)]),
    "a stack of what is read again": lambda xp, a, b: (lambda s: xp.stack([s, s + 1.0]) * s)(
        xp.sum(a)
    ),
    "a stack along another axis": lambda xp, a, b: xp.stack([a, b], axis=-1),
}


def plan_of(backend, function, a, b):
    """A plan whose step leaves a and b alone, and whose metrics are function(a, b)."""
    state = tuple(map(backend.asarray, (a, b)))

    def make(xp):
        return lambda state, batch, hyper: (state, function(xp, *state))

    return Plan(backend.kernels, backend.xp, make, state, state[0], state[0]), state


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(6, 4), (3, 5, 40), (1, 1), (300, 300), (2, 300, 300)], ids=str)
@pytest.mark.parametrize("label", OPERATIONS)
@pytest.mark.parametrize("name", PLANNED)
def test_an_operation_is_that_of_the_namespace(name, label, shape, dtype):
    backend, rng = load_or_skip(name, dtype), np.random.default_rng(0)
    a, b = (rng.uniform(0.1, 1.0, shape) * rng.choice([-1, 1], shape[-1:]) for _ in range(2))
    plan, state = plan_of(backend, OPERATIONS[label], a.astype(dtype), b.astype(dtype))
    expected = backend.to_numpy(OPERATIONS[label](backend.xp, *state))
    for _ in range(2):
        plan.run()
        size = np.max(np.abs(expected))
        roundings = 2 * shape[-1] + 16
        got = backend.to_numpy(plan.metrics)
        assert got.dtype == expected.dtype
        assert got.shape == expected.shape
        tolerance = roundings * np.finfo(dtype).eps * size
        np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance)
    for ours, given in zip(plan.state, state, strict=True):
        np.testing.assert_array_equal(backend.to_numpy(ours), backend.to_numpy(given))


def test_the_table_names_every_recorded_operation():
    tape = Tape(load_or_skip("numpy").xp)
    a, b = (tape.xp.ones((3, 3)) for _ in range(2))
    for function in OPERATIONS.values():
        function(RecordingNamespace(tape), Recorded(a, tape), Recorded(b, tape))
    seen = {operation.name for operation in tape.operations}
    assert seen == set(RECORDED) - {*CONSTANTS, ACROSS}  # of several processes: tests/distributed


@pytest.mark.parametrize("name", PLANNED)
def test_a_view_that_would_be_a_copy_is_refused(name):
    backend = load_or_skip(name)
    flat = lambda xp, a, b: xp.sum(xp.reshape(xp.matrix_transpose(a * b), (-1,)) * 2.0)  # noqa: E731
    with pytest.raises(NotRecordable, match="reshape copies"):
        plan_of(backend, flat, np.ones((3, 2)), np.ones((3, 2)))


def test_nan_reaches_the_result_of_every_reduction():
    backend = load_or_skip("numpy")
    a = np.ones((6, 4))
    a[2, 1] = np.nan
    for label in ("sum over columns", "sum over rows", "mean over columns", "largest", "vecdot"):
        plan, _ = plan_of(backend, OPERATIONS[label], a, a.copy())
        plan.run()
        assert np.isnan(plan.metrics).any(), label


def names_left(backend, label, a, b):
    """The operations that are left after rewriting."""
    tape, function = Tape(backend.xp), OPERATIONS[label]
    result = function(RecordingNamespace(tape), *(Recorded(one, tape) for one in (a, b)))
    return [op.name for op in backend.kernels.rewritten(tape.operations, [result.node])]


def test_rewriting_spares_operations():
    torch, numpy = load_or_skip("torch", "float32"), load_or_skip("numpy", "float32")
    ones = np.ones((300, 300), np.float32)
    pair = torch.asarray(ones), torch.asarray(ones)
    assert names_left(torch, "greater, as numbers", *pair) == ["greater", "multiply"]
    assert names_left(torch, "the sum of products", *pair) == ["multiply", "addcmul"]
    assert names_left(torch, "an array less a product of arrays", *pair) == ["addcmul"]
    assert names_left(torch, "a product of arrays less an array", *pair) == ["multiply", "subtract"]
    assert names_left(torch, "product and a row", *pair)[-1] == "with_product"
    assert "matmul" in names_left(torch, "number less a product", *pair)
    scaled = names_left(numpy, "a scaled product", ones, ones)
    assert scaled[-2:] == ["multiply", "matmul"]


def test_what_is_read_elsewhere_is_computed_all_the_same():
    """A product that is scaled and also measured stays whole: its norm must not be the scaled."""
    backend = load_or_skip("numpy")

    def function(xp, a, b):
        g = xp.matmul(xp.matrix_transpose(a[:2, :]), b[:2, :])
        scaled = b[:1, :1] * g
        return xp.sum(scaled) + xp.sum(g)

    a, b = np.random.default_rng(0).standard_normal((2, 6, 5))
    plan, state = plan_of(backend, function, a, b)
    plan.run()
    np.testing.assert_allclose(plan.metrics, function(backend.xp, *state), rtol=1e-13)


@pytest.mark.parametrize("name", PLANNED)
def test_rows_are_gathered_for_one_net_and_for_several(name):
    backend, rng = load_or_skip(name), np.random.default_rng(0)
    rows = rng.standard_normal((9, 4))
    for index in (np.array([3, 0, 3]), np.array([[1, 2], [8, 8], [0, 5]])):
        out = backend.kernels.empty((*index.shape, 4), backend.asarray(rows).dtype)
        backend.kernels.gather(backend.asarray(rows), backend.asarray(index), out)
        np.testing.assert_array_equal(backend.to_numpy(out), rows[index])


def test_a_plan_works_on_the_memory_that_it_was_given():
    backend = load_or_skip("numpy")
    plan, state = plan_of(backend, OPERATIONS["negative"], np.ones((2, 2)), np.ones((2, 2)))
    assert all(ours is given for ours, given in zip(leaves(plan.state), state, strict=True))
