"""Stochastic gradient descent: plain, with momentum, with Nesterov's momentum."""

from xpmlp.leaves import map_leaves, per_leaf
from xpmlp.optim.base import descend, zeros
from xpmlp.types import Array, Hyper, Namespace, Params

Moments = tuple[Params, ...]


def init_sgd(xp: Namespace, params: Params) -> Moments:  # noqa: ARG001
    """Return the empty state of plain SGD."""
    return ()


def update_sgd(
    xp: Namespace,
    params: Params,
    grads: Params,
    moments: Moments,
    step: Array,  # noqa: ARG001
    hyper: Hyper,
) -> tuple[Params, Moments]:
    """Return W - ηg. Equation: DERIVATION.md, "sgd"."""
    return descend(xp, params, grads, hyper.learning_rate), moments


def init_momentum(xp: Namespace, params: Params) -> Moments:
    """Return velocities v = 0. A warm start hands in its own instead."""
    return (zeros(xp, params),)


def velocity(xp: Namespace, grads: Params, v: Params, hyper: Hyper) -> Params:
    """Return μv + g."""
    return map_leaves(lambda v, g: per_leaf(xp, hyper.momentum, g) * v + g, v, grads)


def update_momentum(
    xp: Namespace,
    params: Params,
    grads: Params,
    moments: Moments,
    step: Array,  # noqa: ARG001
    hyper: Hyper,
) -> tuple[Params, Moments]:
    """Return W - ηv with v ← μv + g, as PyTorch and optax do.

    Texts with v ← μv + ηg, W ← W - v take the same path at a constant rate, with a v that
    is η times this one. Equation: DERIVATION.md, "momentum".
    """
    v = velocity(xp, grads, moments[0], hyper)
    return descend(xp, params, v, hyper.learning_rate), (v,)


def update_nesterov(
    xp: Namespace,
    params: Params,
    grads: Params,
    moments: Moments,
    step: Array,  # noqa: ARG001
    hyper: Hyper,
) -> tuple[Params, Moments]:
    """Return W - η(g + μv) with v ← μv + g, as PyTorch. Equation: DERIVATION.md, "nesterov"."""
    v = velocity(xp, grads, moments[0], hyper)
    ahead = velocity(xp, grads, v, hyper)
    return descend(xp, params, ahead, hyper.learning_rate), (v,)
