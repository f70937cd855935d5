"""Losses from logits: value and gradient together, stable by construction.

Each takes the logits z: (..., N, C), the targets, and optional row weights w: (..., N) with
Σw > 0, and returns the weighted mean over rows Σwℓ/Σw, shape (...,), with its gradient dz,
shape and dtype of z. A row's share is ω = w/Σw, and 1/N without weights. Targets are trusted:
whoever loads data checks them. Row weights: DERIVATION.md, "row-weights".
"""

from collections.abc import Callable
from typing import NamedTuple

from xpmlp.leaves import is_zero, per_leaf
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
    label_smoothing: Array | float = 0.0,
) -> tuple[Array, Array]:
    """Return the mean over rows of ℓ = -Σ_c t_c ln p_c with p = softmax(z), and dz = ω(p - t).

    t: class indices (..., N) of an integer dtype, or rows of probabilities (..., N, C), each
    summing to one. With label smoothing s, a float or (K,), t becomes (1 - s)t + s/C. ln p comes
    by log-sum-exp. Equations: DERIVATION.md, "softmax-cross-entropy", "softmax-gradient",
    "log-sum-exp", "label-smoothing".
    """
    n_classes = z.shape[-1]
    if not xp.isdtype(t.dtype, "real floating"):
        t = one_hot(xp, t, n_classes, like=z)
    if not is_zero(label_smoothing):
        s = per_leaf(xp, label_smoothing, z)
        t = (1.0 - s) * t + s / n_classes
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


def mean_absolute_error(
    xp: Namespace, z: Array, t: Array, weights: Array | None = None
) -> tuple[Array, Array]:
    """Return the mean over rows of ℓ = Σ_o |z_o - t_o|, and dz = ω sign(z - t) with sign(0) = 0.

    t: (..., N, C) of z's dtype. Equation: DERIVATION.md, "mean-absolute-error".
    """
    error = z - t
    return _mean_over_rows(xp, xp.sum(xp.abs(error), axis=-1), xp.sign(error), weights)


def huber(xp: Namespace, z: Array, t: Array, weights: Array | None = None) -> tuple[Array, Array]:
    """Return the mean over rows of ℓ = Σ_o h(z_o - t_o), and dz = ω clip(z - t, -1, 1).

    h(e) = ½e² where |e| ≤ 1, else |e| - ½ (Huber 1964, doi:10.1214/aoms/1177703732); with
    g = clip(e, -1, 1) both are g(e - ½g). t: (..., N, C) of z's dtype.
    Equation: DERIVATION.md, "huber".
    """
    error = z - t
    clipped = xp.maximum(xp.minimum(error, 1.0), -1.0)
    rows = xp.sum(clipped * (error - 0.5 * clipped), axis=-1)
    return _mean_over_rows(xp, rows, clipped, weights)


def poisson(xp: Namespace, z: Array, t: Array, weights: Array | None = None) -> tuple[Array, Array]:
    """Return the mean over rows of ℓ = Σ_o t_o ln t_o - t_o z_o - t_o + e^z_o, and dz = ω(e^z - t).

    Half the deviance of a Poisson distribution with mean e^z, scikit-learn's "poisson" loss
    summed over outputs; 0 where e^z = t, with 0 ln 0 = 0. For t > 0 it is t(e^r - 1 - r) with
    r = z - ln t, in which large counts don't cancel. t: (..., N, C) of z's dtype, each 0 or more.
    Equations: DERIVATION.md, "poisson", "poisson-gradient".
    """
    positive, mean = t > 0.0, xp.exp(z)
    r = z - xp.log(xp.where(positive, t, xp.ones_like(t)))
    rows = xp.sum(xp.where(positive, t * (xp.expm1(r) - r), mean), axis=-1)
    return _mean_over_rows(xp, rows, mean - t, weights)


def softmax(xp: Namespace, z: Array) -> Array:
    """Return the probabilities e^z / Σ e^z of logits z: (..., N, C), rows summing to one."""
    e = xp.exp(z - xp.max(z, axis=-1, keepdims=True))
    return e / xp.sum(e, axis=-1, keepdims=True)


def _logits(xp: Namespace, z: Array) -> Array:  # noqa: ARG001
    return z


def _exponential(xp: Namespace, z: Array) -> Array:
    return xp.exp(z)


class Loss(NamedTuple):
    """A loss with the function that turns its logits into a prediction (probabilities, values).

    kinks: the errors z - t at which the gradient jumps or has a kink.
    """

    function: Callable[..., tuple[Array, Array]]
    predict: Callable[[Namespace, Array], Array]
    kinks: tuple[float, ...] = ()


LOSSES: dict[str, Loss] = {
    "softmax_cross_entropy": Loss(softmax_cross_entropy, softmax),
    "binary_cross_entropy": Loss(binary_cross_entropy, sigmoid),
    "mean_squared_error": Loss(mean_squared_error, _logits),
    "mean_absolute_error": Loss(mean_absolute_error, _logits, kinks=(0.0,)),
    "huber": Loss(huber, _logits, kinks=(-1.0, 1.0)),
    "poisson": Loss(poisson, _exponential),
}
