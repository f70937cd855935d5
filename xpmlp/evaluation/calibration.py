"""Whether probabilities can be taken at their word: of rows that are 90 % sure, are 90 % right?"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from xpmlp.data.dataset import Rows
from xpmlp.evaluation.intervals import wilson_interval
from xpmlp.evaluation.predictions import PROBABLE
from xpmlp.pictures.regions import certainties
from xpmlp.training.model import Model, decide

BINS = 15


@dataclass(frozen=True, eq=False)
class Calibration:
    """Rows in bins (0, 1/M], …, (1 - 1/M, 1] of their probability.

    rows: how many a bin has, (M,). share: the bin's share of the weight of all rows, (M,).
    confidence, right: the weighted means over a bin's rows of the probability, and of what it is
    the probability of, (M,); NaN in an empty bin. weighted: whether rows count differently.
    """

    rows: np.ndarray
    share: np.ndarray
    confidence: np.ndarray
    right: np.ndarray
    weighted: bool

    @property
    def error(self) -> float:
        """The expected calibration error: Σ share · |right - confidence| over the bins."""
        return self._mean(np.abs(self.right - self.confidence))

    @property
    def mean_confidence(self) -> float:
        """The weighted mean of the probability over all rows."""
        return self._mean(self.confidence)

    def _mean(self, of_bins: np.ndarray) -> float:
        return float(np.sum((self.share * of_bins)[self.share > 0]))

    @cached_property
    def intervals(self) -> np.ndarray | None:
        """Wilson's 95 % interval of `right`, (2, M); NaN in an empty bin, None of weighted rows."""
        if self.weighted:
            return None
        ends = [
            wilson_interval(round(share * n), n) if n else (np.nan, np.nan)
            for share, n in zip(np.nan_to_num(self.right), self.rows.tolist(), strict=True)
        ]
        return np.array(ends).T

    def table(self) -> list[dict[str, float | int]]:
        """Return the bins that have rows, ready for JSON."""
        edges = np.linspace(0, 1, len(self.rows) + 1)
        columns = {
            "above": edges[:-1],
            "up_to": edges[1:],
            "rows": self.rows,
            "share": self.share,
            "confidence": self.confidence,
            "right": self.right,
        }
        return [
            {name: column[i].item() for name, column in columns.items()}
            for i in np.flatnonzero(self.share)
        ]


def calibrate(
    probability: np.ndarray,
    happened: np.ndarray,
    weights: np.ndarray | None = None,
    bins: int = BINS,
) -> Calibration:
    """Return how probabilities (N,) in [0, 1] go with what happened, (N,) of True and False.

    weights: of the rows, (N,), not negative. Where the probability is that of the predicted
    class, and what happened that it was right, the error is the ECE of Guo, Pleiss, Sun &
    Weinberger 2017 (arXiv:1706.04599, section 2), with their 15 bins of equal width.
    """
    p = np.clip(np.asarray(probability, dtype=np.float64), 0, 1)
    at = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], p)
    weight = np.ones(len(p)) if weights is None else np.asarray(weights, dtype=np.float64)

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(at, weight * values, minlength=bins)

    of_bin = total(np.ones(len(p)))
    divisor = np.where(of_bin > 0, of_bin, np.nan)
    return Calibration(
        rows=np.bincount(at, minlength=bins),
        share=of_bin / of_bin.sum(),
        confidence=total(p) / divisor,
        right=total(np.asarray(happened, dtype=np.float64)) / divisor,
        weighted=weights is not None,
    )


def calibration_of(model: Model, rows: Rows, logits: np.ndarray) -> Calibration | None:
    """Return that of the predicted classes; None where outputs are no probabilities of classes.

    logits: (N, C), of the rows.
    """
    if not model.class_names or model.loss not in PROBABLE:
        return None
    classes = decide(logits)
    return calibrate(certainties(model, logits, classes), classes == rows.y, rows.weights)


class Spread(NamedTuple):
    """How far several nets are apart about rows.

    classes: the class that the mean of their probabilities has largest, (N,). deviation: the
    standard deviation (of a sample) of its probability over the nets, (N,), float64.
    """

    classes: np.ndarray
    deviation: np.ndarray


def spread_over(models: Sequence[Model], logits: Sequence[np.ndarray]) -> Spread | None:
    """Return that of nets over the same rows; None of one net, or without probabilities.

    logits: (N, C), of each net.
    """
    first = models[0]
    if len(models) < 2 or not first.class_names or first.loss not in PROBABLE:
        return None
    pairs = list(zip(models, logits, strict=True))
    mean: np.ndarray = np.zeros(logits[0].shape)
    for model, z in pairs:
        mean += model.outputs_of(z) / len(models)
    classes = decide(mean - 0.5) if mean.shape[1] == 1 else decide(mean)
    chosen = [certainties(model, z, classes) for model, z in pairs]
    return Spread(classes, np.std(np.array(chosen, dtype=np.float64), axis=0, ddof=1))
