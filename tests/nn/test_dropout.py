"""Dropout: the masks are as random as they should be, and the same everywhere."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import like
from tests.nn.samples import random_params
from xpmlp.errors import InputError
from xpmlp.nn.dropout import dropout_rates, masks, mix
from xpmlp.nn.network import forward, loss_and_grads
from xpmlp.types import Affine, Batch

U = np.uint32


def lowbias32(x):
    """The hash as its author has it, on unsigned numbers."""
    x = x ^ (x >> U(16))
    x = x * U(0x7FEB352D)
    x = x ^ (x >> U(15))
    x = x * U(0x846CA68B)
    return x ^ (x >> U(16))


def keeps(p, n, width, step, seed, first=0):
    """Which units stay, (n, width), by unsigned arithmetic; `first` counts those of layers below.

    As a signed number x is less than 2³¹ - p 2³² where x + 2³¹, unsigned, is less than (1 - p) 2³².
    """
    rows = np.arange(n, dtype=U)[:, None]
    r = lowbias32(U(seed % 2**32) ^ lowbias32(U(step) + rows * U(0x9E3779B9)))
    u = lowbias32(np.arange(first, first + width, dtype=U))
    x = (r ^ u) * (U(2) * r + U(1))
    return (x + U(2**31)).astype(np.float64) < (1 - p) * 2**32


def net(*sizes):
    return random_params(np.random.default_rng(0), sizes)


def masks_of(backend, rates, sizes, n, step, seed):
    x = backend.asarray(np.zeros((n, sizes[0])))
    numbers = backend.put((np.asarray(step), np.asarray(seed, np.int32)))
    made = backend.compile(lambda xp: lambda p, x, *rest: masks(xp, rates, p, x, *rest))(
        backend.put(net(*sizes)), x, *numbers
    )
    return backend.fetch(made)


def draws(p=0.5, n=40, width=50, steps=600, seed=1, first=0):
    """Standardised masks (steps, n, width): of mean 0 and variance 1, and independent."""
    x, layers = np.zeros((n, 1)), net(1, *([first] if first else []), width, 1)
    rates = (*([0.0] if first else []), p)
    made = (masks(np, rates, layers, x, np.asarray(t), np.asarray(seed))[-1] for t in range(steps))
    kept = np.stack(list(made)) > 0
    return (kept - (1 - p)) / np.sqrt(p * (1 - p))


def assert_standard(z):
    """Sums z that are standard normal if all is independent: by chi-square, and the largest."""
    z = np.asarray(z).ravel()
    assert abs((z**2).sum() - z.size) < 5 * np.sqrt(2 * z.size)
    assert np.abs(z).max() < 6.5


def test_the_hash_is_its_authors(backend):
    x = np.random.default_rng(0).integers(-(2**31), 2**31, 10**6).astype(np.int32)
    x[:4] = (0, 1, -(2**31), 2**31 - 1)
    with backend.running():
        ours = backend.to_numpy(mix(backend.xp.astype(backend.asarray(x), backend.xp.int32)))
    assert ours.dtype == np.int32
    np.testing.assert_array_equal(ours.view(U), lowbias32(x.view(U)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", [0, -(2**31), 123456789])
@pytest.mark.parametrize("step", [0, 7, 2**31 - 1])
def test_every_backend_draws_the_masks_of_unsigned_arithmetic(backend, dtype, seed, step):
    rates, sizes, n = (0.5, 0.0, 0.1), (3, 40, 7, 30, 2), 20
    one, two, three = masks_of(like(backend, dtype), rates, sizes, n, step, seed)
    assert two is None
    assert one.dtype == three.dtype == dtype
    for p, mask, first in ((0.5, one, 0), (0.1, three, 47)):
        expected = keeps(p, n, mask.shape[1], step, seed, first)
        np.testing.assert_array_equal(
            mask, expected.astype(dtype) * np.dtype(dtype).type(1 / (1 - p))
        )


def test_members_draw_by_their_own_seeds(backend):
    seeds = [5, -6, 5]
    (together,) = masks_of(backend, (0.4,), (3, 9, 2), 8, 3, seeds)
    assert together.shape == (3, 8, 9)
    for seed, mask in zip(seeds, together, strict=True):
        np.testing.assert_array_equal(mask, masks_of(backend, (0.4,), (3, 9, 2), 8, 3, seed)[0])
    assert (together[0] != together[1]).any()


@pytest.mark.parametrize(("p", "share"), [(1e-12, 1.0), (1 - 1e-12, 0.0)])
def test_rates_at_the_ends(p, share):
    (mask,) = masks(np, (p,), net(1, 50, 1), np.zeros((50, 1)), np.asarray(0), np.asarray(0))
    assert np.mean(mask > 0) == share
    assert np.isfinite(mask).all()


@pytest.mark.parametrize("p", [0.5, 0.1, 0.9])
@pytest.mark.parametrize("seed", [1, 2**31 - 1])
def test_a_million_draws_have_the_right_mean_and_no_pattern(p, seed):
    z = draws(p, seed=seed)
    steps, n, width = z.shape
    assert_standard(z.sum() / np.sqrt(z.size))
    assert_standard(z.sum(axis=0) / np.sqrt(steps))
    assert_standard(z.sum(axis=(1, 2)) / np.sqrt(n * width))
    assert_standard(z.sum(axis=(0, 1)) / np.sqrt(steps * n))
    assert_standard(z.sum(axis=(0, 2)) / np.sqrt(steps * width))
    units = np.einsum("tnj,tnk->jk", z, z, optimize=True)[np.triu_indices(width, 1)]
    assert_standard(units / np.sqrt(steps * n))
    rows = np.einsum("tnj,tmj->nm", z, z, optimize=True)[np.triu_indices(n, 1)]
    assert_standard(rows / np.sqrt(steps * width))
    for lag in (1, 2, 16):
        for pairs in (z[lag:] * z[:-lag], z[lag:, lag:] * z[:-lag, :-lag]):
            assert_standard(pairs.sum(axis=(1, 2)) / np.sqrt(pairs[0].size))


def test_no_rectangle_of_rows_and_units_is_tied():
    """Where row and unit would meet in a sum, or a xor, alone, four of them would be dependent."""
    z = draws()
    for i, j in combinations(range(5), 2):
        pairs = z[:, i, :] * z[:, j, :]
        assert_standard((pairs[:, ::2] * pairs[:, 1::2]).sum(axis=1) / np.sqrt(25))


def test_layers_and_seeds_are_independent():
    z = draws()
    for other in (draws(first=50), draws(seed=2), draws(seed=-1)):
        assert_standard((z * other).sum(axis=0) / np.sqrt(len(z)))
        assert_standard((z * other).sum(axis=(1, 2)) / np.sqrt(z[0].size))


@settings(max_examples=20, deadline=None)
@given(
    p=st.floats(0.0, 0.9, exclude_min=True),
    seed=st.integers(-(2**31), 2**31 - 1),
    start=st.integers(0, 10**6),
)
def test_dropped_activations_are_on_average_the_activations(p, seed, start):
    """After S steps the mean of a m/(1-p) has the standard deviation |a| √(p / (1-p)S)."""
    params, x, steps = net(3, 6, 2), np.random.default_rng(1).standard_normal((4, 3)), 500
    _, (plain,) = forward(np, params, x, ("tanh",))
    total = 0.0
    for t in range(start, start + steps):
        drawn = masks(np, (p,), params, x, np.asarray(t), np.asarray(seed))
        total = total + forward(np, params, x, ("tanh",), drawn)[1][0].out
    distance = total / steps - plain.a
    deviation = np.abs(plain.a) * np.sqrt(p / (1 - p) / steps) + 1 / steps / (1 - p)
    assert np.abs(distance / deviation).max() < 7.0
    assert (plain.out == plain.a).all()


def test_a_net_worked_by_hand(backend):
    """x = 2, hidden a = z = (2, 4) of which the second unit is dropped, the first doubled.

    The output is 4·3 + 1 = 13; against t = 11 the loss is ½·2² = 2 and dz = 2. So dV = (4, 0)·2,
    da = 2·(3, 5) ⊙ (2, 0) = (12, 0), dW = 2·(12, 0).
    """
    params = (
        Affine(np.array([[1.0, 2.0]]), np.array([0.0, 0.0])),
        Affine(np.array([[3.0], [5.0]]), np.array([1.0])),
    )
    params, batch, mask = backend.put(
        (params, Batch(np.array([[2.0]]), np.array([[11.0]])), np.array([[2.0, 0.0]]))
    )
    result = loss_and_grads(
        backend.xp,
        params,
        batch,
        activations=("identity",),
        loss="mean_squared_error",
        masks=(mask,),
    )
    loss, logits, (hidden, output) = backend.fetch((result.loss, result.logits, result.grads))
    assert (loss, logits.item()) == (2.0, 13.0)
    assert output.W.tolist() == [[8.0], [0.0]]
    assert output.b.tolist() == [2.0]
    assert hidden.W.tolist() == [[24.0, 0.0]]
    assert hidden.b.tolist() == [12.0, 0.0]


def test_rates_per_layer():
    assert dropout_rates((0.5,), 3) == (0.5,) * 3
    assert dropout_rates((0.0, 0.2), 2) == (0.0, 0.2)
    assert dropout_rates((0.0, 0.0), 2) == dropout_rates((0.5,), 0) == ()
    with pytest.raises(InputError, match="3 values of dropout for 2 hidden layers; give one for"):
        dropout_rates((0.1,) * 3, 2)
