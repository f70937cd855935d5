"""The whole network: published figures, purity, ensembles, and rows through a leading axis."""

import numpy as np
import pytest

from tests.nn.samples import (
    TARGET_KINDS,
    central_differences,
    distance,
    leaves,
    lock_numpy,
    random_params,
    random_targets,
    snapshot,
)
from xpmlp.errors import InputError
from xpmlp.leaves import map_tree
from xpmlp.nn import affine
from xpmlp.nn.activations import ACTIVATIONS
from xpmlp.nn.losses import LOSSES
from xpmlp.nn.network import backward, forward, hidden_activations, loss_and_grads
from xpmlp.optim import OPTIMIZERS
from xpmlp.optim.clipping import clip_by_global_norm, global_norm
from xpmlp.types import Affine, Batch, Hyper

GOLDEN = 1e-12
LOSS_AND_KIND = [(loss, kind) for loss, kinds in TARGET_KINDS.items() for kind in kinds]


def on_device(backend, **numbers):
    """Make a Hyper of 0-d or (K,) device arrays; what isn't named is zero."""
    fields = dict.fromkeys(Hyper._fields, 0.0) | numbers
    return backend.put(Hyper(**{name: np.asarray(value) for name, value in fields.items()}))


def golden(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=GOLDEN, atol=0)


# bu-two-layer: the toy net of Boston University's CS 542, problem set 3


def toy(backend):
    weights, rows = np.random.RandomState(0), np.random.RandomState(1)
    params = (
        Affine(0.1 * weights.randn(4, 10), np.zeros(10)),
        Affine(0.1 * weights.randn(10, 3), np.zeros(3)),
    )
    return backend.put((params, Batch(10 * rows.randn(5, 4), np.array([0, 1, 2, 2, 1]))))


@pytest.mark.parametrize(
    ("activation", "expected"), [("sigmoid", 1.1822479803941373), ("relu", 1.3037878913298202)]
)
def test_published_loss_of_the_toy_net(backend, expected, activation):
    params, batch = toy(backend)
    result = loss_and_grads(
        backend.xp, params, batch, activations=(activation,), loss="softmax_cross_entropy", l2=0.1
    )
    golden(backend.to_numpy(result.loss + result.penalty), expected)


@pytest.mark.parametrize(
    ("activation", "rate", "epochs", "expected"),
    [("sigmoid", 0.5, 100, 0.10926794610680679), ("relu", 0.1, 50, 0.0178562204869839)],
)
def test_published_training_of_the_toy_net(backend, activation, rate, epochs, expected):
    """The loss at the last step, penalty included, before its update."""
    params, batch = toy(backend)
    sgd = OPTIMIZERS["sgd"]
    moments = sgd.init(backend.xp, params)
    for epoch in range(epochs):
        hyper = on_device(backend, learning_rate=rate * 0.95**epoch, l2=1e-5)
        result = loss_and_grads(
            backend.xp,
            params,
            batch,
            activations=(activation,),
            loss="softmax_cross_entropy",
            l2=hyper.l2,
        )
        step = backend.asarray(np.asarray(epoch))
        params, moments = sgd.update(backend.xp, params, result.grads, moments, step, hyper)
    golden(backend.to_numpy(result.loss + result.penalty), expected)


# vu-scalar-to-batched: the scalar networks of VU Amsterdam's Deep Learning, assignment 1


def scalar_net(backend, x, target, params):
    """Return loss, h, and the gradients of both layers for one row."""
    params = tuple(Affine(np.array(W), np.array(b)) for W, b in params)
    params, batch = backend.put((params, Batch(np.array([x]), np.array([target]))))
    activations = ("sigmoid",)
    _, kept = forward(backend.xp, params, batch.x, activations)
    result = loss_and_grads(
        backend.xp, params, batch, activations=activations, loss="softmax_cross_entropy"
    )
    assert result.penalty is None
    return backend.fetch((result.loss, kept[0].a, *result.grads))


