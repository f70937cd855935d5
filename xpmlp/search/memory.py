"""How many members train at once: as many as fit into half of the free memory, by an estimate."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from xpmlp.data.dataset import Dataset
from xpmlp.search.grounds import Grounds
from xpmlp.search.plan import Trial
from xpmlp.training.config import Config
from xpmlp.training.problem import net_of
from xpmlp.training.texts import count

COPIES = 24  # of the weights, moments and dW, as measured of Adam compiled for a CPU, the most
ARRAYS = 4  # of a layer's width for each row of a batch: z, a, da, dz
SHARE = 0.5  # of the free memory
UNTOLD = 4 * 2**30  # bytes, where the system does not tell how many are free


def bytes_of_member(config: Config, data: Dataset) -> int:
    """Return about how many bytes a member takes while it trains, without the rows it shares.

    24·P + B·(D + 4·Σ widths) numbers of the dtype, for P weights and batches of B rows of D
    features; two orders of N rows; and what E epochs of S steps record.
    """
    _, sizes = net_of(config, data)
    rows = len(data.train)
    batch = min(config.batch_size or rows, rows)
    weights = sum(d * h + h for d, h in pairwise(sizes))
    numbers = COPIES * weights + batch * (sizes[0] + ARRAYS * sum(sizes[1:]))
    recorded = config.epochs * -(-rows // batch) * (2 + 2 * len(sizes))
    return numbers * np.dtype(config.dtype).itemsize + 8 * (2 * rows + recorded)


def members_at_once(trials: Sequence[Trial], grounds: Grounds) -> tuple[int, str]:
    """Return how many members of the largest kind fit, at least one trial's, and why, in words."""
    known = [(trial.config, grounds.of(trial.config)) for trial in trials]
    each = max(bytes_of_member(config, ground.data) for config, ground in known)
    backends = {id(ground): ground.selection.backend for _, ground in known}
    free = min(backend.free_memory() or UNTOLD for backend in backends.values())
    seeds = max(1, len(trials[0].config.seeds))
    most = max(seeds, int(SHARE * free) // each)
    return most, (
        f"each takes some {_size(each)}, and half of the {_size(free)} that are free may be taken"
    )


def at_once_text(at_once: int, members: int, why: str) -> str:
    """Return the line on how many members train at once."""
    waves = -(-members // at_once)
    how = "all at once" if waves == 1 else f"{at_once:,} at once, in waves"
    return f"{count(members, 'net')}, {how}" + (f": {why}" if why else "")


def _size(number: float) -> str:
    return f"{number / 2**30:.1f} GiB" if number >= 2**30 else f"{max(1, number / 2**20):.0f} MiB"
