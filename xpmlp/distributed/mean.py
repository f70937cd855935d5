"""The mean over the parts of a step: loss and gradients of all ranks in one all-reduce.

A part's loss and gradients are means over its rows. Times the weight of these rows, summed over
the ranks and divided by the weight of all they are those of the whole batch:
g = Σ_r w_r g_r / Σ_r w_r. Leaves and weight go in one flat buffer (..., P + 1).
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from xpmlp.compiler.plan import Call
from xpmlp.compiler.recording import ACROSS
from xpmlp.distributed.ranks import Ranks
from xpmlp.leaves import leaves, map_tree
from xpmlp.types import Array, Namespace, Params


class Exchange:
    """The all-reduces of a rank's steps, and how long each of them took.

    seconds: of each since the last `taken`. bytes: of the last buffer.
    """

    def __init__(self, ranks: Ranks) -> None:
        self.ranks, self.is_recording = ranks, False
        self.seconds: list[float] = []
        self.bytes = 0

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Send nothing inside, where a step runs for its shapes alone."""
        self.is_recording = True
        try:
            yield
        finally:
            self.is_recording = False

    def call(self, out: np.ndarray, parts: Sequence[np.ndarray], weight: np.ndarray) -> Call:
        """Return the call that writes the means of parts, and the whole weight, into `out`.

        parts: the loss (...,), then leaves (..., *shape). weight: (...,) or (), of this rank's
        rows; all are read when it is called. out: (..., P + 1).
        """
        pairs = list(zip(parts, _places(out, parts), strict=True))
        spread = [_spread(weight, parts[0].ndim, part.ndim) for part in parts]
        whole, means = out[..., -1], out[..., :-1]

        def mean() -> None:
            for (part, place), factor in zip(pairs, spread, strict=True):
                np.multiply(part, factor, out=place)
            whole[...] = weight
            if not np.all(weight):  # the mean over rows that weigh nothing is no number
                out[np.broadcast_to(weight == 0, whole.shape)] = 0.0
            self._sum(out)
            np.divide(means, whole[..., None], out=means)

        return mean

    def _sum(self, buffer: np.ndarray) -> None:
        if self.is_recording:
            return
        begun = time.perf_counter()
        self.ranks.all_sum(buffer)
        self.seconds.append(time.perf_counter() - begun)
        self.bytes = buffer.nbytes

    def taken(self) -> np.ndarray:
        """Return the seconds (S,) of the all-reduces since the last time."""
        seconds, self.seconds = self.seconds, []
        return np.array(seconds)


def buffer_shape(parts: Sequence[Array]) -> tuple[int, ...]:
    """Return the shape of the flat buffer of these parts, the first of which is the loss."""
    lead = tuple(parts[0].shape)
    entries = sum(int(np.prod(part.shape[len(lead) :])) for part in parts)
    return (*lead, entries + 1)


def across(xp: Namespace, loss: Array, grads: Params, weight: Array) -> tuple[Array, Params, Array]:
    """Return loss, gradients and weight of a whole step from those of this rank's part of it."""
    parts = (loss, *leaves(grads))
    flat = getattr(xp, ACROSS)(parts, weight)
    pieces = iter(_pieces(parts))
    next(pieces)

    def piece(leaf: Array) -> Array:
        return xp.reshape(flat[..., next(pieces)], tuple(leaf.shape))

    return flat[..., 0], map_tree(piece, grads), flat[..., -1]


def _pieces(parts: Sequence[Array]) -> Iterator[slice]:
    """Yield where each part lies along the last axis of the buffer."""
    lead, begin = len(parts[0].shape), 0
    for part in parts:
        entries = int(np.prod(part.shape[lead:]))
        yield slice(begin, begin + entries)
        begin += entries


def _places(out: np.ndarray, parts: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [
        out[..., piece].reshape(part.shape, copy=False)
        for part, piece in zip(parts, _pieces(parts), strict=True)
    ]


def _spread(weight: np.ndarray, lead: int, axes: int) -> np.ndarray:
    """Return a view of weights (...,) that broadcasts against a leaf of so many axes."""
    return weight.reshape(*weight.shape, *(1,) * (axes - lead)) if weight.ndim else weight
