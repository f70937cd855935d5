"""PyTorch's raw CUDA graphs: the eager step, and the floor on a GPU.

Written from PyTorch's notes on CUDA graphs, not yet run on a GPU.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from bench.cases import Case, Problem
from bench.contenders.base import Weights, batch_sizes
from bench.contenders.floor import products
from bench.contenders.torch_rows import TorchEager, TorchRow, make_optimizer

WARM_UP_CALLS = 3


class TorchCudaGraph(TorchEager):
    """The eager step, captured once per size of batch and replayed.

    The graph reads the row indices from memory of its own, gathers the batch, and steps; the
    gradients, which the step sets to None first, lie in the graph's own pool. The calls before
    the capture, which the notes ask for, are undone.
    """

    name = "PyTorch CUDA graph"
    how = (
        "a CUDA graph of gather and eager step per batch size; two launches a step: a copy of "
        "indices and a replay"
    )

    def __init__(self, case: Case, problem: Problem, device: str) -> None:
        super().__init__(case, problem, device)
        self.optimizer = make_optimizer(case, self.model, capturable=True)
        sizes = sorted(set(batch_sizes(len(problem.y), case.batch_size)))
        self.rows = {n: torch.arange(n, device=device) for n in sizes}
        self.graphs: dict[int, Any] = {}

    def _capture(self) -> None:
        initial = [p.detach().clone() for p in self.model.parameters()]
        for n, rows in self.rows.items():
            self.graphs[n] = capture(self._step_of(rows), self.device)
        self._begin_again(initial)

    def _step_of(self, rows: Any) -> Callable[[], None]:
        if self.full_batch:
            return lambda: self.step(self.x, self.y)
        return lambda: self.step(self.x.index_select(0, rows), self.y.index_select(0, rows))

    def _begin_again(self, initial: list[Any]) -> None:
        with torch.no_grad():
            for p, start in zip(self.model.parameters(), initial, strict=True):
                p.copy_(start)
            for state in self.optimizer.state.values():
                for moment in state.values():
                    if moment is not None:
                        moment.zero_()

    def epoch(self, order: np.ndarray) -> None:
        """Replay the graph of each batch's size; the first epoch captures them."""
        if not self.graphs:
            self._capture()
        if self.full_batch:
            self.graphs[len(order)].replay()
            self.synchronize()
            return
        for rows in torch.as_tensor(order, device=self.device).split(self.case.batch_size):
            self.rows[len(rows)].copy_(rows)
            self.graphs[len(rows)].replay()
        self.synchronize()


class TorchCudaGraphTf32(TorchCudaGraph):
    """The same with TF32 products."""

    name, matmul_precision = "PyTorch CUDA graph tf32", "high"


class GpuFloor(TorchRow):
    """The floor's products by PyTorch's cuBLAS, those of a batch as one CUDA graph.

    So it is not the launches that are timed.
    """

    name = "floor"
    how = "the matrix products alone, in preallocated arrays, a CUDA graph per batch size"

    def __init__(self, case: Case, problem: Problem, device: str) -> None:
        super().__init__(case, problem, device)
        self.sizes = batch_sizes(len(problem.y), case.batch_size)
        self.graphs = {
            n: capture(self._products(problem, n), device) for n in sorted(set(self.sizes))
        }

    def _products(self, problem: Problem, rows: int) -> Callable[[], None]:
        made = [
            tuple(torch.as_tensor(array, device=self.device) for array in product)
            for product in products(problem, rows)
        ]

        def multiply() -> None:
            for left, right, out in made:
                torch.matmul(left, right, out=out)

        return multiply

    def epoch(self, order: np.ndarray) -> None:  # noqa: ARG002
        """Compute the products of all batches."""
        for n in self.sizes:
            self.graphs[n].replay()
        self.synchronize()

    def weights(self) -> Weights:
        """Return none: nothing is trained."""
        return []


class GpuFloorTf32(GpuFloor):
    """The same with TF32 products."""

    name, matmul_precision = "floor tf32", "high"


def capture(step: Callable[[], None], device: str) -> Any:
    """Return a CUDA graph of a step, which is called a few times on a side stream before."""
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP_CALLS):
            step()
    torch.cuda.current_stream(device).wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.device(device), torch.cuda.graph(graph):
        step()
    return graph
