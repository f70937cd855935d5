"""The state of a net that trains alone, or in company: one of several, over a leading axis.

Members that stay together from epoch to epoch keep their states joined; each is parted from the
others only where somebody asks for it.
"""

from collections.abc import Sequence
from typing import Any

from xpmlp.leaves import map_tree
from xpmlp.training.step import TrainState
from xpmlp.types import Namespace, Params


class Seat:
    """Where one net's state lies.

    joined: its state, or that of several nets, whose params and moments are then (K, ...). k: which
    of these it is; None: it is alone.
    """

    def __init__(self, xp: Namespace, joined: TrainState, k: int | None = None) -> None:
        self.xp, self.joined, self.k = xp, joined, k
        self._own: TrainState | None = joined if k is None else None

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
        params, moments = map_tree(lambda leaf: leaf[self.k, ...], self.joined[:2])
        return TrainState(params, moments, self.joined.step)

    def leave(self) -> None:
        """Let go of the others' states."""
        self.joined, self.k = self.state, None


def seats(xp: Namespace, joined: TrainState, members: int) -> list[Seat]:
    """Return the seat of each member; of one, the state is not joined."""
    if members == 1:
        return [Seat(xp, joined)]
    return [Seat(xp, joined, k) for k in range(members)]


def joined(xp: Namespace, taken: Sequence[Seat]) -> TrainState:
    """Return the states of K members over a leading axis; of one, as it is."""
    first = taken[0]
    if len(taken) == 1:
        return first.state
    if first.k is None or any(seat.joined is not first.joined for seat in taken):
        views = [seat.view for seat in taken]
        params = stacked(xp, [view.params for view in views])
        moments = stacked(xp, [view.moments for view in views])
        return TrainState(params, moments, views[0].step)
    places = [seat.k for seat in taken]
    if places == list(range(first.joined.params[0].b.shape[0])):
        return first.joined
    device = getattr(first.joined.params[0].W, "device", None)
    index = xp.asarray(places, dtype=xp.int64, device=device)
    params, moments = map_tree(lambda leaf: xp.take(leaf, index, axis=0), first.joined[:2])
    return TrainState(params, moments, first.joined.step)


def stacked(xp: Namespace, trees: Sequence[Any]) -> Any:
    """Return one tree of arrays (K, ...) from K trees of arrays (...)."""
    return map_tree(lambda *leaves: xp.stack(list(leaves)), *trees)
