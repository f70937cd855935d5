"""PyTorch with its own autograd: `nn.Linear` modules, eager and compiled."""

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from bench.cases import Case, Problem
from bench.contenders.base import (
    BETA1,
    BETA2,
    EPSILON,
    MOMENTUM,
    Contender,
    Unavailable,
    Weights,
    first_line,
)
from xpmlp.types import Params

Tensor = Any
ACTIVATIONS = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid}


class TorchRow(Contender):
    """What PyTorch knows of a device.

    matmul_precision: on a GPU, PyTorch's word for the products of float32: `highest` is full
    float32, its default, `high` is TF32.
    """

    package = "torch"
    matmul_precision: ClassVar[str] = "highest"

    def __init__(self, case: Case, problem: Problem, device: str) -> None:
        super().__init__(case, problem, device)
        if device != "cpu" and int(device.partition(":")[2] or 0) >= torch.cuda.device_count():
            raise Unavailable(f"torch {torch.__version__} sees no {device}")
        if device != "cpu":
            torch.set_float32_matmul_precision(self.matmul_precision)

    def synchronize(self) -> None:
        """Wait until the GPU is done; a CPU is."""
        if self.device != "cpu":
            torch.cuda.synchronize(self.device)

    def device_name(self) -> str:
        """Return the name of the processor or of the GPU."""
        if self.device == "cpu":
            return super().device_name()
        return str(torch.cuda.get_device_name(self.device))

    def peak_memory(self) -> int:
        """Return the peak of PyTorch's allocations on a GPU, on a CPU the process's."""
        if self.device == "cpu":
            return super().peak_memory()
        return int(torch.cuda.max_memory_allocated(self.device))


class TorchNet(TorchRow):
    """The rows on the device, the model, and the loop over batches."""

    def __init__(self, case: Case, problem: Problem, device: str) -> None:
        super().__init__(case, problem, device)
        self.x = torch.as_tensor(problem.x, device=device)
        self.y = torch.as_tensor(problem.y, device=device)
        self.model = make_model(case, problem.initial).to(device)

    @abstractmethod
    def step(self, x: Tensor, y: Tensor) -> None:
        """Take one step on a batch."""

    def epoch(self, order: np.ndarray) -> None:
        """Step through the batches."""
        if self.full_batch:
            self.step(self.x, self.y)
        else:
            for rows in torch.as_tensor(order, device=self.device).split(self.case.batch_size):
                self.step(self.x.index_select(0, rows), self.y.index_select(0, rows))
        self.synchronize()

    def weights(self) -> Weights:
        """Fetch the parameters; `nn.Linear` keeps W transposed."""
        layers = [module for module in self.model if isinstance(module, nn.Linear)]
        return [(_on_host(layer.weight.T), _on_host(layer.bias)) for layer in layers]


class TorchEager(TorchNet):
    """The loop of PyTorch's tutorials, without a `DataLoader`.

    Tried on a CPU: `fused=True` is the fastest optimiser (clearly for Adam, barely for SGD;
    `foreach` is no faster). Without gain: `x[rows]` in place of `index_select`, gathering a
    whole epoch at once, gathering into the same memory, keeping the gradients' memory, ReLU in
    place, no oneDNN, flushing denormals.
    """

    name = "PyTorch eager"
    how = "a Python loop: index_select, zero_grad, cross_entropy, backward, fused optimiser"

    def __init__(self, case: Case, problem: Problem, device: str) -> None:
        super().__init__(case, problem, device)
        self.optimizer = make_optimizer(case, self.model)

    def step(self, x: Tensor, y: Tensor) -> None:
        """Run forward, backward and the optimiser."""
        self.optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(self.model(x), y).backward()
        self.optimizer.step()


class TorchCompile(TorchNet):
    """The whole step as one graph of `torch.compile`: gradients by `torch.func`, then the update.

    Tried on a CPU: compiling the loss alone, with a fused eager optimiser, is no faster and
    slower for small nets; an optimiser's `step` breaks the graph, so the update is written out.
    The shapes are static: the ragged last batch has a program of its own. On a GPU, written
    from the documentation and not yet measured, `reduce-overhead` replays CUDA graphs; it skips
    them where a step writes into arrays whose addresses it does not know to be static.
    """

    name = "PyTorch compile"
    how = "a Python loop: index_select, then one compiled step with gradients and update"

    def __init__(self, case: Case, problem: Problem, device: str) -> None:
        super().__init__(case, problem, device)
        _check_compiler(device)
        self.params = {name: p.detach() for name, p in self.model.named_parameters()}
        self.m = {name: torch.zeros_like(p) for name, p in self.params.items()}
        self.v = {name: torch.zeros_like(p) for name, p in self.params.items()}
        self.steps = torch.zeros((), device=device)
        if device != "cpu":
            rows = (self.x, self.y) if self.full_batch else ()
            trained = (*self.params.values(), *self.m.values(), *self.v.values(), self.steps)
            for tensor in (*trained, *rows):
                torch._dynamo.mark_static_address(tensor)
        mode = None if device == "cpu" else "reduce-overhead"
        self.compiled = torch.compile(self._written, mode=mode, dynamic=False, fullgraph=True)

    def step(self, x: Tensor, y: Tensor) -> None:
        """Run the compiled step."""
        self.compiled(x, y)

    def _written(self, x: Tensor, y: Tensor) -> None:
        grads = torch.func.grad(self._loss)(self.params, x, y)
        rate = self.case.learning_rate
        self.steps.add_(1)
        for name, p in self.params.items():
            g, m, v = grads[name], self.m[name], self.v[name]
            if self.case.optimizer == "sgd":
                p.sub_(rate * g)
            elif self.case.optimizer == "momentum":
                p.sub_(rate * v.mul_(MOMENTUM).add_(g))
            else:
                m_hat = m.lerp_(g, 1 - BETA1) / (1 - BETA1**self.steps)
                v_hat = v.mul_(BETA2).addcmul_(g, g, value=1 - BETA2) / (1 - BETA2**self.steps)
                p.sub_(rate * m_hat / (v_hat.sqrt() + EPSILON))

    def _loss(self, params: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(torch.func.functional_call(self.model, params, (x,)), y)


def make_model(case: Case, initial: Params) -> Any:
    """Return the net with the given weights, on the CPU."""
    layers: list[Any] = []
    for W, b in initial:
        linear = nn.Linear(*W.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.as_tensor(W.T))
            linear.bias.copy_(torch.as_tensor(b))
        layers += [linear, ACTIVATIONS[case.activation]()]
    return nn.Sequential(*layers[:-1])


def make_optimizer(case: Case, model: Any, *, capturable: bool = False) -> Any:
    """Return the fused optimiser; capturable: in a CUDA graph, which counts Adam's steps there."""
    rate, parameters = case.learning_rate, model.parameters()
    if case.optimizer == "adam":
        betas = BETA1, BETA2
        return torch.optim.Adam(parameters, rate, betas, EPSILON, fused=True, capturable=capturable)
    momentum = MOMENTUM if case.optimizer == "momentum" else 0.0
    return torch.optim.SGD(parameters, rate, momentum, fused=True)


def _check_compiler(device: str) -> None:
    """Compile a small function. Raises Unavailable where that fails, as without g++."""
    try:
        torch.compile(torch.exp)(torch.zeros(1, device=device))
    except Exception as error:  # whatever the compilers raise
        raise Unavailable(f"torch.compile does not work here: {first_line(error)}") from error


def _on_host(tensor: Tensor) -> np.ndarray:
    """Return a copy."""
    return np.array(tensor.numpy(force=True))
