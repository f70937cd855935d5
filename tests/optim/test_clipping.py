"""Clipping by the global norm: by hand, per member, at zero, and against PyTorch's."""

import numpy as np
import pytest

from tests.conftest import like
from tests.nn.samples import leaves, lock_numpy, random_params
from xpmlp.optim.clipping import clip_by_global_norm, global_norm
from xpmlp.types import Affine

GRADS = (
    Affine(np.array([[1.0, -2.0], [4.0, 2.0]]), np.array([2.0, -4.0])),
    Affine(np.array([[6.0], [-8.0]]), np.array([-6.0])),
)  # squares: 25 + 20 and 100 + 36, in all 181
NORM = np.sqrt(181.0)


def flat(tree):
    return np.concatenate([np.ravel(leaf) for leaf in leaves(tree)])


def clip(backend, grads, max_norm):
    return backend.fetch(clip_by_global_norm(backend.xp, backend.put(grads), max_norm))


def test_norm_by_hand(backend, assert_matches):
    norm = global_norm(backend.xp, backend.put(GRADS))
    assert_matches(backend, norm, np.array(NORM), scale=2)


@pytest.mark.parametrize("max_norm", [1e-3, 1.0, 13.0])
def test_a_longer_gradient_keeps_its_direction_and_loses_its_length(backend, max_norm):
    clipped = clip(backend, GRADS, max_norm)
    np.testing.assert_allclose(np.linalg.norm(flat(clipped)), max_norm, rtol=1e-14)
    np.testing.assert_allclose(flat(clipped), flat(GRADS) * max_norm / NORM, rtol=1e-14)


@pytest.mark.parametrize("max_norm", [13.5, 1e6])
def test_a_shorter_gradient_is_unchanged(backend, max_norm):
    for clipped, grad in zip(leaves(clip(backend, GRADS, max_norm)), leaves(GRADS), strict=True):
        np.testing.assert_array_equal(clipped, grad)


def test_members_are_clipped_each_by_its_own_norm(backend):
    members = tuple(
        Affine(*(np.stack([leaf, leaf / 100, 0 * leaf, 5 * leaf]) for leaf in g)) for g in GRADS
    )
    norms = backend.to_numpy(global_norm(backend.xp, backend.put(members)))
    np.testing.assert_allclose(norms, NORM * np.array([1, 0.01, 0, 5]), rtol=1e-14)
    clipped = clip(backend, members, 1.0)
    for leaf, grad in zip(leaves(clipped), leaves(GRADS), strict=True):
        np.testing.assert_allclose(leaf[0], grad / NORM, rtol=1e-14)
        np.testing.assert_array_equal(leaf[1], grad / 100)
        assert not leaf[2].any()
        np.testing.assert_allclose(leaf[3], grad / NORM, rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_zero_gradients_stay_zero_and_dtype_stays(backend, dtype):
    backend = like(backend, dtype)
    zeros = tuple(Affine(0 * g.W, 0 * g.b) for g in GRADS)
    for grads in (zeros, GRADS):
        for clipped, grad in zip(leaves(clip(backend, grads, 1.0)), leaves(grads), strict=True):
            assert clipped.dtype == dtype
            np.testing.assert_allclose(clipped, grad * min(1.0, 1 / NORM), rtol=1e-6)


def test_no_argument_is_written_into(backend):
    copies = tuple(Affine(g.W.copy(), g.b.copy()) for g in GRADS)
    grads = lock_numpy(backend, backend.put(copies))
    clip_by_global_norm(backend.xp, grads, 1.0)
    np.testing.assert_array_equal(flat(backend.fetch(grads)), flat(GRADS))


@pytest.mark.parametrize("max_norm", [0.5, 5.0, 1e3])
def test_torch_clips_the_same(max_norm):
    """PyTorch divides by norm + 1e-6, so its lengths are short by 1e-6/norm."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    grads = random_params(np.random.default_rng(0), (3, 5, 2))
    leaf_list = list(leaves(grads))
    parameters = [torch.zeros(leaf.shape, dtype=torch.float64) for leaf in leaf_list]
    for parameter, leaf in zip(parameters, leaf_list, strict=True):
        parameter.grad = torch.tensor(leaf)
    norm = torch.nn.utils.clip_grad_norm_(parameters, max_norm).item()
    np.testing.assert_allclose(global_norm(np, grads), norm, rtol=1e-14)
    clipped = clip_by_global_norm(np, grads, max_norm)
    for mine, parameter in zip(leaves(clipped), parameters, strict=True):
        np.testing.assert_allclose(mine, parameter.grad.numpy(), rtol=1.1e-6 / norm)
