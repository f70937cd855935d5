"""From scalars to arrays to batches: the same figures each way.

The checks of the recipe `vu-scalar-to-batched` that need no training: two small nets whose
figures follow from their weights, the gradient of a batch, and the two ways through the softmax.
All are float64; the list `CHECKS` is at the foot.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from xpmlp.backends.base import Backend
from xpmlp.data.dataset import Dataset, Rows
from xpmlp.leaves import leaves
from xpmlp.nn import affine
from xpmlp.nn.losses import softmax, softmax_cross_entropy
from xpmlp.nn.network import Gradients, forward, loss_and_grads
from xpmlp.recipes import scalar_network
from xpmlp.recipes.base import Check, Golden, Property, Results
from xpmlp.recipes.numbers import error_text
from xpmlp.runs.fitting import fit
from xpmlp.training.config import Config
from xpmlp.types import Affine, Array, Batch, Params

LAST_DIGITS = 1e-13
WALK = Config(
    hidden=(3,),
    activation=("sigmoid",),
    optimizer="sgd",
    learning_rate=0.1,
    lr_schedule="constant",
    batch_size=1,
    epochs=1,
    dtype="float64",
)


class Example(NamedTuple):
    """A net, a row with its class, and the figures that follow from them."""

    net: scalar_network.Parameters
    x: list[float]
    target: int
    figures: dict[str, Any]


DB = [0.07021552009206478, -0.0037031095253933534, -0.07081207371855894]
EXAMPLES = {
    "symmetric": Example(
        net=scalar_network.Parameters(
            W=[[1.0, 1.0, 1.0], [-1.0, -1.0, -1.0]],
            b=[0.0, 0.0, 0.0],
            V=[[1.0, 1.0], [-1.0, -1.0], [-1.0, -1.0]],
            c=[0.0, 0.0],
        ),
        x=[1.0, -1.0],
        target=0,
        figures={
            "h": [0.8807970779778823] * 3,
            "loss": 0.6931471805599453,
            "dV": [[-0.44039853898894116, 0.44039853898894116]] * 3,
            "dc": [-0.5, 0.5],
            "dW": [[0.0, 0.0, 0.0]] * 2,
            "db": [0.0, 0.0, 0.0],
        },
    ),
    "asymmetric": Example(
        net=scalar_network.Parameters(
            W=[[0.1, -0.2, 0.3], [0.4, 0.5, -0.6]],
            b=[0.01, -0.02, 0.03],
            V=[[0.7, -0.8], [0.9, 1.0], [-1.1, 1.2]],
            c=[0.04, -0.05],
        ),
        x=[1.0, -2.0],
        target=1,
        figures={
            "h": [0.33403307324817977, 0.22793645057321626, 0.8220063142137535],
            "loss": 0.2362619202715057,
            "dV": [
                [0.07028929643151417, -0.07028929643151417],
                [0.04796379168713134, -0.04796379168713134],
                [0.1729716310019962, -0.1729716310019962],
            ],
            "dc": [0.21042615854775157, -0.2104261585477516],
            "dW": [DB, [-2.0 * slope for slope in DB]],
            "db": DB,
        },
    ),
}

# One row, by scalars and by arrays.


def by_scalars(example: Example) -> dict[str, Any]:
    """Return h, the loss and the gradients of an example, from plain Python."""
    outcome = scalar_network.forward(example.net, example.x, example.target)
    grads = scalar_network.backward(example.net, example.x, example.target, outcome)
    slopes = {f"d{name}": slope for name, slope in grads._asdict().items()}
    return {"h": outcome.h, "loss": outcome.loss, **slopes}


def by_arrays(example: Example, backend: Backend) -> dict[str, Any]:
    """Return the same from the library."""
    row = Batch(np.array([example.x]), np.array([example.target]))
    params, batch = backend.put((as_params(example.net), row))
    with backend.running():
        _, (hidden,) = forward(backend.xp, params, batch.x, ("sigmoid",))
        found = gradients(backend, params, batch)
        h, loss, ((dW, db), (dV, dc)) = backend.fetch((hidden.a, found.loss, found.grads))
    return {"h": h[0], "loss": loss, "dW": dW, "db": db, "dV": dV, "dc": dc}


def as_params(net: scalar_network.Parameters) -> Params:
    """Return a scalar net's parameters as arrays."""
    W, b, V, c = map(np.array, net)
    return Affine(W, b), Affine(V, c)


def gradients(backend: Backend, params: Params, batch: Batch) -> Gradients:
    """Return loss and gradients of a net with sigmoid units, on the device."""
    return loss_and_grads(
        backend.xp, params, batch, activations=("sigmoid",), loss="softmax_cross_entropy"
    )


def agreement(pairs: Iterable[tuple[Any, Any]]) -> tuple[bool, str]:
    """Tell whether numbers of the order of 1 agree to the last digits, and how far they differ."""
    largest = max(float(np.abs(np.asarray(a) - np.asarray(b)).max()) for a, b in pairs)
    return largest < LAST_DIGITS, f"largest difference {error_text(largest)}"


def scalars_are_arrays(results: Results) -> tuple[bool, str]:
    """Compare every figure of both examples."""
    pairs = []
    for example in EXAMPLES.values():
        scalars, arrays = by_scalars(example), by_arrays(example, results.backend())
        pairs += [(scalars[quantity], arrays[quantity]) for quantity in scalars]
    return agreement(pairs)


