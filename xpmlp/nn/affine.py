"""The affine layer z = xW + b and its backward pass."""

from xpmlp.types import Affine, Array, Namespace


def forward(xp: Namespace, x: Array, layer: Affine) -> Array:
    """Return z = xW + b.

    x: (..., N, D), W: (..., D, H), b: (..., H); z: (..., N, H). Leading axes broadcast.
    Equation: DERIVATION.md, "affine".
    """
    return xp.matmul(x, layer.W) + layer.b[..., None, :]


def backward(xp: Namespace, x: Array, dz: Array) -> Affine:
    """Return the gradients of the parameters, dW = xᵀ dz and db = Σₙ dz.

    x: (..., N, D), dz: (..., N, H); dW: (..., D, H), db: (..., H). The factor 1/N of a mean
    over rows is already in dz. Equation: DERIVATION.md, "affine-backward".
    """
    return Affine(W=xp.matmul(xp.matrix_transpose(x), dz), b=xp.sum(dz, axis=-2))


def backward_input(xp: Namespace, layer: Affine, dz: Array) -> Array:
    """Return the gradient of the layer's input, dx = dz Wᵀ.

    dz: (..., N, H), W: (..., D, H); dx: (..., N, D).
    Equation: DERIVATION.md, "affine-backward".
    """
    return xp.matmul(dz, xp.matrix_transpose(layer.W))
