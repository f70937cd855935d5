"""Activations and their derivatives against 50-digit decimals, and against differences."""

import math
from collections.abc import Callable
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, localcontext

import numpy as np
import pytest

from tests.conftest import like
from xpmlp.errors import InputError
from xpmlp.nn.activations import ACTIVATIONS
from xpmlp.nn.network import hidden_activations

POINTS = (0.0, 1e-3, -1e-3, 1.0, -1.0, 3.0, -3.0, 30.0, -30.0, 1e4, -1e4)
NAMES = tuple(ACTIVATIONS)
EXACT = Context(prec=50, Emax=MAX_EMAX, Emin=MIN_EMIN)

ONE = Decimal(1)
PI = Decimal("3.14159265358979323846264338327950288419716939937511")
SLOPE = Decimal("0.01")
CUBIC = Decimal("0.044715")

Exact = Callable[[Decimal], Decimal]


def sigma(z: Decimal) -> Decimal:
    return ONE / (ONE + (-z).exp())


def tanh(z: Decimal) -> Decimal:
    return 2 * sigma(2 * z) - 1


def gelu_gate(z: Decimal) -> Decimal:
    """½(1 + tanh u) = σ(2u)."""
    return sigma(2 * (2 / PI).sqrt() * (z + CUBIC * z**3))


def gelu_gate_slope(z: Decimal) -> Decimal:
    gate = gelu_gate(z)
    return 2 * gate * (1 - gate) * (2 / PI).sqrt() * (1 + 3 * CUBIC * z**2)


REFERENCE: dict[str, tuple[Exact, Exact]] = {
    "identity": (lambda z: z, lambda z: ONE),
    "sigmoid": (sigma, lambda z: sigma(z) * sigma(-z)),
    "tanh": (tanh, lambda z: 4 * sigma(2 * z) * sigma(-2 * z)),
    "relu": (lambda z: max(z, Decimal(0)), lambda z: Decimal(int(z > 0))),
    "leaky_relu": (lambda z: z if z > 0 else SLOPE * z, lambda z: ONE if z > 0 else SLOPE),
    "elu": (lambda z: z if z > 0 else z.exp() - 1, lambda z: ONE if z > 0 else z.exp()),
    "softplus": (lambda z: z + (1 + (-z).exp()).ln() if z > 0 else (1 + z.exp()).ln(), sigma),
    "gelu": (lambda z: z * gelu_gate(z), lambda z: gelu_gate(z) + z * gelu_gate_slope(z)),
    "silu": (lambda z: z * sigma(z), lambda z: sigma(z) * (1 + z * sigma(-z))),
}


def exact(function: Exact, points: np.ndarray) -> np.ndarray:
    with localcontext(EXACT):
        return np.array([float(function(Decimal(float(z)))) for z in points])


def test_every_activation_has_a_reference():
    assert set(REFERENCE) == set(NAMES)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", NAMES)
def test_value_and_derivative_at_chosen_points(backend, name, dtype):
    backend = like(backend, dtype)
    points = np.array(POINTS, dtype=dtype)
    z = backend.asarray(points)
    a = ACTIVATIONS[name].function(backend.xp, z)
    slope = ACTIVATIONS[name].derivative(backend.xp, z, a)

    assert a.dtype == slope.dtype == z.dtype
    value, derivative = REFERENCE[name]
    eps = np.finfo(dtype).eps
    small = np.finfo(dtype).tiny
    np.testing.assert_allclose(
        backend.to_numpy(a), exact(value, points), rtol=16 * eps, atol=4 * small
    )
    np.testing.assert_allclose(
        backend.to_numpy(slope), exact(derivative, points), rtol=16 * eps, atol=4 * eps
    )


@pytest.mark.parametrize("name", NAMES)
def test_derivative_matches_central_differences(backend, name):
    points = np.linspace(-6.0, 6.0, 49) + 0.01
    h = 1e-5
    function, derivative, _ = ACTIVATIONS[name]
    above, below, z = (backend.asarray(points + shift) for shift in (h, -h, 0.0))
    difference = (function(backend.xp, above) - function(backend.xp, below)) / (2 * h)
    slope = derivative(backend.xp, z, function(backend.xp, z))
    np.testing.assert_allclose(
        backend.to_numpy(slope), backend.to_numpy(difference), rtol=0, atol=1e-9
    )


@pytest.mark.parametrize(
    ("name", "z", "value", "derivative"),
    [
        ("identity", -2.0, -2.0, 1.0),
        ("sigmoid", math.log(3.0), 0.75, 0.1875),
        ("tanh", math.log(2.0), 0.6, 0.64),
        ("relu", 2.0, 2.0, 1.0),
        ("relu", 0.0, 0.0, 0.0),
        ("leaky_relu", -2.0, -0.02, 0.01),
        ("leaky_relu", 0.0, 0.0, 0.01),
        ("elu", -math.log(2.0), -0.5, 0.5),
        ("elu", 0.0, 0.0, 1.0),
        ("softplus", math.log(3.0), math.log(4.0), 0.75),
        ("gelu", 0.0, 0.0, 0.5),
        ("silu", math.log(3.0), 0.75 * math.log(3.0), 0.75 + 0.1875 * math.log(3.0)),
    ],
)
def test_values_worked_by_hand(backend, assert_matches, name, z, value, derivative):
    at = backend.asarray(np.array([[z]]))
    a = ACTIVATIONS[name].function(backend.xp, at)
    slope = ACTIVATIONS[name].derivative(backend.xp, at, a)
    assert_matches(backend, a, np.array([[value]]), scale=4)
    assert_matches(backend, slope, np.array([[derivative]]), scale=4)


def test_kinked_names_the_activations_whose_derivative_jumps_at_zero():
    h = 1e-9
    for name, (function, derivative, kinked) in ACTIVATIONS.items():
        z = np.array([-h, h])
        left, right = derivative(np, z, function(np, z))
        assert kinked == (abs(right - left) > 0.5), name


def test_a_bare_function_among_them_is_refused(monkeypatch):
    monkeypatch.setitem(ACTIVATIONS, "sine", np.sin)
    with pytest.raises(InputError, match=r"ACTIVATIONS\['sine'\] = Activation\(function, deriv"):
        hidden_activations("sine", 1)
