"""Penalties worked by hand and by differences; biases are never touched."""

import numpy as np
import pytest

from tests.conftest import like
from tests.nn.samples import central_differences, distance, leaves, random_params
from xpmlp.nn.regularizers import add_penalty_gradient, penalty
from xpmlp.types import Affine

PARAMS = (
    Affine(np.array([[1.0, -2.0], [0.0, 3.0]]), np.array([5.0, 6.0])),
    Affine(np.array([[4.0], [-1.0]]), np.array([7.0])),
)  # Σ W² = 14 + 17, Σ |W| = 6 + 5


@pytest.mark.parametrize(
    ("l2", "l1", "expected"), [(0.2, 0.0, 3.1), (0.0, 0.3, 3.3), (0.2, 0.3, 6.4)]
)
@pytest.mark.parametrize("arrays", [False, True])
def test_penalty_by_hand(backend, assert_matches, l2, l1, expected, arrays):
    if arrays:
        l2, l1 = backend.put((np.float64(l2), np.float64(l1)))
    value = penalty(backend.xp, backend.put(PARAMS), l2, l1)
    assert_matches(backend, value, np.array(expected), scale=4)


@pytest.mark.parametrize("arrays", [False, True])
def test_gradient_by_hand(backend, assert_matches, arrays):
    """dW + 0.2 W + 0.3 sign W, with sign 0 = 0; db as it was."""
    l2, l1 = backend.put((np.float64(0.2), np.float64(0.3))) if arrays else (0.2, 0.3)
    grads = tuple(Affine(np.ones_like(p.W), 10 * p.b) for p in PARAMS)
    first, second = add_penalty_gradient(
        backend.xp, backend.put(grads), backend.put(PARAMS), l2, l1
    )
    assert_matches(backend, first.W, np.array([[1.5, 0.3], [1.0, 1.9]]), scale=4)
    assert_matches(backend, first.b, np.array([50.0, 60.0]), scale=0)
    assert_matches(backend, second.W, np.array([[2.1], [0.5]]), scale=4)
    assert_matches(backend, second.b, np.array([70.0]), scale=0)


def test_gradient_is_the_difference_of_the_penalty():
    layer = random_params(np.random.default_rng(0), (3, 4))[0]
    zero = Affine(np.zeros((3, 4)), np.zeros(4))
    (grad,) = add_penalty_gradient(np, (zero,), (layer,), 0.7, 0.4)
    numeric = central_differences(lambda W: penalty(np, (layer._replace(W=W),), 0.7, 0.4), layer.W)
    assert distance(grad.W, numeric) < 1e-10
    assert not grad.b.any()


def test_every_member_has_its_own_coefficients(backend):
    params = random_params(np.random.default_rng(1), (3, 4, 2), members=(3,))
    l2, l1 = np.array([0.0, 0.5, 1.0]), np.array([0.2, 0.0, 0.1])
    device = backend.put(params)
    values = backend.to_numpy(penalty(backend.xp, device, *backend.put((l2, l1))))
    grads = backend.fetch(add_penalty_gradient(backend.xp, device, device, *backend.put((l2, l1))))
    assert values.shape == (3,)
    for k in range(3):
        single = tuple(Affine(p.W[k], p.b[k]) for p in params)
        np.testing.assert_allclose(values[k], penalty(np, single, l2[k], l1[k]), rtol=1e-14)
        expected = add_penalty_gradient(np, single, single, float(l2[k]), float(l1[k]))
        for grad, wanted in zip(leaves(grads), leaves(expected), strict=True):
            np.testing.assert_allclose(grad[k], wanted, rtol=1e-14)


@pytest.mark.parametrize("arrays", [False, True])
def test_float32_stays(backend, arrays):
    backend = like(backend, "float32")
    params = backend.put(PARAMS)
    l2, l1 = backend.put((np.float64(0.2), np.float64(0.3))) if arrays else (0.2, 0.3)
    grads = add_penalty_gradient(backend.xp, params, params, l2, l1)
    value = penalty(backend.xp, params, l2, l1)
    assert {leaf.dtype for leaf in (value, *leaves(grads))} == {params[0].W.dtype}


def test_gradients_and_parameters_must_be_of_equal_depth():
    with pytest.raises(ValueError, match="zip"):
        add_penalty_gradient(np, PARAMS[:1], PARAMS, 0.1, 0.1)
