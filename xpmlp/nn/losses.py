"""Losses from logits: value and gradient together, stable by construction.

Each takes the logits z: (..., N, C), the targets, and optional row weights w: (..., N) with
Σw > 0, and returns the weighted mean over rows Σwℓ/Σw, shape (...,), with its gradient dz,
shape and dtype of z. A row's share is ω = w/Σw, and 1/N without weights. Targets are trusted:
whoever loads data checks them. Row weights: DERIVATION.md, "row-weights".
"""

from collections.abc import Callable
from typing import NamedTuple

from xpmlp.nn.activations import sigmoid
from xpmlp.types import Array, Namespace


def one_hot(xp: Namespace, y: Array, n_classes: int, like: Array) -> Array:
    """Return t: (..., N, C) with a one at each class index of y: (..., N), in like's dtype.

    An index outside 0..C-1 gives a row of zeros.
    """
    classes = xp.arange(n_classes, dtype=y.dtype, device=getattr(like, "device", None))
    return xp.astype(y[..., None] == classes, like.dtype)


def _mean_over_rows(
    xp: Namespace, rows: Array, dz: Array, weights: Array | None
) -> tuple[Array, Array]:
    if weights is None:
        return xp.mean(rows, axis=-1), dz / dz.shape[-2]
    share = weights / xp.sum(weights, axis=-1, keepdims=True)
    return xp.sum(share * rows, axis=-1), share[..., None] * dz


def softmax_cross_entropy(
    xp: Namespace,
    z: Array,
    t: Array,
    weights: Array | None = None,
    label_smoothing: float = 0.0,
) -> tuple[Array, Array]:
    """Return the mean over rows of ℓ = -Σ_c t_c ln p_c with p = softmax(z), and dz = ω(p - t).

    t: class indices (..., N) of an integer dtype, or rows of probabilities (..., N, C), each
    summing to one. With label smoothing s, t becomes (1 - s)t + s/C. ln p comes by
    log-sum-exp. Equations: DERIVATION.md, "softmax-cross-entropy", "softmax-gradient",
    "log-sum-exp", "label-smoothing".
    """
    n_classes = z.shape[-1]
    if not xp.isdtype(t.dtype, "real floating"):
        t = one_hot(xp, t, n_classes, like=z)
    if label_smoothing:
        t = (1.0 - label_smoothing) * t + label_smoothing / n_classes
    shifted = z - xp.max(z, axis=-1, keepdims=True)
    e = xp.exp(shifted)
    total = xp.sum(e, axis=-1, keepdims=True)
    rows = -xp.sum(t * (shifted - xp.log(total)), axis=-1)
    return _mean_over_rows(xp, rows, e / total - t, weights)


def binary_cross_entropy(
    xp: Namespace, z: Array, t: Array, weights: Array | None = None
) -> tuple[Array, Array]:
    """Return the mean over rows of ℓ = Σ_o softplus(z_o) - t_o z_o, and dz = ω(σ(z) - t).

    The same as -Σ t ln p + (1 - t) ln(1 - p) with p = σ(z), without its overflow; softplus comes
    in two parts, so that t z cancels against the large one exactly. t: (..., N, C)
    of z's dtype, each in [0, 1]; one output node, or several for multilabel targets.
    Equations: DERIVATION.md, "binary-cross-entropy", "binary-gradient".
    """
    rows = xp.sum((xp.maximum(z, 0.0) - t * z) + xp.log1p(xp.exp(-xp.abs(z))), axis=-1)
    return _mean_over_rows(xp, rows, sigmoid(xp, z) - t, weights)


def mean_squared_error(
    xp: Namespace, z: Array, t: Array, weights: Array | None = None
) -> tuple[Array, Array]:
    """Return the mean over rows of ℓ = ½ Σ_o (z_o - t_o)², and dz = ω(z - t).

    t: (..., N, C) of z's dtype. The ½ and the sum over outputs are this project's convention.
    Equations: DERIVATION.md, "mean-squared-error", "mse-gradient".
    """
    error = z - t
    return _mean_over_rows(xp, 0.5 * xp.sum(error * error, axis=-1), error, weights)


def softmax(xp: Namespace, z: Array) -> Array:
    """Return the probabilities e^z / Σ e^z of logits z: (..., N, C), rows summing to one."""
    e = xp.exp(z - xp.max(z, axis=-1, keepdims=True))
    return e / xp.sum(e, axis=-1, keepdims=True)


def _logits(xp: Namespace, z: Array) -> Array:  # noqa: ARG001
    return z


class Loss(NamedTuple):
    """A loss with the function that turns its logits into a prediction (probabilities)."""

    function: Callable[..., tuple[Array, Array]]
    predict: Callable[[Namespace, Array], Array]


LOSSES: dict[str, Loss] = {
    "softmax_cross_entropy": Loss(softmax_cross_entropy, softmax),
    "binary_cross_entropy": Loss(binary_cross_entropy, sigmoid),
    "mean_squared_error": Loss(mean_squared_error, _logits),
}
