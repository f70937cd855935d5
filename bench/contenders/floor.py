"""The floor: the matrix products of an epoch and nothing else."""

import numpy as np

from bench.cases import Case, Problem
from bench.contenders.base import Contender, Weights, batch_sizes

Product = tuple[np.ndarray, np.ndarray, np.ndarray]
SEED = 0


class Floor(Contender):
    """x W, xᵀ dz and, but for the first layer, dz Wᵀ, through NumPy's BLAS.

    The same arrays serve all batches: no row is gathered, no weight changes.
    """

    name = "floor"
    package = "numpy"
    how = "the matrix products alone, by np.matmul with out=, in preallocated arrays"

    def __init__(self, case: Case, problem: Problem, device: str) -> None:
        super().__init__(case, problem, device)
        self.sizes = batch_sizes(len(problem.y), case.batch_size)
        self.products = {rows: products(problem, rows) for rows in set(self.sizes)}

    def epoch(self, order: np.ndarray) -> None:  # noqa: ARG002
        """Compute the products of all batches."""
        for rows in self.sizes:
            for left, right, out in self.products[rows]:
                np.matmul(left, right, out=out)

    def weights(self) -> Weights:
        """Return none: nothing is trained."""
        return []


def products(problem: Problem, rows: int) -> list[Product]:
    """Return left, right and result of each product of a batch, the results yet to be written.

    The first rows are the batch; what other layers would see is random, half of it zeros as
    after a ReLU.
    """
    rng, made = np.random.default_rng(SEED), []
    x = problem.x[:rows]
    for i, (W, _) in enumerate(problem.initial):
        z, dW, dx = np.empty((rows, W.shape[1]), W.dtype), np.empty_like(W), np.empty_like(x)
        dz = rng.standard_normal(z.shape, dtype=W.dtype)
        made += [(x, W, z), (x.T, dz, dW)]
        if i > 0:
            made.append((dz, W.T, dx))
        x = np.maximum(rng.standard_normal(z.shape, dtype=W.dtype), 0)
    return made
