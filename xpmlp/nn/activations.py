"""Activation functions, each with its hand-derived derivative beside it.

A function takes z and returns a; its derivative takes z and a, both kept by the forward pass,
and returns da/dz; all of one shape and dtype. The table `ACTIVATIONS` is at the foot.
Every equation is in DERIVATION.md under the function's name.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from xpmlp.types import Array, Namespace

LEAKY_RELU_SLOPE = 0.01
GELU_SCALE = math.sqrt(2.0 / math.pi)
GELU_CUBIC = 0.044715


def identity(xp: Namespace, z: Array) -> Array:  # noqa: ARG001
    """Return a = z."""
    return z


def identity_derivative(xp: Namespace, z: Array, a: Array) -> Array:  # noqa: ARG001
    """Return da/dz = 1."""
    return xp.ones_like(z)


def sigmoid(xp: Namespace, z: Array) -> Array:
    """Return a = 1 / (1 + e⁻ᶻ), written with e = e^(-|z|) ≤ 1 so that nothing overflows."""
    e = xp.exp(-xp.abs(z))
    return xp.maximum(e, xp.astype(z > 0.0, z.dtype)) / (1.0 + e)


def sigmoid_derivative(xp: Namespace, z: Array, a: Array) -> Array:  # noqa: ARG001
    """Return da/dz = a(1 - a)."""
    return a * (1.0 - a)


def tanh(xp: Namespace, z: Array) -> Array:
    """Return a = tanh z."""
    return xp.tanh(z)


def tanh_derivative(xp: Namespace, z: Array, a: Array) -> Array:  # noqa: ARG001
    """Return da/dz = 1 - a²."""
    return 1.0 - a * a


def relu(xp: Namespace, z: Array) -> Array:
    """Return a = max(z, 0)."""
    return xp.maximum(z, 0.0)


def relu_derivative(xp: Namespace, z: Array, a: Array) -> Array:  # noqa: ARG001
    """Return da/dz = 1[z > 0], which is 0 at the kink."""
    return xp.astype(z > 0.0, z.dtype)


def leaky_relu(xp: Namespace, z: Array) -> Array:
    """Return a = z where z > 0, else 0.01 z."""
    return xp.maximum(z, LEAKY_RELU_SLOPE * z)


def leaky_relu_derivative(xp: Namespace, z: Array, a: Array) -> Array:  # noqa: ARG001
    """Return da/dz = 1 where z > 0, else 0.01."""
    return LEAKY_RELU_SLOPE + (1.0 - LEAKY_RELU_SLOPE) * xp.astype(z > 0.0, z.dtype)


def elu(xp: Namespace, z: Array) -> Array:
    """Return a = z where z > 0, else eᶻ - 1 (α = 1; Clevert et al. 2015, arXiv:1511.07289)."""
    return xp.where(z > 0.0, z, xp.expm1(xp.minimum(z, 0.0)))


def elu_derivative(xp: Namespace, z: Array, a: Array) -> Array:
    """Return da/dz = 1 where z > 0, else eᶻ = a + 1."""
    return xp.where(z > 0.0, xp.ones_like(z), a + 1.0)


def softplus(xp: Namespace, z: Array) -> Array:
    """Return a = ln(1 + eᶻ) = max(z, 0) + ln(1 + e^(-|z|)), which never overflows."""
    return xp.maximum(z, 0.0) + xp.log1p(xp.exp(-xp.abs(z)))


def softplus_derivative(xp: Namespace, z: Array, a: Array) -> Array:  # noqa: ARG001
    """Return da/dz = σ(z)."""
    return sigmoid(xp, z)


def _gelu_argument(xp: Namespace, z: Array) -> Array:  # noqa: ARG001
    return 2.0 * GELU_SCALE * z * (1.0 + GELU_CUBIC * z * z)


def gelu(xp: Namespace, z: Array) -> Array:
    """Return a = ½z(1 + tanh u) = z σ(2u) with u = √(2/π)(z + 0.044715 z³).

    The tanh form of Hendrycks & Gimpel 2016 (arXiv:1606.08415): the Array API has no erf. The
    sigmoid keeps the small values at large negative z that 1 + tanh u would cancel.
    """
    return z * sigmoid(xp, _gelu_argument(xp, z))


def gelu_derivative(xp: Namespace, z: Array, a: Array) -> Array:
    """Return da/dz = s + a(1 - s)·2u' with s = σ(2u), u' = √(2/π)(1 + 3·0.044715 z²)."""
    s = sigmoid(xp, _gelu_argument(xp, z))
    slope = 2.0 * GELU_SCALE * (1.0 + 3.0 * GELU_CUBIC * z * z)
    return s + a * (1.0 - s) * slope


def silu(xp: Namespace, z: Array) -> Array:
    """Return a = z σ(z) (Elfwing et al. 2017, arXiv:1702.03118)."""
    return z * sigmoid(xp, z)


def silu_derivative(xp: Namespace, z: Array, a: Array) -> Array:
    """Return da/dz = σ(z) + a(1 - σ(z))."""
    s = sigmoid(xp, z)
    return s + a * (1.0 - s)


class Activation(NamedTuple):
    """A function with its derivative; `kinked` where the derivative jumps at z = 0."""

    function: Callable[[Namespace, Array], Array]
    derivative: Callable[[Namespace, Array, Array], Array]
    kinked: bool = False


ACTIVATIONS: dict[str, Activation] = {
    "identity": Activation(identity, identity_derivative),
    "sigmoid": Activation(sigmoid, sigmoid_derivative),
    "tanh": Activation(tanh, tanh_derivative),
    "relu": Activation(relu, relu_derivative, kinked=True),
    "leaky_relu": Activation(leaky_relu, leaky_relu_derivative, kinked=True),
    "elu": Activation(elu, elu_derivative),
    "softplus": Activation(softplus, softplus_derivative),
    "gelu": Activation(gelu, gelu_derivative),
    "silu": Activation(silu, silu_derivative),
}
