"""Gradients of one's own against ours: each planted mistake is named, and nothing else is."""

import numpy as np
import pytest

from tests.nn.samples import random_params
from xpmlp import compare_gradients
from xpmlp.errors import InputError
from xpmlp.leaves import map_leaves
from xpmlp.nn.network import forward, loss_and_grads
from xpmlp.types import Affine, Batch

N, SIZES = 8, (4, 6, 5, 3)
RNG = np.random.default_rng(0)
NET = random_params(RNG, SIZES)
X = RNG.standard_normal((N, 4))
CLASSES = Batch(X, RNG.integers(0, 3, N))
VALUES = Batch(X, RNG.standard_normal((N, 3)))
SOFTMAX = {"activations": "tanh", "loss": "softmax_cross_entropy"}
SQUARES = {"activations": "tanh", "loss": "mean_squared_error"}
NAMES = ["W1", "b1", "W2", "b2", "W3", "b3"]


def ours(batch=CLASSES, options=SOFTMAX, **more):
    return loss_and_grads(np, NET, batch, **options, **more).grads


def verdicts(mine, batch=CLASSES, options=SOFTMAX, **more):
    found = compare_gradients(mine, NET, batch, **options, **more)
    assert [array.name for array in found] == NAMES
    assert all((a.verdict == "CORRECT") == a.note.startswith("error ") for a in found)
    return {array.name: array for array in found}


def notes(*given, **more):
    return {name: array.note for name, array in verdicts(*given, **more).items()}


def test_right_gradients_are_correct_in_every_form():
    right = ours()
    named = {f"d{leaf}{i + 1}": a for i, p in enumerate(right) for leaf, a in p._asdict().items()}
    plain = {name.removeprefix("d"): array for name, array in named.items()}
    pairs = [(layer.W.tolist(), layer.b) for layer in right]
    for mine in (right, list(right), pairs, named, plain, map_leaves(np.float32, right)):
        assert {array.verdict for array in verdicts(mine).values()} == {"CORRECT"}
    assert repr(compare_gradients(right, NET, CLASSES, **SOFTMAX)).startswith("all CORRECT\n  W1 ")


def test_those_of_another_library_are_the_same():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    params = [[torch.tensor(a, requires_grad=True) for a in layer] for layer in NET]
    out = torch.as_tensor(X)
    for W, b in params[:-1]:
        out = torch.tanh(out @ W + b)
    logits = out @ params[-1][0] + params[-1][1]
    torch.nn.functional.cross_entropy(logits, torch.as_tensor(CLASSES.t)).backward()
    mine = [(W.grad, b.grad) for W, b in params]
    assert {array.verdict for array in verdicts(mine).values()} == {"CORRECT"}


@pytest.mark.parametrize(
    ("factor", "note"),
    [
        (8, "8.0 times ours: the batch's size"),
        (1 / 8, "0.125 times ours: the batch's size, by which it is divided twice"),
        (-1, "-1.0 times ours: the sign"),
        (-8, "-8.0 times ours: the sign and the batch's size"),
        (2, "2.0 times ours"),
        (3.7, "3.7 times ours"),
        (0, "all 0"),
    ],
)
def test_a_factor_is_named(factor, note):
    right = ours()
    found = verdicts((right[0], Affine(factor * right[1].W, right[1].b), right[2]))
    assert found["W2"].note == note
    assert found["W2"].ratio == (pytest.approx(factor) if factor else None)
    assert [array.verdict for array in found.values()].count("WRONG") == 1


@pytest.mark.parametrize(
    ("factor", "note"),
    [
        (2, "2.0 times ours: the ½ of the loss"),
        (2 / 3, "0.66667 times ours: the ½ of the loss and the mean over the outputs, where"),
        (16, "16.0 times ours: the batch's size and the ½ of the loss"),
    ],
)
def test_the_half_of_squares_is_named(factor, note):
    mine = map_leaves(lambda leaf: factor * leaf, ours(VALUES, SQUARES))
    assert all(text.startswith(note) for text in notes(mine, VALUES, SQUARES).values())


def test_a_batch_of_two_leaves_both_reasons_open():
    two = Batch(X[:2], VALUES.t[:2])
    mine = map_leaves(lambda leaf: 2 * leaf, ours(two, SQUARES))
    assert notes(mine, two, SQUARES)["W1"] in (
        "2.0 times ours: the ½ of the loss, or the batch's size",
        "2.0 times ours: the batch's size, or the ½ of the loss",
    )


def test_shapes_that_differ_are_explained():
    first, second, third = ours()
    found = notes(((first.W.T, first.b[None]), (-second.W.T, second.b[:2]), (third.b, third.W)))
    assert found == {
        "W1": "of shape (6, 4), not (4, 6): the transpose of ours",
        "b1": "of shape (1, 6), not (6,): else ours",
        "W2": "of shape (5, 6), not (6, 5): -1.0 times the transpose of ours: the sign",
        "b2": "of shape (2,), not (5,)",
        "W3": "of shape (3,), not (5, 3)",
        "b3": "of shape (5, 3), not (3,)",
    }


def test_a_square_array_may_be_turned_too():
    net = random_params(RNG, (3, 3, 3))
    right = loss_and_grads(np, net, Batch(X[:, :3], CLASSES.t), **SOFTMAX).grads
    mine = (Affine(right[0].W.T, right[0].b), right[1])
    found = compare_gradients(mine, net, Batch(X[:, :3], CLASSES.t), **SOFTMAX)
    assert found[0].note == "the transpose of ours"
    assert found[1].verdict == "CORRECT"