def test_symmetric_scalar_net(backend):
    loss, h, first, second = scalar_net(
        backend,
        (1.0, -1.0),
        0,
        (
            ([[1.0, 1.0, 1.0], [-1.0, -1.0, -1.0]], [0.0, 0.0, 0.0]),
            ([[1.0, 1.0], [-1.0, -1.0], [-1.0, -1.0]], [0.0, 0.0]),
        ),
    )
    golden(h, [[0.8807970779778823] * 3])
    golden(loss, 0.6931471805599453)
    golden(second.W, [[-0.44039853898894116, 0.44039853898894116]] * 3)
    golden(second.b, [-0.5, 0.5])
    golden(first.W, np.zeros((2, 3)))
    golden(first.b, np.zeros(3))


def test_asymmetric_scalar_net(backend):
    loss, _, first, second = scalar_net(
        backend,
        (1.0, -2.0),
        1,
        (
            ([[0.1, -0.2, 0.3], [0.4, 0.5, -0.6]], [0.01, -0.02, 0.03]),
            ([[0.7, -0.8], [0.9, 1.0], [-1.1, 1.2]], [0.04, -0.05]),
        ),
    )
    golden(loss, 0.2362619202715057)
    golden(second.b, [0.21042615854775157, -0.2104261585477516])
    column = np.array([0.07028929643151417, 0.04796379168713134, 0.1729716310019962])
    golden(second.W, np.stack([column, -column], axis=1))
    db = np.array([0.07021552009206478, -0.0037031095253933534, -0.07081207371855894])
    golden(first.b, db)
    golden(first.W, np.stack([db, -2 * db]))


# names of activations


@pytest.mark.parametrize(
    ("given", "n_hidden", "expected"),
    [
        ("relu", 0, ()),
        ("relu", 3, ("relu",) * 3),
        (["tanh"], 2, ("tanh", "tanh")),
        (["relu", "tanh"], 2, ("relu", "tanh")),
        ((), 0, ()),
    ],
)
def test_hidden_activations(given, n_hidden, expected):
    assert hidden_activations(given, n_hidden) == expected


def test_unknown_activation_lists_the_valid_ones():
    with pytest.raises(InputError, match=r"unknown activation 'relo'.*mean 'relu'") as caught:
        hidden_activations(["tanh", "relo"], 2)
    assert all(name in str(caught.value) for name in ACTIVATIONS)


@pytest.mark.parametrize(
    ("given", "n_hidden"), [(["relu", "tanh"], 3), (["relu", "tanh"], 0), ((), 1)]
)
def test_wrong_count_of_activations(given, n_hidden):
    message = f"{len(given)} activations for {n_hidden} hidden layers"
    with pytest.raises(InputError, match=message):
        hidden_activations(given, n_hidden)


# shapes, purity, penalties


def test_affine_layer_by_hand(backend, assert_matches):
    """x = (1, 2), W = ((1, 3, 5), (2, 4, 6)), b = (10, 20, 30) and dz = (1, 0, -1), doubled."""
    x = backend.asarray(np.array([[1.0, 2.0], [2.0, 4.0]]))
    dz = backend.asarray(np.array([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0]]))
    layer = backend.put(
        Affine(np.array([[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]]), np.array([10.0, 20.0, 30.0]))
    )
    z = np.array([[15.0, 31.0, 47.0], [20.0, 42.0, 64.0]])
    assert_matches(backend, affine.forward(backend.xp, x, layer), z, scale=0)
    grads = affine.backward(backend.xp, x, dz)
    assert_matches(backend, grads.W, np.array([[5.0, 0.0, -5.0], [10.0, 0.0, -10.0]]), scale=0)
    assert_matches(backend, grads.b, np.array([3.0, 0.0, -3.0]), scale=0)
    dx = affine.backward_input(backend.xp, layer, dz)
    assert_matches(backend, dx, np.array([[-4.0, -4.0], [-8.0, -8.0]]), scale=0)


