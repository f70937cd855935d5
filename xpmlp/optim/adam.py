"""Adaptive rates: RMSprop, Adam and AdamW, with the constants of their papers."""

import math
from typing import Any

from xpmlp.leaves import map_leaves, per_leaf
from xpmlp.optim.base import decay, descend, zeros
from xpmlp.types import Array, Hyper, Namespace, Params

RHO = 0.99
BETA1 = 0.9
BETA2 = 0.999
EPSILON = 1e-8
ALMOST_NONE = 1e-30  # of a β of 0, which has no logarithm
OPTIONS = ("beta1", "beta2", "epsilon")

Moments = tuple[Params, ...]


def _average(xp: Namespace, decay: Array | float, old: Params, new: Params) -> Params:
    def average(o: Array, n: Array) -> Array:
        d = per_leaf(xp, decay, o)
        return d * o + (1.0 - d) * n

    return map_leaves(average, old, new)


def _squares(grads: Params) -> Params:
    return map_leaves(lambda g: g * g, grads)


def init_rmsprop(xp: Namespace, params: Params) -> Moments:
    """Return the mean squares v = 0."""
    return (zeros(xp, params),)


def update_rmsprop(
    xp: Namespace,
    params: Params,
    grads: Params,
    moments: Moments,
    step: Array,  # noqa: ARG001
    hyper: Hyper,
) -> tuple[Params, Moments]:
    """Return W - ηg/(√v + ε) with v ← ρv + (1 - ρ)g², ρ = 0.99, ε = 1e-8, as PyTorch.

    Source: Tieleman & Hinton 2012, lecture 6.5, which has ρ = 0.9 and no ε.
    Equation: DERIVATION.md, "rmsprop".
    """
    v = _average(xp, RHO, moments[0], _squares(grads))
    direction = map_leaves(lambda g, v: g / (xp.sqrt(v) + EPSILON), grads, v)
    return descend(xp, params, direction, hyper.learning_rate), (v,)


def init_adam(xp: Namespace, params: Params) -> Moments:
    """Return the first and second moments m = 0, v = 0."""
    return zeros(xp, params), zeros(xp, params)


def update_adam(
    xp: Namespace,
    params: Params,
    grads: Params,
    moments: Moments,
    step: Array,
    hyper: Hyper,
    beta1: Array | float = BETA1,
    beta2: Array | float = BETA2,
    epsilon: Array | float = EPSILON,
    corrected: bool = True,
) -> tuple[Params, Moments]:
    """Return W - η m̂/(√v̂ + ε), with β₁, β₂ in [0, 1) and ε > 0, floats or (K,).

    m ← β₁m + (1 - β₁)g, m̂ = m/c₁, c₁ = 1 - β₁ᵗ; v ← β₂v + (1 - β₂)g², v̂ = v/c₂,
    c₂ = 1 - β₂ᵗ, t from 1. The same with fewer divisions is W - (η√c₂/c₁) m/(√v + ε√c₂); there
    ε without √c₂, where it is not corrected with v, is the ε̂ of the source.
    The corrections are computed by expm1: in float32 the plain 1 - 0.999 is off by 1e-5.
    Source: Kingma & Ba 2014 (arXiv:1412.6980), whose section 2 has both orders, the second
    with an ε of its own. Equation: DERIVATION.md, "adam".
    """
    m = _average(xp, beta1, moments[0], grads)
    v = _average(xp, beta2, moments[1], _squares(grads))
    t = xp.astype(step + 1, params[-1].W.dtype)
    root = xp.sqrt(_correction(xp, beta2, t))
    smallest = epsilon * root if corrected else epsilon
    rate = hyper.learning_rate * root / _correction(xp, beta1, t)
    direction = map_leaves(lambda m, v: m / (xp.sqrt(v) + _over(xp, smallest, v)), m, v)
    return descend(xp, params, direction, rate), (m, v)


def update_adam_epsilon_hat(
    xp: Namespace,
    params: Params,
    grads: Params,
    moments: Moments,
    step: Array,
    hyper: Hyper,
    **options: Any,
) -> tuple[Params, Moments]:
    """Return Adam's step W - (η√c₂/c₁) m/(√v + ε̂), with ε̂ = epsilon, as Keras and scikit-learn.

    Source and equation: as `update_adam`.
    """
    return update_adam(xp, params, grads, moments, step, hyper, corrected=False, **options)


def update_adamw(
    xp: Namespace,
    params: Params,
    grads: Params,
    moments: Moments,
    step: Array,
    hyper: Hyper,
    **options: Any,
) -> tuple[Params, Moments]:
    """Return Adam's step from weights that were decayed first: W ← W - η l2 W, never b.

    Source: Loshchilov & Hutter 2017 (arXiv:1711.05101), as PyTorch scales it, by η.
    Equation: DERIVATION.md, "adamw".
    """
    return update_adam(xp, decay(xp, params, hyper), grads, moments, step, hyper, **options)


def _correction(xp: Namespace, beta: Array | float, t: Array) -> Array:
    """Return 1 - βᵗ, () or (K,), in full precision also where β is near 1."""
    if isinstance(beta, float | int):
        return -xp.expm1(t * math.log(beta)) if beta else xp.ones_like(t)
    return -xp.expm1(t * xp.log(xp.maximum(beta, ALMOST_NONE)))


def _over(xp: Namespace, value: Array | float, leaf: Array) -> Array:
    """Return a number that broadcasts against a leaf, as it is where all members share it."""
    return per_leaf(xp, value, leaf) if getattr(value, "ndim", 0) else value
