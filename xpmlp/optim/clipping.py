"""Clipping of gradients by their global norm."""

from xpmlp.leaves import map_leaves, per_leaf, sum_of_squares
from xpmlp.types import Array, Namespace, Params


def global_norm(xp: Namespace, grads: Params) -> Array:
    """Return the Euclidean norm over all entries of all gradients, per member: shape (...,)."""
    return xp.sqrt(sum(sum_of_squares(xp, g.W, 2) + sum_of_squares(xp, g.b, 1) for g in grads))


def clip_by_global_norm(xp: Namespace, grads: Params, max_norm: Array | float) -> Params:
    """Return the gradients scaled by min(1, max_norm / norm), each member by its own norm.

    max_norm: a float, or (K,).
    Equation: DERIVATION.md, "clipping".
    """
    norm = global_norm(xp, grads)
    scale = max_norm / xp.maximum(norm, max_norm)
    return map_leaves(lambda g: per_leaf(xp, scale, g) * g, grads)
