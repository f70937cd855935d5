"""The net in plain Python: golden figures, the library's figures, central differences."""

import ast
import doctest
import math
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest

from xpmlp.recipes import scalar_network
from xpmlp.recipes.base import largest_relative_error
from xpmlp.recipes.scalar_network import Parameters, backward, forward, sgd_update, sigmoid
from xpmlp.recipes.scalar_to_batched import EXAMPLES, Example, by_arrays, by_scalars

GOLDEN = 1e-12


def random_example(seed: int) -> Example:
    """A net of 1 to 5 inputs and hidden units, 2 to 5 classes, with a row."""
    rng = np.random.default_rng(seed)
    d, h, c = (int(rng.integers(low, 6)) for low in (1, 1, 2))
    shapes = ((d, h), (h,), (h, c), (c,))
    net = Parameters(*(rng.normal(size=shape).tolist() for shape in shapes))
    return Example(net, rng.normal(size=d).tolist(), int(rng.integers(c)), {})


@pytest.mark.parametrize("name", EXAMPLES)
def test_golden_figures(name):
    found = by_scalars(EXAMPLES[name])
    for quantity, figure in EXAMPLES[name].figures.items():
        assert largest_relative_error(found[quantity], figure) < GOLDEN, quantity


@pytest.mark.parametrize("seed", range(3))
def test_random_nets_agree_with_the_library(backend, seed):
    example = random_example(seed)
    scalars, arrays = by_scalars(example), by_arrays(example, backend)
    for quantity, figure in scalars.items():
        np.testing.assert_allclose(arrays[quantity], figure, rtol=GOLDEN, atol=1e-15)


@pytest.mark.parametrize("seed", range(8))
def test_gradients_are_central_differences(seed):
    net, x, target, _ = random_example(seed)
    grads = backward(net, x, target, forward(net, x, target))
    epsilon = 1e-5
    for name, values, slopes in zip(Parameters._fields, net, grads, strict=True):
        at = np.array(values)
        for i in np.ndindex(at.shape):
            losses = []
            for sign in (1, -1):
                moved = at.copy()
                moved[i] += sign * epsilon
                shifted = net._replace(**{name: moved.tolist()})
                losses.append(forward(shifted, x, target).loss)
            numeric = (losses[0] - losses[1]) / (2 * epsilon)
            assert np.array(slopes)[i] == pytest.approx(numeric, rel=1e-6, abs=1e-9)


def test_update_by_hand():
    net = Parameters([[1.0], [2.0]], [3.0], [[4.0, 5.0]], [6.0, 7.0])
    slopes = Parameters([[2.0], [4.0]], [-2.0], [[0.0, 6.0]], [8.0, -4.0])
    moved = sgd_update(net, slopes, learning_rate=0.5)
    assert moved == Parameters([[0.0], [0.0]], [4.0], [[4.0, 2.0]], [2.0, 9.0])


def test_a_step_lowers_the_loss_and_writes_into_nothing():
    net, x, target, _ = EXAMPLES["asymmetric"]
    before = deepcopy(net)
    outcome = forward(net, x, target)
    moved = sgd_update(net, backward(net, x, target, outcome), learning_rate=0.1)
    assert forward(moved, x, target).loss < outcome.loss
    assert net == before


def test_every_hidden_unit_counts():
    """Three hidden units and two classes: a sum over the classes would miss the third unit."""
    net, x, target, _ = EXAMPLES["asymmetric"]
    without = net._replace(V=[*net.V[:2], [0.0, 0.0]])
    assert forward(net, x, target).loss != forward(without, x, target).loss


def test_probabilities_are_a_distribution():
    net, x, target, _ = random_example(3)
    outcome = forward(net, x, target)
    assert sum(outcome.p) == pytest.approx(1, rel=1e-15)
    assert outcome.loss == pytest.approx(-math.log(outcome.p[target]), rel=1e-14)


def test_nothing_overflows():
    assert [sigmoid(z) for z in (-1000.0, 0.0, 1000.0)] == [0.0, 0.5, 1.0]
    net = Parameters([[1.0]], [0.0], [[0.0, 2000.0]], [0.0, 0.0])
    outcome = forward(net, [0.0], target=0)
    assert outcome.loss == 1000.0
    assert backward(net, [0.0], 0, outcome).c == [-1.0, 1.0]


def test_it_is_plain_python():
    tree = ast.parse(Path(scalar_network.__file__).read_text(encoding="utf-8"))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module)
    assert imported == {"math", "typing"}


def test_its_example():
    found = doctest.testmod(scalar_network)
    assert found.attempted > 0
    assert found.failed == 0
