"""Nets that differ in numbers alone, trained by one compiled step: which, and by what numbers.

A number that all share is a constant of the step; one in which they differ is an array (K,).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from xpmlp.leaves import map_tree
from xpmlp.nn.dropout import threshold
from xpmlp.training.config import Config
from xpmlp.training.step import DROPOUT, Objective, numbers_of
from xpmlp.types import Hyper


def kind_of(objective: Objective) -> Objective:
    """Return what nets that one step can train have in common: an objective without numbers."""
    clipped = objective.clip_norm is not None
    return objective._replace(
        l2=False,
        l1=False,
        label_smoothing=0.0,
        clip_norm=1.0 if clipped else None,
        dropout=tuple(float(p > 0) for p in objective.dropout),
        optimizer_options=tuple((name, 0.0) for name, _ in objective.optimizer_options),
        own=(),
    )


def shared_by(objectives: Sequence[Objective]) -> Objective:
    """Return the objective of a step that trains nets of one kind."""
    first, *others = objectives
    numbers = numbers_of(first)
    own = [name for name in numbers if any(numbers_of(o)[name] != numbers[name] for o in others)]
    return first._replace(
        l2=any(one.l2 for one in objectives),
        l1=any(one.l1 for one in objectives),
        own=tuple(own),
    )


def trains(shared: Objective, own: Objective) -> bool:
    """Tell whether a step of one objective is one of another, which a net has alone."""
    numbers, wanted = numbers_of(shared), numbers_of(own)
    return (
        kind_of(shared) == kind_of(own)
        and all(name in shared.own or numbers[name] == wanted[name] for name in wanted)
        and shared.l2 >= own.l2
        and shared.l1 >= own.l1
    )


def step_numbers(
    config: Config, own: Objective, shared: Objective, masks: np.random.SeedSequence
) -> Hyper:
    """Return the numbers of a net's steps, on the host.

    own: its objective; shared: that of the steps, which may be those of several. masks: of dropout.
    """
    numbers = (config.learning_rate, config.l2, config.l1, config.momentum)
    (seed,) = masks.generate_state(1).view(np.int32)
    drops = bool(own.dropout)
    fixed = Hyper(*map(np.float64, numbers))
    return fixed._replace(seed=seed if drops else None, own=own_numbers(own, shared.own))


def own_numbers(objective: Objective, names: Sequence[str]) -> tuple[Any, ...]:
    """Return the numbers of a net, by the objective that it has alone, for a step of several.

    Dropout is a threshold for each hidden layer, None where no unit is dropped.
    """
    numbers = numbers_of(objective)
    numbers[DROPOUT] = tuple(threshold(p) if p else None for p in objective.dropout)
    return tuple(map_tree(_as_array, numbers[name]) for name in names)


def _as_array(number: float) -> np.ndarray:
    return np.asarray(number, np.int32 if isinstance(number, int) else np.float64)
