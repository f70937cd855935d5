"""What an optimiser is: a pure `init` and a pure `update`."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from xpmlp.leaves import map_leaves, per_leaf
from xpmlp.types import Affine, Array, Hyper, Namespace, Params


class Optimizer(NamedTuple):
    """A pair of pure functions.

    init(xp, params) -> moments: the optimiser's own arrays, shaped as the parameters; a tuple
        of trees, empty for plain SGD.
    update(xp, params, grads, moments, step, hyper) -> (params, moments): one step; `step` is
        the number of steps taken before it, a 0-d integer array.
    decoupled_l2: the update applies l2 itself, so that it must stay out of the gradients.
    options: names of further numbers that the update takes by keyword: Python floats, or arrays
        (K,) where members have their own.
    multiplications: those of the update's matrix products, for weights (D, H) of each layer.
    """

    init: Callable[[Namespace, Params], tuple[Params, ...]]
    update: Callable[..., tuple[Params, tuple[Params, ...]]]
    decoupled_l2: bool = False
    options: tuple[str, ...] = ()
    multiplications: Callable[[Sequence[tuple[int, int]]], int] = lambda shapes: 0  # noqa: ARG005


def zeros(xp: Namespace, params: Params) -> Params:
    """Return zeros shaped as the parameters."""
    return map_leaves(xp.zeros_like, params)


def descend(xp: Namespace, params: Params, direction: Params, learning_rate: Array) -> Params:
    """Return W - η d for every leaf."""
    return map_leaves(lambda p, d: p - per_leaf(xp, learning_rate, p) * d, params, direction)


def decay(xp: Namespace, params: Params, hyper: Hyper) -> Params:
    """Return W - η l2 W, and b as it is: decoupled weight decay."""

    def decayed(W: Array) -> Array:
        return None if W is None else W - per_leaf(xp, hyper.learning_rate * hyper.l2, W) * W

    return tuple(Affine(decayed(layer.W), layer.b) for layer in params)
