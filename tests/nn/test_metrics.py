"""Metrics of the loop, worked by hand."""

import numpy as np
import pytest

from tests.conftest import like
from xpmlp.nn.metrics import accuracy, correct, gradient_norms
from xpmlp.types import Affine

Z = np.array([[0.1, 0.3, 0.2], [-5.0, -7.0, -6.0], [0.0, 0.0, 9.0], [1.0, 2.0, 3.0]])
Y = np.array([1, 0, 1, 2])
RIGHT = np.array([1.0, 1.0, 0.0, 1.0])


@pytest.mark.parametrize("t", [Y, Y.astype(np.uint8), np.eye(3)[Y]])
def test_the_largest_logit_names_the_class(backend, assert_matches, t):
    z, t = backend.put((Z, t))
    assert_matches(backend, correct(backend.xp, z, t), RIGHT, scale=0)
    assert_matches(backend, accuracy(backend.xp, z, t), np.array(0.75), scale=0)


def test_one_output_node_is_class_1_above_zero(backend, assert_matches):
    z = np.array([[2.0], [-2.0], [1e-9], [0.0], [0.0]])
    t = np.array([[1.0], [1.0], [1.0], [1.0], [0.0]])
    right = np.array([1.0, 0.0, 1.0, 0.0, 1.0])
    z, t = backend.put((z, t))
    assert_matches(backend, correct(backend.xp, z, t), right, scale=0)
    assert_matches(backend, accuracy(backend.xp, z, t), np.array(0.6), scale=1)


def test_one_output_node_with_a_soft_target(backend):
    """A target counts as class 1 above one half."""
    z, t = backend.put((np.ones((3, 1)), np.array([[0.4], [0.5], [0.6]])))
    assert backend.to_numpy(correct(backend.xp, z, t)).tolist() == [0.0, 0.0, 1.0]


def test_members_with_one_output_node(backend, assert_matches):
    z = np.array([[[2.0], [-2.0], [1.0]], [[-2.0], [2.0], [1.0]]])
    arrays = backend.put((z, np.array([[1.0], [1.0], [0.0]])))
    expected = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    assert_matches(backend, correct(backend.xp, *arrays), expected, scale=0)


def test_members_with_one_row(backend, assert_matches):
    arrays = backend.put((np.array([[[1.0, 2.0, 3.0]], [[3.0, 2.0, 1.0]]]), np.array([2])))
    assert_matches(backend, correct(backend.xp, *arrays), np.array([[1.0], [0.0]]), scale=0)


def test_members_share_targets_or_have_their_own(backend, assert_matches):
    z = np.stack([Z, -Z])
    both = np.stack([Y, Y[::-1]])
    shared = np.array([[1.0, 1, 0, 1], [0, 0, 0, 0]])
    own = np.array([[1.0, 1, 0, 1], [0, 1, 1, 0]])
    for t, expected in ((Y, shared), (both, own), (np.eye(3)[both], own)):
        arrays = backend.put((z, t))
        assert_matches(backend, correct(backend.xp, *arrays), expected, scale=0)
        assert_matches(backend, accuracy(backend.xp, *arrays), expected.mean(axis=1), scale=0)


def test_gradient_norms_by_hand(backend, assert_matches):
    """3-4-5 and 2-3-6-7 triangles; the second member is the first, doubled."""
    W, b = np.array([[3.0, 0.0], [0.0, -4.0]]), np.array([2.0, -3.0, 6.0])
    single = backend.put((Affine(W, b), Affine(-2 * W, -2 * b)))
    both = backend.put((Affine(np.stack([W, 2 * W]), np.stack([b, 2 * b])),))
    first, second = gradient_norms(backend.xp, single)
    (members,) = gradient_norms(backend.xp, both)
    for actual, expected in (
        (first, (5.0, 7.0)),
        (second, (10.0, 14.0)),
        (members, ([5.0, 10.0], [7.0, 14.0])),
    ):
        assert_matches(backend, actual.W, np.array(expected[0]), scale=2)
        assert_matches(backend, actual.b, np.array(expected[1]), scale=2)


def test_float32_stays(backend):
    backend = like(backend, "float32")
    z, y = backend.put((Z, Y))
    grads = backend.put((Affine(Z, Z[0]),))
    results = (correct(backend.xp, z, y), accuracy(backend.xp, z, y))
    assert {array.dtype for array in results} == {z.dtype}
    assert {array.dtype for array in gradient_norms(backend.xp, grads)[0]} == {z.dtype}
