"""Loss and accuracy over many rows, in large batches on the device."""

from collections.abc import Iterator, Sequence
from functools import partial
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from xpmlp.backends.base import Backend, Compilation, blocks
from xpmlp.described import Lines, as_html, as_text
from xpmlp.leaves import map_tree
from xpmlp.training.describing import evaluation_lines
from xpmlp.training.step import Objective, make_evaluation
from xpmlp.training.streaming import Stream
from xpmlp.training.texts import count
from xpmlp.types import Array, Batch, Params

EVALUATION_ROWS = 10_000
CPU_EVALUATION_ROWS = 1_000
FEWEST_CPU_ROWS = 250
LOGITS_AT_ONCE = 20_000_000
ON_ONE_CORE = 1_000_000  # multiplications of a product that OpenBLAS does not share out


def rows_at_once(device: str, params: Params, apart: bool = False) -> int:
    """Return how many rows are evaluated at once; apart: whether each member is on its own.

    A CPU has them in its caches. Where the net is small, each product stays on one core besides:
    sharing it out brings little, and waits long for a core that somebody else has.
    """
    each = 1 if apart else members_of(params)
    few = LOGITS_AT_ONCE // (each * int(params[-1].W.shape[-1]))  # of very many classes
    most = max(1, min(EVALUATION_ROWS // each, few))
    if device != "cpu":
        return most
    alone = ON_ONE_CORE // max(layer.W.shape[-2] * layer.W.shape[-1] for layer in params)
    wanted = alone if alone >= FEWEST_CPU_ROWS else CPU_EVALUATION_ROWS
    return min(most, wanted, CPU_EVALUATION_ROWS)


def members_of(params: Params) -> int:
    """Return K of weights (K, D, H), 1 of (D, H)."""
    W = params[0].W
    return int(W.shape[0]) if W.ndim == 3 else 1


class Score(NamedTuple):
    """Loss, without penalty or smoothing, and accuracy, None for regression.

    Both are means over rows, weighted where these have weights.
    """

    loss: float
    accuracy: float | None


class Evaluation(NamedTuple):
    """Loss and accuracy as in `Score`, and the logits (N, C)."""

    loss: float
    accuracy: float | None
    logits: np.ndarray

    def __repr__(self) -> str:
        return as_text(*self._described())

    def _repr_html_(self) -> str:
        return as_html(*self._described())

    def _described(self) -> tuple[str, Lines]:
        return f"evaluation of {count(len(self.logits), 'row')}", evaluation_lines(self)


class Part(NamedTuple):
    """What one batch of an evaluation gave, on the device."""

    logits: Array
    metrics: Array


class Evaluator:
    """Evaluates nets of one objective on one backend; `classify` where there are classes."""

    def __init__(
        self,
        backend: Backend,
        objective: Objective,
        classify: bool,
        wish: Compilation | None = None,
    ) -> None:
        self.backend, self.classify, self.apart = backend, classify, wish is not None
        self.evaluation = backend.compile(lambda xp: make_evaluation(xp, objective, classify), wish)

    def scores(self, params: Params, sets: Sequence[Batch | Stream]) -> list[list[Score | None]]:
        """Return, for each of K members, its score over each set of rows, None over an empty one.

        params: W (K, D, H), or (D, H) for a single net. All sets come in one download.
        """
        parts = [self._metrics(params, rows) for rows in sets]
        if not any(parts):
            return [[None] * len(sets)] * members_of(params)
        table = self._fetch([metrics for of_set in parts for metrics in of_set])
        ends = np.cumsum([len(of_set) for of_set in parts])
        tables = np.split(table, ends[:-1])
        return [
            [self._score(rows[..., k]) if len(rows) else None for rows in tables]
            for k in range(table.shape[-1])
        ]

    def evaluate(self, params: Params, rows: Batch | Stream) -> Evaluation:
        """Return score and logits of a single net over rows on the device."""
        parts = self._parts(params, rows)
        logits = np.concatenate([self.backend.to_numpy(part.logits) for part in parts])
        metrics = self._fetch([part.metrics for part in parts])
        return Evaluation(*self._score(metrics[..., 0]), logits)

    def outputs(self, nets: Sequence[Params], rows: Batch | Stream) -> np.ndarray:
        """Return the logits (K, N, C) of K nets, W (D, H) each, over rows on the device.

        Compiled for a CPU they are computed one by one, as only there each net's logits are kept.
        """
        one_by_one = self.apart or len(nets) == 1
        stack = self.backend.xp.stack
        together = nets if one_by_one else [map_tree(lambda *leaves: stack(leaves), *nets)]
        found = []
        for params in together:
            parts = [self.backend.to_numpy(part.logits) for part in self._parts(params, rows)]
            found.append(np.concatenate(parts, axis=-2))
        return np.stack(found) if one_by_one else found[0]

    def _metrics(self, params: Params, rows: Batch | Stream) -> list[Array]:
        """Return the metrics of each large batch; so many logits at a time are kept, and let go."""
        most = rows_at_once(self.backend.device, params, self.apart)
        if isinstance(rows, Stream):
            return [part.metrics for part in self._streamed_parts(params, rows, most)]
        n, outputs = rows.x.shape[0], members_of(params) * params[-1].W.shape[-1]
        some = max(1, LOGITS_AT_ONCE // (most * outputs)) * most
        pieces = [rows]
        if some < n:
            pieces = [map_tree(itemgetter((piece, ...)), rows) for piece in blocks(n, some)]
        run = partial(self.backend.run_metrics, self.evaluation, params)
        return [metrics for piece in pieces for metrics in run(piece, most)]

    def _parts(self, params: Params, rows: Batch | Stream) -> list[Part]:
        """Evaluate rows on the device, a large batch at a time; nothing is fetched."""
        most = rows_at_once(self.backend.device, params, self.apart)
        if isinstance(rows, Stream):
            return list(self._streamed_parts(params, rows, most))
        made = self.backend.run_rows(self.evaluation, params, rows, most)
        return [Part(*of_block) for of_block in made]

    def _streamed_parts(self, params: Params, rows: Stream, most: int) -> Iterator[Part]:
        """Evaluate rows piece by piece, each to its end: the next is read into its memory."""
        for piece in rows.pieces(most):
            parts = self._parts(params, piece)
            self.backend.synchronize(parts)
            yield from parts

    def _fetch(self, parts: list[Array]) -> np.ndarray:
        """Return the metrics of every part, (P, m, K), float64."""
        metrics = self.backend.to_numpy(self.backend.xp.stack(parts))
        return metrics.astype(np.float64).reshape(*metrics.shape[:2], -1)

    def _score(self, table: np.ndarray) -> Score:
        """Return one net's score over all parts, (P, m)."""
        weights = table[:, -1]
        loss = float(weights @ table[:, 0] / weights.sum())
        return Score(loss, float(table[:, 1].sum() / weights.sum()) if self.classify else None)
