"""Nets that train on rows of their own, as the folds of a cross-validation, in one step.

The rows of all lie in one piece on the device, once for each set of rows however many nets train
on it, and each net takes those of its own by their numbers. Where one set has fewer rows than
another, its last batch is filled up with a row that weighs nothing.
"""

from collections.abc import Sequence

import numpy as np

from xpmlp.errors import InputError
from xpmlp.leaves import map_tree
from xpmlp.training.problem import Problem, Share
from xpmlp.types import Array, Batch, Namespace


def pool(problems: Sequence[Problem]) -> None:
    """Let the nets of several problems train in one step.

    The problems have one kind of net, and rows of their own on one backend.
    Raises InputError for others.
    """
    first = problems[0]
    if any(one.kind != first.kind or one.sizes != first.sizes for one in problems):
        raise InputError("problems that share rows must have the same net, backend and numbers")
    lengths = [int(one.train.x.shape[0]) for one in problems]
    ends = np.cumsum(lengths)
    ragged = len(set(lengths)) > 1
    with first.running():
        rows = _together(first.backend.xp, [one.train for one in problems], ragged)
    for problem, end, length in zip(problems, ends, lengths, strict=True):
        problem.take_steps_of(first)
        problem.share = Share(rows, int(end - length), int(ends[-1]) if ragged else None)


def _together(xp: Namespace, batches: Sequence[Batch], ragged: bool) -> Batch:
    """Return the rows of all; ragged: with one more, which weighs nothing."""
    if ragged or any(batch.weights is not None for batch in batches):
        batches = [_weighed(xp, batch) for batch in batches]
    if ragged:
        batches = [*batches, map_tree(lambda leaf: xp.zeros_like(leaf[:1, ...]), batches[0])]
    joined: Batch = map_tree(lambda *leaves: xp.concat(list(leaves)), *batches)
    return joined


def _weighed(xp: Namespace, batch: Batch) -> Batch:
    if batch.weights is not None:
        return batch
    ones: Array = xp.ones_like(batch.x[:, 0])
    return batch._replace(weights=ones)


def order_of(share: Share, order: np.ndarray | None, rows: int, longest: int) -> np.ndarray:
    """Return the numbers (longest,) of a problem's rows among all, from its own order (rows,)."""
    own = np.arange(rows) if order is None else order.astype(np.int64)
    filled = [share.nothing] * (longest - rows)
    return np.concatenate([own + share.first, np.asarray(filled, own.dtype)])
