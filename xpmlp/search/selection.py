"""Which nets of many are averaged: greedy forward selection, with replacement, on given rows.

Caruana, Niculescu-Mizil, Crew and Ksikes (2004), "Ensemble Selection from Libraries of Models",
ICML: begin with the nets that are best by themselves, then add again and again that net, one that
is in already or not, with which the mean of all predictions is best. How often a net was added is
its weight in the mean.
"""

from collections.abc import Callable

import numpy as np

from xpmlp.errors import InputError

START, PICKS = 8, 16

Cost = Callable[[np.ndarray], np.ndarray]


def select(
    values: np.ndarray,
    cost: Cost,
    weights: np.ndarray | None = None,
    start: int = START,
    picks: int = PICKS,
) -> tuple[np.ndarray, float]:
    """Return how often each net counts, (K,), int64, and the loss of their mean.

    values: (K, N, O), what of each net is averaged, as by `averaged`. cost: elementwise, of such
        a mean; the loss is the mean over rows, by their weights (N,), of its sum over O.
    start: with so many nets it begins, those of the lowest losses, once each ("sorted
        initialisation"). picks: so many are added at most.

    Of all sets on the way the one of the lowest loss is returned, and of equals, as of nets, the
    earliest. So with a start of 1 it is never worse on these rows than the best single net; with
    more it is less fitted to few rows, of which the lowest loss is mostly luck.
    """
    n = values.shape[1]
    share = np.full(n, 1.0 / n) if weights is None else weights / weights.sum()

    def losses(means: np.ndarray) -> np.ndarray:
        mean: np.ndarray = cost(means).sum(axis=-1) @ share
        return mean

    chosen = np.argsort(losses(values), kind="stable")[:start].tolist()
    total = values[chosen].sum(axis=0)
    lowest, size = float(losses(total / len(chosen))), len(chosen)
    for _ in range(picks):
        candidates = losses((total + values) / (len(chosen) + 1))
        k = int(np.argmin(candidates))
        chosen.append(k)
        total = total + values[k]
        if candidates[k] < lowest:
            lowest, size = float(candidates[k]), len(chosen)
    return np.bincount(chosen[:size], minlength=len(values)), lowest


def averaged(loss: str, outputs: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Return (K, N, O), whose mean over nets is that of the mean of their predictions.

    outputs: (K, N, C), probabilities or values. t: targets as of `targets.make_targets`. Under a
    cross-entropy it is the probability of the truth, O being 1, or the number of labels; else
    prediction less target.
    """
    if loss == "softmax_cross_entropy":
        places = np.broadcast_to(t[None, :, None], (*outputs.shape[:2], 1))
        truth: np.ndarray = np.take_along_axis(outputs, places, axis=-1)
        return truth
    if loss == "binary_cross_entropy":
        return np.where(t > 0.5, outputs, 1.0 - outputs)
    error: np.ndarray = outputs - t
    return error


def cost_of(loss: str) -> Cost:
    """Return the cost of a mean of `averaged`. Raises InputError for a loss that has none."""
    if loss not in COSTS:
        raise InputError(f"ensembles are not selected by loss {loss}; use {', '.join(COSTS)}")
    return COSTS[loss]


def _log_loss(p: np.ndarray) -> np.ndarray:
    loss: np.ndarray = -np.log(np.maximum(p, np.finfo(np.float64).tiny))
    return loss


def _huber(error: np.ndarray) -> np.ndarray:
    size = np.abs(error)
    return np.where(size <= 1.0, 0.5 * error**2, size - 0.5)


def _half_square(error: np.ndarray) -> np.ndarray:
    return 0.5 * error**2


COSTS: dict[str, Cost] = {
    "softmax_cross_entropy": _log_loss,
    "binary_cross_entropy": _log_loss,
    "mean_squared_error": _half_square,
    "mean_absolute_error": np.abs,
    "huber": _huber,
}
