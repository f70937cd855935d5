"""JAX with its own autograd: the epoch as one compiled program."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

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

Array = Any
Params = list[tuple[Array, Array]]
ACTIVATIONS = {"relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid}


class State(NamedTuple):
    """What a step changes: parameters, the optimiser's two moments, the count of steps."""

    params: Params
    m: Params
    v: Params
    steps: Array


class JaxAutograd(Contender):
    """`value_and_grad` and the update inside `lax.scan`, under one `jit` that donates its state.

    Tried on a CPU without gain: gathering all batches before the scan (slower, most so for
    small nets), `take` and `.at[].get` with modes `clip` and `promise_in_bounds` in place of
    `x[rows]`, one-hot labels in place of `take_along_axis`, unrolling the scan.
    """

    name = "JAX autograd scan"
    package = "jax"
    how = "one program: lax.scan over the batches, value_and_grad, state donated; losses returned"

    def __init__(self, case: Case, problem: Problem, device: str) -> None:
        super().__init__(case, problem, device)
        kind, _, number = device.partition(":")
        try:
            self.jax_device = jax.devices(kind)[int(number or 0)]
        except (RuntimeError, IndexError) as error:
            raise Unavailable(
                f"jax {jax.__version__} has no {device}: {first_line(error)}"
            ) from error
        self.put = partial(jax.device_put, device=self.jax_device)
        self.x, self.y = self.put(problem.x), self.put(problem.y.astype(np.int32))
        self.state = _initial_state(self.put([tuple(layer) for layer in problem.initial]))
        self.train = jax.jit(make_epoch(case), donate_argnums=0)

    def epoch(self, order: np.ndarray) -> None:
        """Run the program."""
        with jax.default_matmul_precision("highest"):
            rows = self.put(order.astype(np.int32))
            self.state, _ = jax.block_until_ready(self.train(self.state, self.x, self.y, rows))

    def weights(self) -> Weights:
        """Fetch the parameters."""
        return [(np.array(W), np.array(b)) for W, b in self.state.params]

    def device_name(self) -> str:
        """Return the name of the processor or of the GPU."""
        return super().device_name() if self.device == "cpu" else str(self.jax_device.device_kind)

    def peak_memory(self) -> int:
        """Return the peak of JAX's allocations on a GPU, on a CPU the process's."""
        statistics = self.jax_device.memory_stats() or {}
        return int(statistics.get("peak_bytes_in_use") or super().peak_memory())


def make_epoch(case: Case) -> Callable[..., tuple[State, list[Array]]]:
    """Return epoch(state, x, y, order) -> (state, the losses of all steps)."""

    def step(state: State, x: Array, y: Array) -> tuple[State, Array]:
        loss, grads = jax.value_and_grad(loss_of)(state.params, x, y, case.activation)
        return update(state, grads, case), loss

    def epoch(state: State, x: Array, y: Array, order: Array) -> tuple[State, list[Array]]:
        def step_on(state: State, rows: Array) -> tuple[State, Array]:
            return step(state, x[rows], y[rows])

        if case.batch_size >= len(order):
            state, loss = step(state, x, y)
            return state, [loss]
        full = len(order) - len(order) % case.batch_size
        batches = order[:full].reshape(-1, case.batch_size)
        state, losses = lax.scan(step_on, state, batches)
        if full == len(order):
            return state, [losses]
        state, last = step_on(state, order[full:])
        return state, [losses, last]

    return epoch


def loss_of(params: Params, x: Array, y: Array, activation: str) -> Array:
    """Return the mean softmax cross-entropy."""
    *hidden, (W_out, b_out) = params
    for W, b in hidden:
        x = ACTIVATIONS[activation](x @ W + b)
    log_p = jax.nn.log_softmax(x @ W_out + b_out)
    return -jnp.take_along_axis(log_p, y[:, None], axis=1).mean()


def update(state: State, grads: Params, case: Case) -> State:
    """Return the state after one step."""
    params, m, v, steps = state
    tree, rate, steps = jax.tree.map, case.learning_rate, steps + 1
    if case.optimizer == "sgd":
        return State(tree(lambda p, g: p - rate * g, params, grads), m, v, steps)
    if case.optimizer == "momentum":
        v = tree(lambda v, g: MOMENTUM * v + g, v, grads)
        return State(tree(lambda p, v: p - rate * v, params, v), m, v, steps)
    m = tree(lambda m, g: BETA1 * m + (1 - BETA1) * g, m, grads)
    v = tree(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, v, grads)
    c1, c2 = 1 - BETA1**steps, 1 - BETA2**steps
    params = tree(lambda p, m, v: p - rate * (m / c1) / (jnp.sqrt(v / c2) + EPSILON), params, m, v)
    return State(params, m, v, steps)


def _initial_state(params: Params) -> State:
    """Return the state before the first step, in memory of its own, as it will be donated."""
    zeros = partial(jax.tree.map, jnp.zeros_like)
    steps = jnp.zeros((), jnp.float32)
    return State(jax.tree.map(jnp.copy, params), zeros(params), zeros(params), steps)
