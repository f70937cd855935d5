"""L2 and L1 penalties on the weights, never on the biases."""

from xpmlp.leaves import per_leaf, sum_of_squares
from xpmlp.types import Affine, Array, Namespace, Params


def penalty(xp: Namespace, params: Params, l2: Array, l1: Array) -> Array:
    """Return ½ l2 Σ W² + l1 Σ |W| over all layers, shape (...,).

    l2, l1: floats, or arrays of shape () or (K,). Equations: DERIVATION.md, "l2", "l1".
    """
    squares = sum(sum_of_squares(xp, layer.W, 2) for layer in params)
    absolutes = sum(xp.sum(xp.abs(layer.W), axis=(-2, -1)) for layer in params)
    return 0.5 * l2 * squares + l1 * absolutes


def add_penalty_gradient(
    xp: Namespace, grads: Params, params: Params, l2: Array, l1: Array
) -> Params:
    """Return the gradients with dW + l2 W + l1 sign(W), where sign(0) = 0.

    Equations: DERIVATION.md, "l2", "l1".
    """
    return tuple(
        Affine(
            g.W + per_leaf(xp, l2, p.W) * p.W + per_leaf(xp, l1, p.W) * xp.sign(p.W),
            g.b,
        )
        for g, p in zip(grads, params, strict=True)
    )
