"""The state of a net that trains alone, or in company: one of several, over a leading axis.

Members that stay together from epoch to epoch keep their states joined; each is parted from the
others only where somebody asks for it. Nets that begin together are drawn into one memory. Those
of narrower nets are joined with units that are zero, and stay so.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from xpmlp.backends.base import Backend
from xpmlp.leaves import leaves, map_tree
from xpmlp.training.step import TrainState
from xpmlp.types import Array, Namespace, Params

Shape = tuple[int, ...]


class Beginning(NamedTuple):
    """How a net begins.

    draw: returns its parameters, on the host, the same at each call. start: takes parameters on
    the device, of one net or (K, ...), and a step of 0, and returns the state.
    """

    draw: Callable[[], Params]
    start: Callable[[Params, Array], TrainState]

    def state(self, backend: Backend, params: Params) -> TrainState:
        """Return the state of one net or several with these parameters, which lie on the host."""
        with backend.running():
            return self.start(*backend.put((params, np.asarray(0))))


class Seat:
    """Where one net's state lies.

    at: its state, or that of several nets, whose params and moments are then (K, ...), or how it
    begins. backend: whose arrays these are; None: they lie on the host, and stay alone. k: which of
    the nets it is; None: it is alone. shapes: of its own leaves, in their order.
    """

    def __init__(
        self,
        at: TrainState | Beginning,
        backend: Backend | None = None,
        k: int | None = None,
        shapes: Sequence[Shape] | None = None,
    ) -> None:
        self.at, self.backend, self.k, self._shapes = at, backend, k, shapes

    @property
    def joined(self) -> TrainState:
        """The state of all nets that lie together; of one that has not begun, its first."""
        if isinstance(self.at, Beginning):
            assert self.backend
            self.at = self.at.state(self.backend, self.at.draw())
        return self.at

    @property
    def shapes(self) -> Sequence[Shape]:
        """The shapes of the net's own leaves, in their order."""
        if self._shapes is None:
            self._shapes = list(map(_shape, leaves(self.joined[:2])))
        return self._shapes

    @property
    def state(self) -> TrainState:
        """The net's own state: of one of several a copy, which is made anew each time."""
        state: TrainState = self._copied(self.view)
        return state

    @property
    def params(self) -> Params:
        """The net's own parameters, likewise."""
        params: Params = self._copied(self.view.params)
        return params

    @property
    def view(self) -> TrainState:
        """The net's own state where it lies."""
        if self.k is None:
            return self.joined
        assert self.backend
        shapes = iter(self.shapes)

        def own(leaf: Array) -> Array:
            return leaf[(self.k, *(slice(n) for n in next(shapes)))]

        with self.backend.running():
            params, moments = map_tree(own, self.joined[:2])
        return TrainState(params, moments, self.joined.step)

    def _copied(self, tree: Any) -> Any:
        if self.k is None:
            return tree
        assert self.backend
        xp = self.backend.xp
        with self.backend.running():
            return map_tree(lambda leaf: xp.asarray(leaf, copy=True), tree)

    def join(self, joined: TrainState, k: int, shapes: Sequence[Shape]) -> None:
        """Keep the net's state with those of others."""
        self.at, self.k, self._shapes = joined, k, shapes

    def leave(self) -> None:
        """Let go of the others' states."""
        self.at, self.k = self.state, None


def seats(state: TrainState, before: Sequence[Seat]) -> list[Seat]:
    """Return the seats of members whose states, as `joined` gave them, have become others."""
    if len(before) == 1:
        return [Seat(state, before[0].backend)]
    return [Seat(state, seat.backend, k, seat.shapes) for k, seat in enumerate(before)]


def joined(xp: Namespace, taken: Sequence[Seat]) -> TrainState:
    """Return the states of K members over a leading axis, (K, ...); of one, as it is.

    Who was apart is joined with the others from then on, so that no state is there twice.
    """
    first = taken[0]
    if len(taken) == 1:
        return first.state
    begun = _begun(taken)
    if begun or first.k is None or any(seat.at is not first.at for seat in taken):
        state = begun or _stacked_states(xp, [seat.view for seat in taken])
        own = [shape[1:] for shape in map(_shape, leaves(state[:2]))]
        for k, seat in enumerate(taken):
            seat.join(state, k, own if begun else seat.shapes)
        return state
    places = [seat.k for seat in taken]
    if places == list(range(first.joined.params[0].b.shape[0])):
        return first.joined
    device = getattr(first.joined.params[0].W, "device", None)
    index = xp.asarray(places, dtype=xp.int64, device=device)
    params, moments = map_tree(lambda leaf: xp.take(leaf, index, axis=0), first.joined[:2])
    return TrainState(params, moments, first.joined.step)


def _begun(taken: Sequence[Seat]) -> TrainState | None:
    """Return the joined state of nets that all are to begin, where they have the same shapes."""
    ways = [seat.at for seat in taken if isinstance(seat.at, Beginning)]
    if len(ways) < len(taken) or any(way.start != ways[0].start for way in ways):
        return None
    backend = taken[0].backend
    assert backend
    first = ways[0].draw()
    params = map_tree(lambda leaf: np.empty((len(ways), *leaf.shape), backend.dtype), first)
    for k, way in enumerate(ways):
        drawn = way.draw()
        if list(map(_shape, leaves(drawn))) != list(map(_shape, leaves(first))):
            return None
        for whole, leaf in zip(leaves(params), leaves(drawn), strict=True):
            whole[k] = leaf
    return ways[0].state(backend, params)


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
