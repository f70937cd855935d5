"""The state of a net that trains alone, or in company: one of several, over a leading axis.

Members that stay together from epoch to epoch keep their states joined; each is parted from the
others only where somebody asks for it. Those of narrower nets are joined with units that are zero,
and stay so.
"""

from collections.abc import Sequence
from typing import Any

from xpmlp.leaves import leaves, map_tree
from xpmlp.training.step import TrainState
from xpmlp.types import Array, Namespace, Params

Shape = tuple[int, ...]


class Seat:
    """Where one net's state lies.

    joined: its state, or that of several nets, whose params and moments are then (K, ...). k: which
    of these it is; None: it is alone. shapes: of its own leaves, in their order.
    """

    def __init__(
        self,
        xp: Namespace,
        joined: TrainState,
        k: int | None = None,
        shapes: Sequence[Shape] | None = None,
    ) -> None:
        self.xp, self.joined, self.k = xp, joined, k
        self._own: TrainState | None = joined if k is None else None
        self.shapes = list(map(_shape, leaves(joined[:2]))) if shapes is None else shapes

    @property
    def state(self) -> TrainState:
        """The net's own state, in memory of its own where it is one of several."""
        if self._own is None:
            self._own = map_tree(lambda leaf: self.xp.asarray(leaf, copy=True), self.view)
        return self._own

    @property
    def params(self) -> Params:
        """The net's own parameters, likewise."""
        return self.state.params

    @property
    def view(self) -> TrainState:
        """The net's own state where it lies."""
        if self.k is None or self._own is not None:
            return self.state
        shapes = iter(self.shapes)

        def own(leaf: Array) -> Array:
            return leaf[(self.k, *(slice(n) for n in next(shapes)))]

        params, moments = map_tree(own, self.joined[:2])
        return TrainState(params, moments, self.joined.step)

    def join(self, joined: TrainState, k: int) -> None:
        """Keep the net's state with those of others, and let go of its own copy."""
        self.joined, self.k, self._own = joined, k, None

    def leave(self) -> None:
        """Let go of the others' states."""
        self.joined, self.k = self.state, None


def seats(xp: Namespace, state: TrainState, before: Sequence[Seat]) -> list[Seat]:
    """Return the seats of members whose states, as `joined` gave them, have become others."""
    if len(before) == 1:
        return [Seat(xp, state)]
    return [Seat(xp, state, k, seat.shapes) for k, seat in enumerate(before)]


def joined(xp: Namespace, taken: Sequence[Seat]) -> TrainState:
    """Return the states of K members over a leading axis, (K, ...); of one, as it is.

    Who was apart is joined with the others from then on, so that no state is there twice.
    """
    first = taken[0]
    if len(taken) == 1:
        return first.state
    if first.k is None or any(seat.joined is not first.joined for seat in taken):
        state = _stacked_states(xp, [seat.view for seat in taken])
        for k, seat in enumerate(taken):
            seat.join(state, k)
        return state
    places = [seat.k for seat in taken]
    if places == list(range(first.joined.params[0].b.shape[0])):
        return first.joined
    device = getattr(first.joined.params[0].W, "device", None)
    index = xp.asarray(places, dtype=xp.int64, device=device)
    params, moments = map_tree(lambda leaf: xp.take(leaf, index, axis=0), first.joined[:2])
    return TrainState(params, moments, first.joined.step)


def _stacked_states(xp: Namespace, views: Sequence[TrainState]) -> TrainState:
    shapes = [list(map(_shape, leaves(view[:2]))) for view in views]
    widest = [tuple(map(max, zip(*of_leaf, strict=True))) for of_leaf in zip(*shapes, strict=True)]

    def padded(view: TrainState) -> Any:
        wanted = iter(widest)
        return map_tree(lambda leaf: pad(xp, leaf, next(wanted)), view[:2])

    params, moments = stacked(xp, list(map(padded, views)))
    return TrainState(params, moments, views[0].step)


def pad(xp: Namespace, leaf: Array, shape: Shape) -> Array:
    """Return a leaf with zeros behind what it has, in each axis."""
    for axis, wanted in enumerate(shape):
        missing = wanted - leaf.shape[axis]
        if missing:
            of_zeros = (*leaf.shape[:axis], missing, *leaf.shape[axis + 1 :])
            device = getattr(leaf, "device", None)
            zeros = xp.zeros(of_zeros, dtype=leaf.dtype, device=device)
            leaf = xp.concat([leaf, zeros], axis=axis)
    return leaf


def stacked(xp: Namespace, trees: Sequence[Any]) -> Any:
    """Return one tree of arrays (K, ...) from K trees of arrays (...)."""
    return map_tree(lambda *leaves: xp.stack(list(leaves)), *trees)


def _shape(leaf: Array) -> Shape:
    return tuple(leaf.shape)