def same_walk(results: Results) -> tuple[bool, str]:
    """Train the asymmetric net on 100 rows, one at a time, by scalars and by the trainer."""
    generator, net = np.random.RandomState(0), EXAMPLES["asymmetric"].net
    rows = Rows(generator.randn(100, 2), generator.randint(2, size=100))
    none = Rows(rows.x[:0], rows.y[:0])
    data = Dataset("100 rows", "classification", rows, none, none, ("0", "1"))
    run = fit(
        WALK,
        data,
        backend=results.backend(),
        initial=as_params(net),
        order=lambda _: np.arange(100),
        verbose=False,
    )
    for x, target in zip(rows.x.tolist(), rows.y.tolist(), strict=True):
        outcome = scalar_network.forward(net, x, target)
        grads = scalar_network.backward(net, x, target, outcome)
        net = scalar_network.sgd_update(net, grads, WALK.learning_rate)
    return agreement(zip(leaves(as_params(net)), leaves(run.model.params), strict=True))


# From one row to a batch.


def rows_are_a_batch(results: Results) -> tuple[bool, str]:
    """Compare the mean of eight rows' gradients with the gradient of their batch.

    As x (8, 1, D) the rows are eight batches of one, and every gradient gets a leading axis.
    """
    backend, generator = results.backend(), np.random.RandomState(0)
    net = tuple(Affine(generator.randn(d, h), generator.randn(h)) for d, h in ((4, 5), (5, 3)))
    x, t = generator.randn(8, 4), generator.randint(3, size=8)
    params, batch, rows = backend.put((net, Batch(x, t), Batch(x[:, None, :], t[:, None])))
    with backend.running():
        single = backend.fetch(gradients(backend, params, rows).grads)
        whole = backend.fetch(gradients(backend, params, batch).grads)
    means = [leaf.mean(axis=0) for leaf in leaves(single)]
    return agreement(zip(means, leaves(whole), strict=True))


def outer_products_are_a_product(results: Results) -> tuple[bool, str]:
    """Compare a sum of outer products, a 3-tensor (N, D, H), with the one matrix product."""
    backend, generator = results.backend(), np.random.RandomState(0)
    xp = backend.xp
    x, dz = backend.put((generator.randn(8, 4), generator.randn(8, 5)))
    with backend.running():
        outer = x[:, :, None] * dz[:, None, :]
        pair = backend.fetch((xp.sum(outer, axis=0), affine.backward(xp, x, dz).W))
    return agreement([pair])


# Through the softmax, in two steps and in one.


def in_two_steps(backend: Backend, z: Array, t: Array) -> Array:
    """Return dz (N, C): the Jacobian of softmax, p_i(δ_ij - p_j), times the gradient -t/p."""
    xp = backend.xp
    p = softmax(xp, z)
    jacobian = p[:, :, None] * (backend.asarray(np.eye(p.shape[1])) - p[:, None, :])
    return xp.matmul(jacobian, (-t / p)[:, :, None])[:, :, 0]


def in_one_step(backend: Backend, z: Array, t: Array) -> Array:
    """Return dz = p - t (N, C), each row as a batch of its own."""
    return softmax_cross_entropy(backend.xp, z[:, None, :], t[:, None, :])[1][:, 0, :]


def both_ways(backend: Backend, z: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return dz of host rows in two steps and in one."""
    arrays = backend.put((z, t))
    with backend.running():
        return (
            backend.to_numpy(in_two_steps(backend, *arrays)),
            backend.to_numpy(in_one_step(backend, *arrays)),
        )


def two_steps_are_one(results: Results) -> tuple[bool, str]:
    """Compare both ways on eight rows of ten logits."""
    generator = np.random.RandomState(0)
    z, t = generator.randn(8, 10), np.eye(10)[generator.randint(10, size=8)]
    return agreement([both_ways(results.backend(), z, t)])


def one_step_is_stable(results: Results) -> tuple[bool, str]:
    """Go both ways where a probability underflows: logits 0 and 1000, target the first."""
    z, t = np.array([[0.0, 1000.0]]), np.array([[1.0, 0.0]])
    two, one = both_ways(results.backend(), z, t)
    right = not np.isfinite(two).any() and one.tolist() == [[-1.0, 1.0]]
    return right, f"in two steps {two[0].tolist()}, in one {one[0].tolist()}"


def golden(name: str, quantity: str, scalars: bool) -> Golden:
    """Return the check of one figure of an example, by scalars or by arrays."""
    example = EXAMPLES[name]

    def ours(results: Results) -> Any:
        found = by_scalars(example) if scalars else by_arrays(example, results.backend())
        return found[quantity]

    how = "scalars" if scalars else "arrays"
    return Golden(f"{name} net by {how}: {quantity}", example.figures[quantity], ours)


CHECKS: tuple[Check, ...] = (
    *(
        golden(name, quantity, scalars)
        for name, example in EXAMPLES.items()
        for scalars in (True, False)
        for quantity in example.figures
    ),
    Property("scalars and arrays give the same figures", scalars_are_arrays),
    Property("100 SGD steps by scalars and by the trainer end alike", same_walk),
    Property("a batch's gradient is the mean of its rows' gradients", rows_are_a_batch),
    Property("a sum of outer products is one matrix product", outer_products_are_a_product),
    Property("the softmax's Jacobian times -t/p is p - t", two_steps_are_one),
    Property("at a logit gap of 1000 the Jacobian gives NaN, p - t is right", one_step_is_stable),
)
