"""Formulas of the assignments beside the library's, on a small net and in float64.

Each function tells whether a formula holds, and what was seen: for the recipes' properties.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from xpmlp.data.dataset import Dataset, Rows
from xpmlp.leaves import map_leaves
from xpmlp.nn import affine
from xpmlp.nn.activations import relu_derivative
from xpmlp.nn.initializers import initialize
from xpmlp.nn.losses import LOSSES, softmax_cross_entropy
from xpmlp.nn.network import forward, loss_and_grads
from xpmlp.recipes.base import Results
from xpmlp.recipes.demonstrations import distance
from xpmlp.recipes.numbers import error_text
from xpmlp.runs.fitting import fit
from xpmlp.training.config import Config
from xpmlp.training.gradient_check import check_gradients
from xpmlp.types import Batch, Params

EXACT = 1e-12
INPUTS, HIDDEN, OUTPUTS, ROWS = 4, 6, 3, 12
BINARY, SOFTMAX = "binary_cross_entropy", "softmax_cross_entropy"
STEPS = Config(
    hidden=(HIDDEN,),
    activation=("relu",),
    optimizer="sgd",
    learning_rate=0.1,
    lr_schedule="constant",
    batch_size=0,
    epochs=1,
    dtype="float64",
)


def small_net(outputs: int = OUTPUTS) -> Params:
    """Return a net with random weights and biases."""
    sizes = (INPUTS, HIDDEN, outputs)
    return initialize(np, np.random.default_rng(0), sizes, init="xavier_normal", bias_std=0.5)


def small_rows() -> Rows:
    """Return a few random rows."""
    generator = np.random.default_rng(1)
    return Rows(generator.standard_normal((ROWS, INPUTS)), generator.integers(0, OUTPUTS, ROWS))


def train_small(results: Results, config: Config) -> Params:
    """Return the net after training on the rows, all of them in each step."""
    rows = small_rows()
    none = Rows(rows.x[:0], rows.y[:0])
    data = Dataset("small", "classification", rows, none, none, ("0", "1", "2"))
    return fit(
        config, data, backend=results.backend(), initial=small_net(), verbose=False
    ).model.params


def plain_gradient(net: Params) -> Params:
    """Return the gradient of the loss alone, in NumPy."""
    rows = small_rows()
    batch = Batch(rows.x, rows.y)
    return loss_and_grads(np, net, batch, activations=("relu",), loss=SOFTMAX).grads


# One output node: xpmlp/DERIVATION.md, "A. One hidden layer, one sigmoid output".


def derivation_holds(results: Results, activation: str) -> tuple[bool, str]:
    """Compare the library's loss and gradients of a net with one output node to the derived."""
    net, x = small_net(outputs=1), small_rows().x
    y = (small_rows().y[:, None] > 0).astype(np.float64)
    ours = backpropagated(results, net, Batch(x, y), activation)
    errors = {name: distance(ours[name], q) for name, q in derived(net, x, y, activation).items()}
    seen = ", ".join(f"{name} {error_text(error)}" for name, error in errors.items())
    return max(errors.values()) < EXACT, f"relative differences: {seen}"


def derived(net: Params, x: np.ndarray, y: np.ndarray, activation: str) -> dict[str, Any]:
    """Return loss and gradients as derived on paper, in plain NumPy."""
    (W1, b1), (W2, b2) = net
    a1 = x @ W1 + b1
    h1 = 1 / (1 + np.exp(-a1)) if activation == "sigmoid" else np.maximum(a1, 0)
    slope = h1 * (1 - h1) if activation == "sigmoid" else a1 > 0
    p = 1 / (1 + np.exp(-(h1 @ W2 + b2)))
    d_a2 = (p - y) / len(y)
    d_h1 = d_a2 @ W2.T
    d_a1 = d_h1 * slope
    return {
        "loss": np.mean(-y * np.log(p) - (1 - y) * np.log(1 - p)),
        "∇a2": d_a2,
        "∇b2": d_a2.sum(axis=0),
        "∇W2": h1.T @ d_a2,
        "∇h1": d_h1,
        "∇b1": d_a1.sum(axis=0),
        "∇W1": x.T @ d_a1,
    }


def backpropagated(results: Results, net: Params, batch: Batch, activation: str) -> dict[str, Any]:
    """Return the same from the library, on the host."""
    backend = results.backend()
    xp = backend.xp
    with backend.running():
        net, batch = backend.put((net, batch))
        found = loss_and_grads(xp, net, batch, activations=(activation,), loss=BINARY)
        _, d_a2 = LOSSES[BINARY].function(xp, found.logits, batch.t)
        d_h1 = affine.backward_input(xp, net[1], d_a2)
        first, second = found.grads
        arrays = (found.loss, d_a2, second.b, second.W, d_h1, first.b, first.W)
        names = ("loss", "∇a2", "∇b2", "∇W2", "∇h1", "∇b1", "∇W1")
        return dict(zip(names, backend.fetch(arrays), strict=True))


# Updates.


def penalty_rule_holds(
    results: Results, pull: Callable[[np.ndarray], np.ndarray], **options: float
) -> tuple[bool, str]:
    """Compare a step of the trainer, with `options`, to θ - η(g + pull(θ)), θ the weights."""
    net = small_net()
    trained = train_small(results, STEPS.replace(**options))
    errors = [
        distance(after.W, before.W - STEPS.learning_rate * (g.W + pull(before.W)))
        for before, g, after in zip(net, plain_gradient(net), trained, strict=True)
    ]
    return max(errors) < EXACT, f"relative difference of the weights: {error_text(max(errors))}"


def momentum_forms_agree(results: Results) -> tuple[bool, str]:
    """Compare 20 steps of the trainer to v ← γv + α∇, W ← W - v from v = 10⁻⁵."""
    net, rate, decay = small_net(), STEPS.learning_rate, 0.9
    config = STEPS.replace(optimizer="momentum", momentum=decay, init_velocity=1e-4, epochs=20)
    v = map_leaves(lambda leaf: np.full(leaf.shape, 1e-5), net)
    for _ in range(config.epochs):
        v = map_leaves(lambda v, slope: decay * v + rate * slope, v, plain_gradient(net))
        net = map_leaves(lambda leaf, v: leaf - v, net, v)
    trained = train_small(results, config)
    error = max(distance(a.W, b.W) for a, b in zip(trained, net, strict=True))
    return error < EXACT, f"relative difference of the weights after 20 steps: {error_text(error)}"


# The derivative of ReLU.


def relu_slope_holds(results: Results) -> tuple[bool, str]:
    """Tell whether 1[S > 0] passes the gradient check, which sign(S) would fail."""
    net, rows = small_net(), small_rows()
    checks = check_gradients(
        results.backend(), net, Batch(rows.x, rows.y), activations=("relu",), loss=SOFTMAX
    )
    slopes = relu_derivative(np, np.array([-2.0, 0.0, 2.0]), np.zeros(3)).tolist()
    logits, (hidden,) = forward(np, net, rows.x, ("relu",))
    d_h = softmax_cross_entropy(np, logits, rows.y)[1] @ net[1].W.T
    right, wrong = (rows.x.T @ (d_h * slope) for slope in (hidden.z > 0, np.sign(hidden.z)))
    error = distance(wrong, right)
    holds = slopes == [0, 0, 1] and all(check.verdict == "CORRECT" for check in checks)
    largest = max(check.error for check in checks)
    return (
        holds and error > 0.1,
        f"errors up to {error_text(largest)}; sign(S) puts ∇W₁ off by {error:.0%}",
    )
