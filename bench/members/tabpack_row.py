"""TabPack's own modules and optimiser, where a checkout of it is given.

https://github.com/yandex-research/tabpack: its packs of layers and its AdamW for packs, in the
loop of its training; in float32, without its evaluation and its records.
"""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from bench.contenders.base import BETA1, BETA2, EPSILON, Unavailable, Weights, first_line
from bench.members.base import PackContender
from bench.members.packs import Pack, PackProblem


class TabPack(PackContender):
    """Each net with a learning rate and a decay of its own, as TabPack draws them."""

    name, package = "TabPack", "torch"
    how = "its LinearPack and MLPBackbonePack under autograd, its AdamWPack, a Python loop"

    def __init__(self, case: Pack, problem: PackProblem, device: str) -> None:
        super().__init__(case, problem, device)
        packs, optim = _modules(case.tabpack)
        count, width = case.members, case.hidden[0]
        if len(set(case.hidden)) > 1:
            raise Unavailable("its hidden layers are all of one width")
        backbone = packs.MLPBackbonePack(
            d_in=case.ends[0],
            n_blocks=len(case.hidden),
            d_block=width,
            dropout=0.0,
            pack_size=count,
        )
        output = packs.LinearPack(width, case.ends[1], pack_size=count)
        self.view = packs.PackView(pack_size=count)
        self.model = nn.Sequential(backbone, output)
        self.layers = [*(block.linear for block in backbone.blocks), output]
        for layer, (W, b) in zip(self.layers, problem.initial, strict=True):
            layer.weight.data.copy_(torch.as_tensor(np.swapaxes(W, 1, 2)))
            layer.bias.data.copy_(torch.as_tensor(b))
        weights = {"params": [layer.weight for layer in self.layers]}
        biases = {"params": [layer.bias for layer in self.layers], "weight_decay": 0.0}
        self.optimizer = optim.AdamWPack(
            [weights, biases],
            lr=[case.learning_rate] * count,
            beta1=BETA1,
            beta2=BETA2,
            eps=EPSILON,
            weight_decay=[case.decay] * count,
            pack_size=count,
            shared_step=True,
        )
        self.x, self.y = torch.as_tensor(problem.x), torch.as_tensor(problem.y)

    def turn(self, order: np.ndarray) -> None:
        """Step through the batches; the losses of the nets are summed."""
        for rows in torch.as_tensor(order).split(self.case.batch_size, dim=1):
            logits = self.model(self.view(self.x[rows]))
            each = F.cross_entropy(logits.flatten(0, 1), self.y[rows].flatten(), reduction="none")
            loss = each.unflatten(0, rows.shape).mean(1).sum()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()

    def weights(self) -> Weights:
        """Fetch the parameters; W is kept transposed."""
        return [
            (np.swapaxes(layer.weight.numpy(force=True), 1, 2).copy(), layer.bias.numpy(force=True))
            for layer in self.layers
        ]


def _modules(folder: str) -> tuple[Any, Any]:
    """Return its modules of layers and of optimisers. Raises Unavailable."""
    if not folder:
        raise Unavailable("name a checkout of github.com/yandex-research/tabpack: --tabpack DIR")
    sys.path.insert(0, str(Path(folder) / "src"))
    try:
        return import_module("project.nn"), import_module("project.optim")
    except (ImportError, SyntaxError) as error:
        raise Unavailable(
            f"{folder} can't be imported by Python {sys.version.split()[0]}, "
            f"it is written for 3.12: {first_line(error)}"
        ) from error
