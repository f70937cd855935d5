"""PyTorch: the gradient of one net by `torch.func`, mapped over all."""

import numpy as np
import torch
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

from bench.contenders.base import MOMENTUM, Weights
from bench.contenders.torch_rows import Tensor, make_model
from bench.members.base import PackContender
from bench.members.packs import Pack, PackProblem, net_of


class TorchVmap(PackContender):
    """`vmap` of `grad` of `functional_call`, then momentum in place on all arrays at once."""

    name, package = "torch.func vmap", "torch"
    how = "a Python loop: rows gathered by index, vmap of grad of functional_call, foreach update"

    def __init__(self, case: Pack, problem: PackProblem, device: str) -> None:
        super().__init__(case, problem, device)
        self.x, self.y = torch.as_tensor(problem.x), torch.as_tensor(problem.y)
        model = make_model(case, net_of(problem.initial, 0))
        leaves = [leaf for W, b in problem.initial for leaf in (np.swapaxes(W, 1, 2), b)]
        names = [name for name, _ in model.named_parameters()]
        self.params = {name: torch.tensor(leaf) for name, leaf in zip(names, leaves, strict=True)}
        self.v = [torch.zeros_like(p) for p in self.params.values()]

        def loss(params: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
            return F.cross_entropy(functional_call(model, params, (x,)), y)

        self.grads = vmap(grad(loss))

    def turn(self, order: np.ndarray) -> None:
        """Step through the batches."""
        params = list(self.params.values())
        for rows in torch.as_tensor(order).split(self.case.batch_size, dim=1):
            grads = self.grads(self.params, self.x[rows], self.y[rows])
            torch._foreach_mul_(self.v, MOMENTUM)
            torch._foreach_add_(self.v, list(grads.values()))
            torch._foreach_add_(params, self.v, alpha=-self.case.learning_rate)

    def weights(self) -> Weights:
        """Fetch the parameters; `nn.Linear` keeps W transposed."""
        leaves = [p.numpy(force=True) for p in self.params.values()]
        pairs = zip(leaves[::2], leaves[1::2], strict=True)
        return [(np.swapaxes(W, 1, 2).copy(), b.copy()) for W, b in pairs]
