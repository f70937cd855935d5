"""L2 and L1 penalties on the weights, never on the biases."""

from xpmlp.leaves import per_leaf, sum_of_squares
from xpmlp.types import Affine, Array, Namespace, Params


def penalty(xp: Namespace, params: Params, l2: Array | None, l1: Array | None) -> Array:
    """Return ½ l2 Σ W² + l1 Σ |W| over all layers, shape (...,).

    l2, l1: floats, or arrays of shape () or (K,); None leaves a term out, but not both. Equations:
    DERIVATION.md, "l2", "l1".
    """
    terms = []
    if l2 is not None:
        terms.append(0.5 * l2 * sum(sum_of_squares(xp, layer.W, 2) for layer in params))
    if l1 is not None:
        terms.append(l1 * sum(xp.sum(xp.abs(layer.W), axis=(-2, -1)) for layer in params))
    return sum(terms)


def add_penalty_gradient(
    xp: Namespace, grads: Params, params: Params, l2: Array | None, l1: Array | None
) -> Params:
    """Return the gradients with dW + l2 W + l1 sign(W), where sign(0) = 0.

    l2, l1: as for `penalty`. Equations: DERIVATION.md, "l2", "l1".
    """

    def with_penalty(dW: Array, W: Array) -> Array:
        if l2 is not None:
            dW = dW + per_leaf(xp, l2, W) * W
        if l1 is not None:
            dW = dW + per_leaf(xp, l1, W) * xp.sign(W)
        return dW

    return tuple(Affine(with_penalty(g.W, p.W), g.b) for g, p in zip(grads, params, strict=True))
