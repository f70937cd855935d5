"""Metrics that run inside the loop, on the device."""

from xpmlp.leaves import sum_of_squares
from xpmlp.types import Affine, Array, Namespace, Params


def correct(xp: Namespace, z: Array, t: Array) -> Array:
    """Return for each row whether its prediction is right, (..., N), in z's dtype.

    z: logits (..., N, C). With class indices t: (..., N), or one-hot t with C > 1, the
    largest logit names the class; with one output node, z > 0 means class 1.
    """
    if z.shape[-1] == 1:
        right = (z > 0.0)[..., 0] == (t > 0.5)[..., 0]
    else:
        y = xp.argmax(t, axis=-1) if xp.isdtype(t.dtype, "real floating") else t
        right = xp.argmax(z, axis=-1) == y
    return xp.astype(right, z.dtype)


def accuracy(xp: Namespace, z: Array, t: Array) -> Array:
    """Return the share of rows whose prediction is right, shape (...,), in z's dtype."""
    return xp.mean(correct(xp, z, t), axis=-1)


def gradient_norms(xp: Namespace, grads: Params) -> list[Affine]:
    """Return the Frobenius norm of each dW and the Euclidean norm of each db, shape (...,)."""

    def norm(leaf: Array, n_axes: int) -> Array:
        return xp.sqrt(sum_of_squares(xp, leaf, n_axes))

    return [Affine(norm(g.W, 2), norm(g.b, 1)) for g in grads]
