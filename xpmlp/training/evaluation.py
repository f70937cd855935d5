"""Loss and accuracy over many rows, in large batches on the device."""

from typing import NamedTuple

import numpy as np

from xpmlp.backends.base import Backend
from xpmlp.training.step import Objective, make_evaluation
from xpmlp.types import Array, Batch, Params

EVALUATION_ROWS = 10_000


class Score(NamedTuple):
    """Loss, without penalty or smoothing, and accuracy, None for regression."""

    loss: float
    accuracy: float | None


class Evaluation(NamedTuple):
    """Loss and accuracy as in `Score`, and the logits (N, C)."""

    loss: float
    accuracy: float | None
    logits: np.ndarray


class Part(NamedTuple):
    """What one batch of an evaluation gave, on the device."""

    rows: int
    logits: Array
    metrics: Array


class Evaluator:
    """Evaluates nets of one objective on one backend; `classify` where there are classes."""

    def __init__(self, backend: Backend, objective: Objective, classify: bool) -> None:
        self.backend, self.classify = backend, classify
        self.evaluation = backend.compile(make_evaluation(backend.xp, objective, classify))

    def parts(self, params: Params, rows: Batch) -> list[Part]:
        """Evaluate rows on the device, a large batch at a time; nothing is fetched."""
        parts, n = [], rows.x.shape[0]
        for start in range(0, n, EVALUATION_ROWS):
            stop = min(start + EVALUATION_ROWS, n)
            batch = Batch(rows.x[start:stop, ...], rows.t[start:stop, ...])
            parts.append(Part(stop - start, *self.evaluation(params, batch)))
        return parts

    def fetch(self, parts: list[Part]) -> np.ndarray:
        """Fetch, for every part, its rows, its mean loss and, with classes, its right rows."""
        metrics = self.backend.to_numpy(self.backend.xp.stack([part.metrics for part in parts]))
        return np.column_stack([[part.rows for part in parts], metrics.astype(np.float64)])

    def score(self, table: np.ndarray) -> Score:
        """Return the score over all rows of what was fetched."""
        rows = table[:, 0]
        loss = float(rows @ table[:, 1] / rows.sum())
        return Score(loss, float(table[:, 2].sum() / rows.sum()) if self.classify else None)

    def evaluate(self, params: Params, rows: Batch) -> Evaluation:
        """Return score and logits over rows on the device."""
        parts = self.parts(params, rows)
        logits = np.concatenate([self.backend.to_numpy(part.logits) for part in parts])
        return Evaluation(*self.score(self.fetch(parts)), logits)
