"""What the pairs come to: means, the interval of their differences, medians of seconds."""

import math
from collections.abc import Sequence
from statistics import mean, median, stdev
from typing import Any

from bench.estimators.pairs import OWN, SIDES, THEIRS, Pair
from bench.estimators.problems import Parts, Problem

Figures = dict[str, Any]
CONFIDENCE = 0.95


def row_figures(problem: Problem, solver: str, parts: Parts, pairs: Sequence[Pair]) -> Figures:
    """Return what was measured of a problem and a solver, over the seeds that are complete."""
    return {
        "data_set": problem.name,
        "rows": [len(parts.y_train), len(parts.y_test)],
        "net": [parts.x_train.shape[1], *problem.hidden, outputs(parts)],
        "parameters": problem.parameters(solver, 0) | {"random_state": "the seed"},
        "solver": solver,
        "seeds": [pair.seed for pair in pairs],
        "sides": {side: side_figures(side, pairs) for side in SIDES},
        "difference": difference(
            [pair.fits[OWN].accuracy - pair.fits[THEIRS].accuracy for pair in pairs]
        ),
        "times_as_fast": {
            name: median(getattr(p.fits[THEIRS], name) / getattr(p.fits[OWN], name) for p in pairs)
            for name in ("fit_seconds", "predict_seconds")
        },
    }


def outputs(parts: Parts) -> int:
    """Return the outputs of a net: one for two classes, else one for each."""
    classes = len(set(parts.y_train.tolist()))
    return classes if classes > 2 else 1


def side_figures(side: str, pairs: Sequence[Pair]) -> Figures:
    """Return one library's figures of each seed, and what they come to."""
    fits = [pair.fits[side] for pair in pairs]
    accuracies = [fit.accuracy for fit in fits]
    return {
        "accuracy": accuracies,
        "epochs": [fit.epochs for fit in fits],
        "fit_seconds": [fit.fit_seconds for fit in fits],
        "predict_seconds": [fit.predict_seconds for fit in fits],
        "accuracy_mean": mean(accuracies),
        "accuracy_sd": stdev(accuracies) if len(fits) > 1 else None,
        "fit_median": median(fit.fit_seconds for fit in fits),
        "predict_median": median(fit.predict_seconds for fit in fits),
    }


def difference(values: Sequence[float]) -> Figures:
    """Return the mean of paired differences with its t interval, None of a single one."""
    half = half_width(values)
    middle = mean(values)
    return {
        "mean": middle,
        "interval": None if half is None else [middle - half, middle + half],
        "same_in": sum(value == 0 for value in values),
    }


def half_width(values: Sequence[float]) -> float | None:
    """Return half of the t interval of a mean; None for fewer than two values."""
    from scipy.stats import t

    if len(values) < 2:
        return None
    quantile = float(t.ppf((1 + CONFIDENCE) / 2, len(values) - 1))
    return quantile * stdev(values) / math.sqrt(len(values))
