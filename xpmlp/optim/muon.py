"""Muon: momentum made orthogonal for the weights of hidden layers, AdamW for all else."""

import math
from collections.abc import Sequence
from typing import Any

from xpmlp.leaves import map_leaves, per_leaf, sum_of_squares
from xpmlp.optim.adam import update_adamw
from xpmlp.optim.base import decay, descend, zeros
from xpmlp.optim.sgd import velocity
from xpmlp.types import Affine, Array, Hyper, Namespace, Params

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
SMALLEST_NORM = 1e-7
RMS = 0.2

Moments = tuple[Params, ...]


def init_muon(xp: Namespace, params: Params) -> Moments:
    """Return two trees of zeros.

    Of a hidden layer's W the first has the velocity, and the second stays zero; of all else they
    are Adam's moments.
    """
    return zeros(xp, params), zeros(xp, params)


def update_muon(
    xp: Namespace,
    params: Params,
    grads: Params,
    moments: Moments,
    step: Array,
    hyper: Hyper,
    **options: Any,
) -> tuple[Params, Moments]:
    """Return W - ηλW - η·0.2√max(D, H)·O(g + μv) with v ← μv + g for hidden W: (..., D, H).

    O is `orthogonalize`. The W of the last layer and every b take AdamW's step at the same rate;
    options: its numbers. Source: Jordan et al. 2024 (kellerjordan.github.io/posts/muon), with
    Nesterov's momentum, and AdamW for the last layer and biases, as there. Theirs is the factor
    √max(1, H/D), PyTorch's default too; 0.2√max(D, H) is that of Liu et al. 2025
    (arXiv:2502.16982), which gives an entry of W steps as long as AdamW's. They iterate in
    bfloat16, this in the dtype of W. Equation: DERIVATION.md, "muon".
    """
    hidden, others = _part(params)
    hidden_grads, other_grads = _part(grads)
    v, m = _part(moments[0])
    unused, squares = _part(moments[1])

    others, (m, squares) = update_adamw(
        xp, others, other_grads, (m, squares), step, hyper, **options
    )
    v = velocity(xp, hidden_grads, v, hyper)
    ahead = velocity(xp, hidden_grads, v, hyper)
    direction = map_leaves(
        lambda G: RMS * math.sqrt(max(G.shape[-2:])) * orthogonalize(xp, G), ahead
    )
    hidden = descend(xp, decay(xp, hidden, hyper), direction, hyper.learning_rate)
    return _join(hidden, others), (_join(v, m), _join(unused, squares))


def multiplications(shapes: Sequence[tuple[int, int]]) -> int:
    """Return those of a step: of each hidden layer 5m(2DH + m²) with m = min(D, H)."""
    return sum(ITERATIONS * min(d, h) * (2 * d * h + min(d, h) ** 2) for d, h in shapes[:-1])


def orthogonalize(xp: Namespace, G: Array) -> Array:
    """Return about UVᵀ of G = USVᵀ: (..., D, H), each matrix on its own; 0 for G = 0.

    Five times X ← aX + b(XXᵀ)X + c(XXᵀ)²X from X = G/‖G‖: the singular values s/‖G‖ go through
    the polynomial as + bs³ + cs⁵, those above 0.002 into [0.68, 1.21]. XᵀX takes the
    place of XXᵀ where it is the smaller. Source: Jordan et al. 2024; ‖G‖ at least 1e-7, as in
    PyTorch. Equation: DERIVATION.md, "muon".
    """
    a, b, c = COEFFICIENTS
    norm = xp.maximum(xp.sqrt(sum_of_squares(xp, G, 2)), SMALLEST_NORM)
    X = G / per_leaf(xp, norm, G)
    tall = G.shape[-2] > G.shape[-1]
    for _ in range(ITERATIONS):
        Xt = xp.matrix_transpose(X)
        gram = xp.matmul(Xt, X) if tall else xp.matmul(X, Xt)
        factor = c * xp.matmul(gram, gram) + b * gram
        X = (xp.matmul(X, factor) if tall else xp.matmul(factor, X)) + a * X
    return X


def _part(tree: Params) -> tuple[Params, Params]:
    """Return the hidden layers' W, and all else, each with None for what the other has."""
    *hidden, last = tree
    inner = (*(Affine(layer.W, None) for layer in hidden), Affine(None, None))
    return inner, (*(Affine(None, layer.b) for layer in hidden), last)


def _join(hidden: Params, others: Params) -> Params:
    """Return the tree of two parts."""
    *_, last = others
    pairs = zip(hidden[:-1], others[:-1], strict=True)
    return (*(Affine(inner.W, other.b) for inner, other in pairs), last)