def test_forward_keeps_z_and_a_of_every_hidden_layer(backend):
    params = random_params(np.random.default_rng(0), (3, 5, 4, 2))
    x = np.random.default_rng(1).standard_normal((6, 3))
    logits, kept = backend.fetch(forward(backend.xp, *backend.put((params, x)), ("tanh", "relu")))
    a = x
    for layer, (z, activated, out, mask), function in zip(
        params[:-1], kept, (np.tanh, lambda z: np.maximum(z, 0.0)), strict=True
    ):
        np.testing.assert_allclose(z, a @ layer.W + layer.b, rtol=1e-12)
        np.testing.assert_allclose(activated, function(z), rtol=1e-12)
        np.testing.assert_array_equal(out, activated)
        assert mask is None
        a = activated
    np.testing.assert_allclose(logits, a @ params[-1].W + params[-1].b, rtol=1e-12)


def test_activations_must_be_as_many_as_hidden_layers():
    params = random_params(np.random.default_rng(0), (3, 5, 2))
    for names in ((), ("tanh", "tanh")):
        with pytest.raises(InputError, match="activations for 1 hidden layers"):
            forward(np, params, np.ones((1, 3)), names)


@pytest.mark.parametrize(("loss", "kind"), LOSS_AND_KIND)
def test_no_argument_is_written_into(backend, loss, kind):
    """NumPy's arrays are read-only here; the others are compared with copies."""
    rng = np.random.default_rng(2)
    sizes, names = (3, *(4,) * len(ACTIVATIONS), 2), tuple(ACTIVATIONS)
    batch = Batch(
        rng.standard_normal((5, 3)), random_targets(rng, kind, (5, 2)), rng.uniform(1, 2, 5)
    )
    params, batch = backend.put((random_params(rng, sizes), batch))
    logits, kept = forward(backend.xp, params, batch.x, names)
    _, dz = LOSSES[loss].function(backend.xp, logits, batch.t, batch.weights)
    arguments = (params, batch, logits, kept, dz)
    lock_numpy(backend, arguments)
    before = snapshot(backend, arguments)
    LOSSES[loss].function(backend.xp, logits, batch.t, batch.weights)
    LOSSES[loss].predict(backend.xp, logits)
    grads = lock_numpy(backend, backward(backend.xp, params, batch.x, kept, dz, names))
    clip_by_global_norm(backend.xp, grads, 1e-3)
    loss_and_grads(backend.xp, params, batch, activations=names, loss=loss, l2=0.1, l1=0.1)
    for now, then in zip(snapshot(backend, arguments), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize(("l2", "l1"), [(None, None), (0.3, None), (None, 0.2), (0.3, 0.2)])
def test_gradients_are_those_of_loss_plus_penalty(l2, l1):
    rng = np.random.default_rng(6)
    params = random_params(rng, (3, 4, 4, 2))
    batch = Batch(rng.standard_normal((5, 3)), random_targets(rng, "soft", (5, 2)))
    options = {
        "activations": ("tanh", "silu"),
        "loss": "softmax_cross_entropy",
        "label_smoothing": 0.1,
        "l2": l2,
        "l1": l1,
    }

    def objective(i, name, at):
        changed = (*params[:i], params[i]._replace(**{name: at}), *params[i + 1 :])
        result = loss_and_grads(np, changed, batch, **options)
        return result.loss + (0.0 if result.penalty is None else result.penalty)

    result = loss_and_grads(np, params, batch, **options)
    assert (result.penalty is None) == (l2 is None and l1 is None)
    for i, layer in enumerate(params):
        for name, leaf in layer._asdict().items():
            numeric = central_differences(lambda at, i=i, name=name: objective(i, name, at), leaf)
            assert distance(getattr(result.grads[i], name), numeric) < 1e-8


def test_the_loss_comes_without_the_penalty(backend, assert_matches):
    params, batch = toy(backend)
    options = {"activations": ("relu",), "loss": "softmax_cross_entropy"}
    plain = loss_and_grads(backend.xp, params, batch, **options)
    penalised = loss_and_grads(backend.xp, params, batch, **options, l2=2.0, l1=1.0)
    assert_matches(backend, penalised.loss, backend.to_numpy(plain.loss), scale=0)
    assert_matches(backend, penalised.logits, backend.to_numpy(plain.logits), scale=0)
    weights = [layer.W for layer in backend.fetch(params)]
    expected = sum((W**2).sum() + np.abs(W).sum() for W in weights)
    assert_matches(backend, penalised.penalty, np.array(expected))


# leading axes

K, N = 3, 6
SIZES = (4, 5, 3)
CLIP = 1.6


def train(backend, optimizer, params, batch, hyper, steps=4):
    """Take a few clipped steps; return parameters, moments and every step's loss and norm."""
    params, batch, hyper = backend.put((params, batch, hyper))
    init, update, decoupled = OPTIMIZERS[optimizer][:3]
    moments, record = init(backend.xp, params), []
    for step in range(steps):
        result = loss_and_grads(
            backend.xp,
            params,
            batch,
            activations=("tanh",),
            loss="softmax_cross_entropy",
            l2=None if decoupled else hyper.l2,
            l1=hyper.l1,
        )
        record += [result.loss, global_norm(backend.xp, result.grads)]
        grads = clip_by_global_norm(backend.xp, result.grads, CLIP)
        at = backend.asarray(np.asarray(step))
        params, moments = update(backend.xp, params, grads, moments, at, hyper)
    return backend.fetch((params, moments, tuple(record)))


@pytest.mark.parametrize("own_rows", [False, True])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_ensemble_is_its_members_single_runs(backend, optimizer, own_rows):
    rng = np.random.default_rng(8)
    params = random_params(rng, SIZES, members=(K,))
    lead = (K,) if own_rows else ()
    batch = Batch(rng.standard_normal((*lead, N, 4)), rng.integers(3, size=(*lead, N)))
    hyper = Hyper(
        learning_rate=np.array([0.3, 0.1, 0.02]),
        l2=np.array([0.0, 0.5, 0.1]),
        l1=np.array([0.01, 0.0, 0.02]),
        momentum=np.array([0.9, 0.5, 0.0]),
    )
    together = list(leaves(train(backend, optimizer, params, batch, hyper)))

    norms = np.array(together[-7::2])
    assert (norms > CLIP).any()
    assert (norms < CLIP).any()
    for k in range(K):
        single = train(
            backend,
            optimizer,
            tuple(Affine(layer.W[k], layer.b[k]) for layer in params),
            Batch(batch.x[k], batch.t[k]) if own_rows else batch,
            map_tree(lambda numbers, k=k: numbers[k], hyper),
        )
        for many, one in zip(together, leaves(single), strict=True):
            np.testing.assert_allclose(many[k], one, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize(("loss", "kind"), LOSS_AND_KIND)
def test_mean_of_row_gradients_is_the_batch_gradient(backend, loss, kind):
    """Rows as x (N, 1, D) against W (D, H): a gradient for each row, from one call."""
    rng = np.random.default_rng(9)
    params = backend.put(random_params(rng, SIZES))
    x, t = rng.standard_normal((N, 4)), random_targets(rng, kind, (N, 3))
    batch, rows = backend.put((Batch(x, t), Batch(x[:, None, :], t[:, None, ...])))
    options = {"activations": ("sigmoid",), "loss": loss}
    whole = loss_and_grads(backend.xp, params, batch, **options)
    each = loss_and_grads(backend.xp, params, rows, **options)
    assert each.loss.shape == (N,)
    np.testing.assert_allclose(
        backend.to_numpy(each.loss).mean(), backend.to_numpy(whole.loss), rtol=1e-13
    )
    for rowwise, mean in zip(leaves(each.grads), leaves(whole.grads), strict=True):
        assert tuple(rowwise.shape) == (N, *mean.shape)
        np.testing.assert_allclose(
            backend.to_numpy(rowwise).mean(axis=0), backend.to_numpy(mean), rtol=1e-11, atol=1e-15
        )
