"""What the page is made of beside its text: graphs, points to begin with, numbers to draw from."""

from collections.abc import Iterator
from itertools import pairwise, product
from typing import Any, NamedTuple

import numpy as np

from xpmlp.data.scaling import statistics
from xpmlp.data.toy import moon_rows, spiral_rows
from xpmlp.nn.activations import ACTIVATIONS
from xpmlp.nn.initializers import initialize
from xpmlp.onnx_export.checking import Check
from xpmlp.onnx_export.step_checking import Trial, batches_of, check_step
from xpmlp.onnx_export.step_graph import Kind, net_graph, step_graph
from xpmlp.onnx_export.tracing import Size
from xpmlp.training.step import Objective
from xpmlp.types import Batch, Hyper

LOSS, DTYPE = "softmax_cross_entropy", "float64"
FEATURES, DEEPEST, WIDEST, COLOURS, SEEDS = 2, 3, 32, 4, 10
MOST_POINTS = 500
RATES = {  # optimisers with the learning rate that the page begins with
    "sgd": 0.3,
    "momentum": 0.1,
    "nesterov": 0.1,
    "rmsprop": 0.01,
    "adam": 0.02,
    "adamw": 0.02,
}
MOMENTUM = 0.9
REACH = 2.0  # of the plane, from -2 to 2 in both features
BUILT_IN = tuple(ACTIVATIONS)


class Made(NamedTuple):
    """A file of the page: its name, its content, and of a training step how it was checked."""

    name: str
    content: bytes
    check: Check | None = None


def graphs() -> Iterator[Made]:
    """Yield the graph of each training step and of each net, with all widths free.

    A step comes only once onnxruntime's numbers are NumPy's. Raises RunError otherwise.
    """
    for depth, activation in product(range(DEEPEST + 1), BUILT_IN):
        if not depth and activation != BUILT_IN[0]:
            continue  # a net without hidden layers has no activation
        name = f"{activation}-{depth}"
        objective = Objective((activation,) * depth, LOSS, "sgd", l2=True, gradient_norms=False)
        net = net_graph(Kind(objective, _free(depth), DTYPE)).SerializeToString()
        yield Made(f"graphs/net-{name}.onnx", net)
        for optimizer in RATES:
            one = objective._replace(optimizer=optimizer)
            content = step_graph(Kind(one, _free(depth), DTYPE), {}).SerializeToString()
            check = check_step(content, _trial(one), DTYPE)
            yield Made(f"graphs/{optimizer}-{name}.onnx", content, check)


def _free(depth: int) -> tuple[Any, ...]:
    return FEATURES, *(Size(f"H{i + 1}") for i in range(depth)), Size("C")


def _trial(objective: Objective) -> Trial:
    """Return steps of a small net on a few points to check a graph on."""
    rng = np.random.default_rng(0)
    sizes = FEATURES, *(5 + i for i in range(len(objective.activations))), 3
    params = initialize(np, rng, sizes, activations=objective.activations)
    rows = Batch(rng.uniform(-REACH, REACH, (24, FEATURES)), rng.integers(0, 3, 24))
    hyper = Hyper(*map(np.float64, (RATES[objective.optimizer], 1e-3, 0.0, MOMENTUM)))
    return Trial(objective, params, batches_of(rows, 0), hyper)


def draws() -> bytes:
    """Return what the weights of each seed are drawn from: (SEEDS, largest net) of N(0, 1).

    They are the numbers that a run of the same seed draws, float64, little-endian: however a run
    cuts them into layers, they come one after the other.
    """
    sizes = (FEATURES, *(WIDEST,) * DEEPEST, COLOURS)
    count = sum(d * h for d, h in pairwise(sizes))
    streams = []
    for seed in range(SEEDS):
        weights, *_ = np.random.SeedSequence(seed).spawn(3)
        streams.append(np.random.default_rng(weights).standard_normal(count))
    return np.stack(streams).astype("<f8").tobytes()


def about() -> dict[str, Any]:
    """Return what the page's script has to know, as it goes into a JSON file."""
    return {
        "features": FEATURES,
        "deepest": DEEPEST,
        "widest": WIDEST,
        "colours": COLOURS,
        "seeds": SEEDS,
        "most_points": MOST_POINTS,
        "reach": REACH,
        "momentum": MOMENTUM,
        "rates": RATES,
        "activations": {name: _law(name) for name in BUILT_IN},
        "points": {name: _points(x, y) for name, (x, y) in _examples().items()},
    }


def _law(activation: str) -> str:
    """Return `xavier` or `he`: the law of the weights below an activation, by its deviation."""
    rng = np.random.default_rng(0)
    first, _ = initialize(np, rng, (FEATURES, FEATURES, 1), activations=(activation,))
    drawn = np.random.default_rng(0).standard_normal((FEATURES, FEATURES))
    deviation = float((first.W / drawn)[0, 0])
    return "he" if np.isclose(deviation, np.sqrt(2.0 / FEATURES)) else "xavier"


def _examples() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return named points (N, 2) with classes (N,), within the plane."""
    rng = np.random.default_rng(1)
    corners = np.array([[1.0, 1.0], [-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0]])
    xor = np.repeat(corners, 20, axis=0) + 0.25 * rng.standard_normal((80, 2))
    angle = rng.uniform(0.0, 2.0 * np.pi, 100)
    radius = np.repeat([0.45, 1.4], 50) + 0.12 * rng.standard_normal(100)
    rings = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    legacy = np.random.RandomState(0)
    moons, moon_of = moon_rows(legacy, 100)
    spirals, arm_of = spiral_rows(legacy, 50)
    return {
        "moons": (statistics(moons, "standard").apply(moons, DTYPE), moon_of),
        "four clusters": (xor, np.repeat([0, 0, 1, 1], 20)),
        "rings": (rings, np.repeat([0, 1], 50)),
        "spirals": (1.8 * spirals, arm_of),
    }


def _points(x: np.ndarray, y: np.ndarray) -> list[list[float]]:
    """Return points as [x1, x2, class], rounded to what a click could mean."""
    edge = np.clip(x, -0.98 * REACH, 0.98 * REACH).round(3)
    return [[*point, int(label)] for point, label in zip(edge.tolist(), y, strict=True)]
