"""Which settings are tried: all of a grid, or so many that are drawn."""

import math
from collections.abc import Iterator, Mapping
from itertools import islice, product
from typing import Any

import numpy as np

from xpmlp.errors import InputError
from xpmlp.search.alternatives import Alternative, Alternatives, is_swept
from xpmlp.training.texts import count

MOST_TRIALS = 10_000
DRAWS = ("sobol", "random")
Settings = dict[str, Any]
Options = Mapping[str, Alternatives]


def make_trials(
    options: Options, number: int | None = None, draw: str = "sobol", seed: int = 0
) -> list[Settings]:
    """Return the settings of each trial, those that are the same in all of them included.

    number: how many, None for every combination. draw: `sobol` takes the scrambled points of
    Sobol' (1967) as SciPy makes them, which fill the space more evenly than `random` ones. Where
    nothing is a range, it is as many different ones of the grid, each as likely. None comes twice.
    Raises InputError where there are none, too many, or a grid of ranges.
    """
    if not any(map(is_swept, options.values())):
        raise InputError(
            "nothing to search: give an option alternatives, as --hidden 32,64, or a range, as "
            "--learning-rate 1e-4..1e-1"
        )
    if number is not None and not 1 <= number <= MOST_TRIALS:
        raise InputError(f"--trials is {number}; it must be from 1 to {MOST_TRIALS:,}")
    if seed < 0:
        raise InputError(f"--search-seed is {seed}; it must be 0 or more")
    ranged = [name for name, found in options.items() if any(a.ranges for a in found)]
    if ranged and number is None:
        flag = "--" + ranged[0].replace("_", "-")
        raise InputError(
            f"{flag} is a range, which has no grid; say how many to draw with --trials N, or list "
            "alternatives"
        )
    if ranged:
        assert number
        return _drawn(options, number, draw, seed)
    return _of_grid(options, number, seed)


def _of_grid(options: Options, number: int | None, seed: int) -> list[Settings]:
    """Return all combinations, the last option changing first, or some of them in that order."""
    combinations = math.prod(map(len, options.values()))
    if number is None and combinations > MOST_TRIALS:
        raise InputError(
            f"the grid has {combinations:,} combinations; draw some of them with --trials N"
        )
    every = (
        {name: chosen.value() for name, chosen in zip(options, choice, strict=True)}
        for choice in product(*options.values())
    )
    if number is None or number >= combinations:
        return list(every)
    places = np.random.default_rng(seed).choice(combinations, number, replace=False)
    wanted = set(places.tolist())
    return [settings for i, settings in enumerate(every) if i in wanted]


def _drawn(options: Options, number: int, draw: str, seed: int) -> list[Settings]:
    points = _points(sum(map(_dimensions, options.values())), number, draw, seed)
    trials: dict[Any, Settings] = {}
    for point in points:
        shares = iter(point.tolist())
        settings = {name: _chosen(found, shares) for name, found in options.items()}
        trials.setdefault(tuple(settings.items()), settings)
    return list(trials.values())


def _dimensions(alternatives: Alternatives) -> int:
    """Return how many numbers decide: which alternative, and where in its ranges."""
    return (len(alternatives) > 1) + max(found.ranges for found in alternatives)


def _chosen(alternatives: Alternatives, shares: Iterator[float]) -> Any:
    chosen: Alternative = alternatives[0]
    if len(alternatives) > 1:
        chosen = alternatives[int(next(shares) * len(alternatives))]
    own = list(islice(shares, max(found.ranges for found in alternatives)))
    return chosen.value(own[: chosen.ranges])


def _points(dimensions: int, number: int, draw: str, seed: int) -> np.ndarray:
    """Return points in the unit cube, (number, dimensions); more of them begin with the same."""
    if draw == "random":
        return np.random.default_rng(seed).random((number, dimensions))
    from scipy.stats import qmc

    power = max(0, math.ceil(math.log2(number)))
    points: np.ndarray = qmc.Sobol(dimensions, seed=seed).random_base2(power)
    return points[:number]


def trials_text(number: int, options: Options, draw: str, seed: int) -> str:
    """Return in a few words which trials these are."""
    ranged = any(found.ranges for found in sum(options.values(), ()))
    grid = math.prod(map(len, options.values()))
    if ranged:
        points = "Sobol' points" if draw == "sobol" else "random points"
        return f"{count(number, 'trial')} at {points} of seed {seed}"
    if number == grid:
        return f"{count(number, 'trial')}, the whole grid"
    return f"{count(number, 'trial')} of the {grid:,} of the grid, drawn by seed {seed}"
