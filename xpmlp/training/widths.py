"""Nets of several widths in one step: the narrower have units whose weights are zero.

Such a unit adds nothing to what follows, and no gradient reaches it: its outgoing weights are
zero, and so are the incoming ones, with which it gives f(0) = 0. So both stay zero, to the bit.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from xpmlp.nn.activations import ACTIVATIONS
from xpmlp.optim import OPTIMIZERS
from xpmlp.training.step import Objective

PADDED_WORK = 2.0  # times the multiplications of the nets as they are

Sizes = tuple[int, ...]


def may_widen(objective: Objective) -> bool:
    """Tell whether units of zero weights stay without effect in such nets.

    Not where f(0) is not 0, where the update of one weight depends on others, as in Muon, or where
    dropout counts the units of several layers.
    """
    zero = np.zeros(1)
    names = objective.activations
    silent = all(ACTIVATIONS[name].function(np, zero)[0] == 0 for name in names)
    drops = len(objective.dropout) > 1
    mixes = OPTIMIZERS[objective.optimizer].multiplications([(2, 2), (2, 2)]) > 0
    return silent and not drops and not mixes


def holds(widest: Sizes, own: Sizes, objective: Objective) -> bool:
    """Tell whether a net of some widths can train as one of others."""
    if own == widest:
        return True
    ends = (len(own), own[0], own[-1]) == (len(widest), widest[0], widest[-1])
    return ends and all(map(int.__le__, own, widest)) and may_widen(objective)


def widened(nets: Sequence[Sizes]) -> dict[Sizes, Sizes]:
    """Return the widths at which nets of some widths are to train, as one kind or several.

    The widest come first; a narrower one joins them while all work stays within PADDED_WORK.
    """
    counts = Counter(nets)
    ordered = sorted(counts, key=lambda sizes: (-_work(sizes), sizes))
    groups: list[list[Sizes]] = []
    for sizes in ordered:
        if groups and _worth(some := [*groups[-1], sizes], counts):
            groups[-1] = some
        else:
            groups.append([sizes])
    return {sizes: _widest(group) for group in groups for sizes in group}


def _worth(some: Sequence[Sizes], counts: Counter[Sizes]) -> bool:
    own = sum(counts[sizes] * _work(sizes) for sizes in some)
    padded = sum(counts[sizes] for sizes in some) * _work(_widest(some))
    return padded <= PADDED_WORK * own


def _widest(some: Sequence[Sizes]) -> Sizes:
    return tuple(map(max, zip(*some, strict=True)))


def _work(sizes: Sizes) -> int:
    return sum(d * h for d, h in pairwise(sizes))
