"""Who has which rows: each rank a run of every batch's rows, as long as the others' or one longer.

Every rank holds all rows and draws the same order; of each batch it takes its share. Where a batch
has fewer rows than there are ranks, some have none: they take one as a stand-in, which counts for
nothing.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from xpmlp.backends.base import EpochPlan
from xpmlp.nn.dropout import GOLDEN


def share(rows: int, rank: int, size: int) -> slice:
    """Return which of so many rows a rank has."""
    return slice(rows * rank // size, rows * (rank + 1) // size)


class Stretch(NamedTuple):
    """A rank's share of steps with as many rows each.

    shift, counts: the numbers of `types.Part`.
    """

    plan: EpochPlan
    shift: int
    counts: float


def stretches(plan: EpochPlan, rows: int, rank: int, size: int) -> Iterator[Stretch]:
    """Yield a rank's share of an epoch's full batches, then of the rest; rows: of the data."""
    steps = len(plan.learning_rates)
    order, batch = plan.order, plan.batch_size
    if order is None:
        order, batch = np.tile(np.arange(rows), steps), rows
    full = order.shape[-1] // batch
    for begin, end, length in ((0, full, batch), (full, steps, order.shape[-1] - full * batch)):
        if begin == end:
            continue
        taken = order[..., begin * batch : begin * batch + (end - begin) * length]
        own = share(length, rank, size)
        here = own.stop - own.start
        wanted = own if here else slice(0, 1)
        in_steps = taken.reshape(*taken.shape[:-1], end - begin, length)[..., wanted]
        own_order = in_steps.reshape(*taken.shape[:-1], -1)
        rates = plan.learning_rates[begin:end]
        yield Stretch(
            EpochPlan(own_order, max(1, here), rates), shift_of(own.start), float(here > 0)
        )


def shift_of(row: int) -> int:
    """Return what a row's number adds to the counter of dropout's masks, as 32 bits with a sign."""
    return (row * GOLDEN + 2**31) % 2**32 - 2**31
