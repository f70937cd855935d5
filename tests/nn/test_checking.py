"""What the doors for teaching refuse, on every library, and what they take."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from tests.conftest import load_or_skip
from tests.nn.samples import random_params
from xpmlp.errors import InputError
from xpmlp.nn.network import backpropagate, forward, loss_and_grads
from xpmlp.training.gradient_check import check_gradients
from xpmlp.types import Affine, Batch

SOFTMAX = "softmax_cross_entropy"
N, D, H, C = 5, 4, 6, 3
RNG = np.random.default_rng(0)
NET = random_params(RNG, (D, H, C))
ONE = random_params(RNG, (D, H, 1))
X = RNG.standard_normal((N, D))
Y = np.array([0, 1, 2, 2, 1])
VALUES = RNG.standard_normal((N, C))
DTYPE = re.compile(r"^\w+ of")  # libraries call theirs otherwise
FLAT = RNG.standard_normal(N)


def case(message, *, net=NET, x=X, t=Y, weights=None, loss=SOFTMAX, activations="tanh", **more):
    """Return a call that is refused, and with what words."""
    options = {"loss": loss, "activations": activations, **more}
    return SimpleNamespace(net=net, batch=Batch(x, t, weights), options=options, message=message)


def changed(i, **arrays):
    return tuple(p._replace(**arrays) if j == i else p for j, p in enumerate(NET))


REFUSED = {
    "column": case(
        "int64 of shape (5, 1); softmax_cross_entropy takes class indices (5,)", t=Y[:, None]
    ),
    "from one": case("labels from 1 to 3, but there are 3 classes, numbered from 0", t=Y + 1),
    "minus one": case("labels from -1 to 1, but there are 3 classes", t=Y - 1),
    "float labels": case("float64 of shape (5,); softmax_cross_entropy takes class", t=Y * 1.0),
    "bool labels": case("bool of shape (5,); softmax_cross_entropy takes class indices", t=Y > 1),
    "whole one-hot": case("takes class indices (5,), integers, or rows", t=np.eye(3, dtype=int)[Y]),
    "fewer labels": case("shape (4,); softmax_cross_entropy takes class indices (5,)", t=Y[:4]),
    "no sum of one": case("must sum to one", t=np.eye(3)[Y] * 0.5),
    "no probabilities": case("takes probabilities from 0 to 1, and t is from", t=VALUES),
    "flat": case(
        "shape (5,); mean_squared_error takes (5, 1), a number for each output; t[:, None]",
        net=ONE,
        t=FLAT,
        loss="mean_squared_error",
    ),
    "flat labels": case(
        "binary_cross_entropy takes (5, 1)", net=ONE, t=Y, loss="binary_cross_entropy"
    ),
    "one column": case("shape (5, 1); huber takes (5, 3)", t=FLAT[:, None], loss="huber"),
    "two columns": case(
        "shape (5, 2); mean_absolute_error takes (5, 3)",
        t=VALUES[:, :2],
        loss="mean_absolute_error",
    ),
    "no 0 or 1": case("takes probabilities from 0 to 1", t=VALUES, loss="binary_cross_entropy"),
    "no counts": case(
        "loss poisson needs t of 0 or more, and the smallest is", t=VALUES, loss="poisson"
    ),
    "NaN in t": case("t contains NaN or infinity", t=VALUES * np.nan, loss="huber"),
    "NaN in x": case("x contains NaN or infinity", x=X * np.inf),
    "width": case("x has shape (5, 3); the net takes x of shape (N, 4)", x=X[:, :3]),
    "one row": case("x has shape (4,); the net takes x of shape (N, 4), one row per", x=X[0]),
    "no rows": case("x has no rows", x=X[:0], t=Y[:0]),
    "bias": case(
        "layer 1: b has shape (1, 6), and W (4, 6); b must be (6,)",
        net=changed(0, b=np.zeros((1, H))),
    ),
    "turned": case(
        "layer 2: b has shape (3,), and W (3, 6); b must be (6,)", net=changed(1, W=NET[1].W.T)
    ),
    "chain": case(
        "layers 1 and 2 don't fit together: W has shape (4, 6), then (5, 3)",
        net=changed(1, W=np.ones((5, C))),
    ),
    "flat W": case("layer 1: W has shape (4,); it must be (D, H)", net=changed(0, W=np.ones(4))),
    "pairs": case("layer 1 must be xpmlp.Affine(W, b), got tuple", net=tuple(map(tuple, NET))),
    "misspelt": case("unknown activation 'tanhh'", activations=["tanhh"]),
    "too many": case("2 activations for 1 hidden layers", activations=["tanh", "relu"]),
    "loss": case("unknown loss 'cross_entropy'", loss="cross_entropy"),
    "masks": case("2 masks for 1 hidden layers", masks=(None, None)),
    "mask": case("the mask of hidden layer 1 has shape (5, 3); it must be (5, 6)", masks=(VALUES,)),
    "weights": case("weights have shape (5, 1); they must be (5,)", weights=np.ones((N, 1))),
    "no weight": case("weights must be finite, 0 or more, and not all 0", weights=np.zeros(N)),
    "smoothing": case(
        "label_smoothing goes with softmax_cross_entropy, not huber",
        t=VALUES,
        loss="huber",
        label_smoothing=0.1,
    ),
    "smoothed": case("label_smoothing is 1; it must be in [0, 1)", label_smoothing=1.0),
}


def refused(call, *arguments, message, **options):
    with pytest.raises(InputError, match=re.escape(message)):
        call(*arguments, **options)


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_belong_together_is_refused(backend, name):
    case = REFUSED[name]
    options = case.options | {"masks": backend.put(tuple(case.options.get("masks", ())))}
    with backend.running():
        net = tuple(map(backend.put, case.net))
        refused(
            loss_and_grads,
            backend.xp,
            net,
            backend.put(case.batch),
            **options,
            message=DTYPE.sub("of", case.message),
        )


@pytest.mark.parametrize("name", REFUSED)
def test_the_gradient_check_refuses_the_same(name):
    case = REFUSED[name]
    refused(
        check_gradients,
        load_or_skip("numpy"),
        case.net,
        case.batch,
        **case.options,
        message=case.message,
    )


def test_forward_refuses_what_it_can_not_take(xp):
    x, net = xp.asarray(X.tolist()), [Affine(*(xp.asarray(a.tolist()) for a in p)) for p in NET]
    refused(forward, xp, net, x[:, :3], ["tanh"], message="the net takes x of shape (N, 4)")
    refused(forward, xp, net, x, ["tanhh"], message="unknown activation 'tanhh'")
    refused(forward, xp, net, X.tolist(), ["tanh"], message="x must be an array, got list")


# What is taken.


def test_one_name_is_for_all_hidden_layers(xp):
    net = [Affine(*(xp.asarray(a.tolist()) for a in p)) for p in random_params(RNG, (D, 3, 2, C))]
    x = xp.asarray(X.tolist())
    one, each = (forward(xp, net, x, names)[0] for names in ("tanh", ["tanh", "tanh"]))
    assert bool(xp.all(one == each))


def test_whole_numbers_count_as_floats_where_floats_are_taken(backend):
    """In x, in 0/1 labels and in weights, on every library alike."""
    labels = (VALUES > 0).astype(np.int64)
    x, weights = np.arange(N * D).reshape(N, D) - 10, np.array([1, 2, 1, 3, 1])
    options = {"activations": "tanh", "loss": "binary_cross_entropy"}
    with backend.running():
        net, whole, floats = backend.put(
            (NET, Batch(x, labels, weights), Batch(x * 1.0, labels * 1.0, weights * 1.0))
        )
        found, expected = (
            backend.fetch(loss_and_grads(backend.xp, net, batch, **options).grads)
            for batch in (whole, floats)
        )
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours.W, theirs.W)
        assert ours.W.dtype == np.float64


def test_checked_is_what_is_not(backend):
    """With axes in front: several nets on the same rows and targets, and single rows."""
    several = tuple(Affine(np.stack([p.W, 2 * p.W]), np.stack([p.b, p.b])) for p in NET)
    for net, batch in (
        (several, Batch(X, Y)),
        (NET, Batch(X[:, None, :], Y[:, None])),
        (NET, Batch(X, np.eye(3)[Y], np.arange(1.0, 6.0))),
    ):
        with backend.running():
            on_device = backend.put((net, batch))
            checked = loss_and_grads(backend.xp, *on_device, activations="tanh", loss=SOFTMAX)
            trusted = backpropagate(backend.xp, *on_device, activations=("tanh",), loss=SOFTMAX)
            for ours, theirs in zip(
                backend.fetch(checked.grads), backend.fetch(trusted.grads), strict=True
            ):
                np.testing.assert_array_equal(ours.W, theirs.W)


def test_axes_in_front_must_fit_together():
    several = tuple(Affine(np.stack([p.W] * 2), np.stack([p.b] * 2)) for p in NET)
    options = {"activations": "tanh", "loss": SOFTMAX}
    x = np.stack([X] * 3)
    refused(
        loss_and_grads,
        np,
        several,
        Batch(x, Y),
        **options,
        message="(2,) of the nets and (3,) of x",
    )
    refused(
        loss_and_grads,
        np,
        several,
        Batch(X, np.stack([Y] * 3)),
        **options,
        message="takes class indices (2, 5)",
    )


def test_under_tracing_shapes_are_checked_and_values_are_not():
    jax = pytest.importorskip("jax", reason="jax is not installed")
    xp = jax.numpy

    def gradients(t):
        return (
            loss_and_grads(xp, NET, Batch(xp.asarray(X), t), activations="tanh", loss=SOFTMAX)
            .grads[0]
            .W
        )

    assert jax.jit(gradients)(xp.asarray(Y)).shape == (D, H)
    assert jax.jit(gradients)(xp.asarray(Y + 1)).shape == (D, H)
    refused(jax.jit(gradients), xp.asarray(Y[:, None]), message="takes class indices (5,)")
    refused(gradients, xp.asarray(Y + 1), message="labels from 1 to 3")


def test_under_torchs_own_mapping_values_are_not_looked_at():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from array_api_compat import torch as xp

    net = tuple(Affine(torch.asarray(p.W), torch.asarray(p.b)) for p in NET)

    def loss(x, t):
        return loss_and_grads(
            xp, net, Batch(x[None], t[None]), activations="tanh", loss=SOFTMAX
        ).loss

    found = torch.vmap(loss)(torch.asarray(X), torch.asarray(Y))
    expected = loss_and_grads(
        np, NET, Batch(X[:, None], Y[:, None]), activations="tanh", loss=SOFTMAX
    ).loss
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


def test_a_backend_may_still_compile_it(backend):
    def gradients(xp):
        return lambda net, batch: (
            loss_and_grads(xp, net, batch, activations="tanh", loss=SOFTMAX).grads
        )

    with backend.running():
        net, batch = backend.put((NET, Batch(X, Y)))
        found = backend.fetch(backend.compile(gradients)(net, batch))
    expected = loss_and_grads(np, NET, Batch(X, Y), activations="tanh", loss=SOFTMAX).grads
    np.testing.assert_allclose(found[0].W, expected[0].W, rtol=1e-12)
