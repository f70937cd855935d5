"""Every recorded operation as a loop of C, against NumPy's own: all of them in one program."""

import numpy as np
import pytest

from tests.backends.test_kernels import OPERATIONS
from tests.native import LARGE, SMALL, compiled_quickly, cut, native_or_skip, programs
from xpmlp.backends.base import Compilation, EpochPlan
from xpmlp.types import Batch, Hyper

REFUSED = ("a stack along another axis", "a stack of what is read again")
ORDINARY = {label: made for label, made in OPERATIONS.items() if label not in REFUSED}
# Denormal numbers, which a program counts as zero, are left out.
SPECIAL = (np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -2.0, 0.3, 1e30)
PLAN = EpochPlan(None, 1, np.ones(1))
UNUSED = Batch(np.ones((1, 1)), np.ones(1))


def computed(backend, operations, a, b):
    """Return what operations give of a and b: NumPy, and the program, which has them as state."""
    a, b, hyper = backend.put((a, b, Hyper(*map(np.float64, (1.0, 0.0, 0.0, 0.0)))))
    with backend.running():
        expected = [function(backend.xp, a, b) for function in operations.values()]

        def make(xp):
            def step(state, batch, hyper):
                results = tuple(function(xp, *state[:2]) for function in operations.values())
                return (*state[:2], *results), xp.sum(state[0], axis=(-2, -1))

            return step

        step = backend.compile(make, Compilation(2, 3))
        state = (a, b, *(np.full_like(one, 7.0) for one in expected))
        (left, right, *results), _ = backend.run_epoch(step, state, UNUSED, PLAN, hyper)
    np.testing.assert_array_equal((left, right), (a, b))
    return step, dict(zip(operations, zip(results, expected, strict=True), strict=True))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [LARGE, SMALL], ids=["in tiles", "alone"])
@pytest.mark.parametrize("shape", [(9, 8), (41, 35), (1, 1), (1, 7), (7, 1)], ids=str)
def test_an_operation_is_that_of_numpy(shape, sizes, dtype):
    backend, rng = native_or_skip(dtype), np.random.default_rng(0)
    a, b = (rng.uniform(0.1, 1.0, shape) * rng.choice([-1, 1], shape[-1:]) for _ in range(2))
    with cut(sizes):
        step, results = computed(backend, ORDINARY, a, b)
    programs(step)
    for label, (ours, numpys) in results.items():
        assert (ours.dtype, ours.shape) == (numpys.dtype, numpys.shape), label
        tolerance = (2 * shape[-1] + 16) * np.finfo(dtype).eps * np.max(np.abs(numpys))
        np.testing.assert_allclose(ours, numpys, rtol=0, atol=tolerance, err_msg=label)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [LARGE, SMALL], ids=["in tiles", "alone"])
def test_nan_infinity_and_zeros_pass_as_in_numpy(sizes, dtype):
    backend = native_or_skip(dtype)
    a, b = np.meshgrid(np.array(SPECIAL[:-1]), np.array(SPECIAL))
    with cut(sizes):
        step, results = computed(backend, ORDINARY, a, b)
    programs(step)
    for label, (ours, numpys) in results.items():
        rounding = 64 * np.finfo(dtype).eps
        np.testing.assert_allclose(ours, numpys, rtol=rounding, atol=rounding, err_msg=label)


@pytest.mark.parametrize("label", REFUSED)
def test_a_stack_that_is_no_table_is_refused(label):
    backend, rng = native_or_skip(), np.random.default_rng(0)
    with compiled_quickly():
        step, results = computed(
            backend, {label: OPERATIONS[label]}, *rng.standard_normal((2, 9, 8))
        )
    assert step.why_not == "a stack is more than the step's metrics"
    np.testing.assert_allclose(*results[label])


def test_axes_of_members_are_refused():
    """A net's arrays have two axes; what has more is replayed."""
    backend, rng = native_or_skip(), np.random.default_rng(0)
    for label in ("negative", "product"):
        step, results = computed(
            backend, {label: OPERATIONS[label]}, *rng.standard_normal((2, 3, 9, 8))
        )
        assert "axes" in step.why_not or "two matrices" in step.why_not
        np.testing.assert_allclose(*results[label])
