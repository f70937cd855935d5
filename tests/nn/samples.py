"""Small random networks, targets and comparisons for the tests of the mathematics."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from xpmlp.backends.base import Backend
from xpmlp.types import Affine, Array, Params

TARGET_KINDS = {
    "softmax_cross_entropy": ("classes", "one-hot", "soft"),
    "binary_cross_entropy": ("binary", "probabilities"),
    "mean_squared_error": ("real",),
    "mean_absolute_error": ("real",),
    "huber": ("real",),
    "poisson": ("counts",),
}


def random_params(
    rng: np.random.Generator, sizes: Sequence[int], members: tuple[int, ...] = ()
) -> Params:
    """Draw a network, or with members (K,) an ensemble of them; no weight or bias is zero."""
    return tuple(
        Affine(rng.standard_normal((*members, d, h)), rng.standard_normal((*members, h)))
        for d, h in pairwise(sizes)
    )


def random_targets(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    """Draw targets of one kind for logits of a shape (..., N, C)."""
    if kind == "classes":
        return rng.integers(shape[-1], size=shape[:-1])
    if kind == "one-hot":
        return np.eye(shape[-1])[rng.integers(shape[-1], size=shape[:-1])]
    if kind == "soft":
        return rng.dirichlet(np.ones(shape[-1]), size=shape[:-1])
    if kind == "binary":
        return rng.integers(2, size=shape).astype(np.float64)
    if kind == "counts":
        return rng.poisson(1.5, size=shape).astype(np.float64)
    return rng.uniform(size=shape) if kind == "probabilities" else rng.standard_normal(shape)


def distance(a: Any, b: Any) -> float:
    """Return ‖a - b‖ / max(‖a‖ + ‖b‖, 1e-8), the measure of agreement per array."""
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape
    norms = np.linalg.norm(a) + np.linalg.norm(b)
    return float(np.linalg.norm(a - b) / max(norms, 1e-8))


def central_differences(
    function: Callable[[np.ndarray], Any], at: np.ndarray, h: float = 1e-5
) -> np.ndarray:
    """Return the gradient of a scalar function of an array, entry by entry."""
    gradient = np.zeros_like(at)
    for i in np.ndindex(at.shape):
        above, below = at.copy(), at.copy()
        above[i] += h
        below[i] -= h
        gradient[i] = (function(above) - function(below)) / (2 * h)
    return gradient


def leaves(tree: Any) -> Iterator[Array]:
    """Yield every array of nested tuples; None is left out."""
    if isinstance(tree, tuple):
        for item in tree:
            yield from leaves(item)
    elif tree is not None:
        yield tree


def lock_numpy(backend: Backend, tree: Any) -> Any:
    """Make NumPy's arrays read-only, so that a write raises; return the tree."""
    if backend.name == "numpy":
        for leaf in leaves(tree):
            leaf.setflags(write=False)
    return tree


def snapshot(backend: Backend, tree: Any) -> list[np.ndarray]:
    """Copy every device array of nested tuples to the host."""
    return [backend.to_numpy(leaf).copy() for leaf in leaves(tree)]