def test_what_is_wrong_with_a_penalty_is_named():
    alone, whole = ours(), ours(l2=0.1)
    W = NET[0].W
    for dW, note in {
        "missing": (alone[0].W, "ours without the penalty"),
        "half": (alone[0].W + 0.2 * W, "ours with 2.0 times the penalty: the ½ of l2"),
        "sign": (alone[0].W - 0.1 * W, "ours with -1.0 times the penalty: the sign"),
        "size": (
            alone[0].W + 0.1 / 8 * W,
            "ours with 0.125 times the penalty: the batch's size, by",
        ),
        "sum": (
            8 * alone[0].W + 0.1 * W,
            "8.0 times the part of the loss: the batch's size; its pe",
        ),
        "both": (8 * alone[0].W, "8.0 times ours without the penalty: the batch's size"),
        "alone": (0.1 * W, "of the penalty alone"),
    }.values():
        found = notes((Affine(dW, whole[0].b), *whole[1:]), l2=0.1)
        assert found["W1"].startswith(note)
        assert found["b1"].startswith("error")
    mine = (Affine(alone[0].W + 0.2 * np.sign(W), whole[0].b), *ours(l1=0.1)[1:])
    assert notes(mine, l1=0.1)["W1"] == "ours with 2.0 times the penalty"


def without_derivatives(batch):
    """Backpropagation as a beginner may write it, tanh'(z) left out."""
    logits, (first, second) = forward(np, NET, batch.x, "tanh")
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    dz3 = (p - np.eye(3)[batch.t]) / N
    dz2 = dz3 @ NET[2].W.T
    dz1 = dz2 @ NET[1].W.T
    pairs = (second.a, dz3), (first.a, dz2), (batch.x, dz1)
    return [(a.T @ dz, dz.sum(axis=0)) for a, dz in reversed(pairs)]


def test_forgotten_derivatives_are_named():
    found = notes(without_derivatives(CLASSES))
    for name, note in {
        "W3": "error ",
        "W2": "ours without the derivative of the layer's own activation",
        "b1": "ours without the derivatives of the activations",
    }.items():
        assert found[name].startswith(note)


def test_forgotten_options_are_named():
    weighted = CLASSES._replace(weights=np.arange(1.0, 9.0))
    mask = RNG.integers(0, 2, (N, 6)) * 2.0
    assert notes(ours(), weighted)["W1"] == "ours without the weights of the rows"
    assert notes(ours(), label_smoothing=0.1)["W1"] == "ours without the label smoothing"
    assert notes(ours(), masks=(mask, None))["W1"] == "ours without the masks of dropout"
    times = map_leaves(lambda leaf: 36 * leaf, ours(weighted))
    assert notes(times, weighted)["b1"] == "36.0 times ours: the sum of the weights"


def test_what_nothing_explains_is_shown_where_it_differs_most():
    first, second, third = ours()
    dW = second.W.copy()
    dW[2, 1] += 1.0
    found = notes((first, Affine(dW, second.b * np.nan), third))
    assert found["W2"] == (
        f"1 of 30 entries differ, most [2, 1]: {dW[2, 1]:.4g}, ours {second.W[2, 1]:.4g}"
    )
    assert found["b2"] == "NaN or infinity in 5 entries"


@pytest.mark.parametrize(
    ("mine", "message"),
    [
        (ours()[:2], r"the net has W1, b1, W2, b2, W3, b3; .* got W1, b1, W2, b2"),
        ({"W1": X, "w2": X}, "got W1, w2"),
        ([a for layer in ours() for a in layer], "give a pair .dW, db. for each layer.* got list"),
        ([("a", "b")] * 3, "W1 must be numbers"),
        ([([[1.0], [1.0, 2.0]], 1)] * 3, "W1: expected an array that numpy.asarray takes"),
    ],
)
def test_what_are_no_gradients_of_the_net_is_refused(mine, message):
    with pytest.raises(InputError, match=message):
        compare_gradients(mine, NET, CLASSES, **SOFTMAX)


def test_the_net_and_the_batch_are_checked():
    with pytest.raises(InputError, match="labels from 1 to 3"):
        compare_gradients(
            ours(), NET, CLASSES._replace(t=np.full(N, 3) - np.arange(N) % 3), **SOFTMAX
        )
    several = tuple(Affine(np.stack([p.W] * 2), np.stack([p.b] * 2)) for p in NET)
    with pytest.raises(InputError, match=r"xpmlp.Batch\(x, t\), got tuple"):
        compare_gradients(ours(), NET, (X, CLASSES.t), **SOFTMAX)
    with pytest.raises(InputError, match="takes one net"):
        compare_gradients(ours(), several, CLASSES, **SOFTMAX)


def test_a_single_number_is_no_transpose_of_ours():
    """What is wrong with one number can be anything."""
    net, x = random_params(np.random.default_rng(1), (1, 1)), X[:, :1]
    batch, options = Batch(x, VALUES.t[:, :1]), {"activations": (), "loss": "mean_squared_error"}
    (right,) = loss_and_grads(np, net, batch, **options).grads
    W, b = compare_gradients([(right.W * 1.37, right.b)], net, batch, **options)
    assert (W.verdict, b.verdict) == ("WRONG", "CORRECT")
    assert W.note.startswith("1 of 1 entries differ")
