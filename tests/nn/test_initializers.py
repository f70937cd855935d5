"""Initial weights: variance, limits, draw order, and what is refused."""

import math

import numpy as np
import pytest

from xpmlp.errors import InputError
from xpmlp.nn.initializers import INITIALIZERS, SCALED, initialize

D, H = 200, 300
VARIANCES = {"xavier": 2 / (D + H), "he": 2 / D, "lecun": 1 / D}
LAWS = [(f"{name}_{law}", law, v) for name, v in VARIANCES.items() for law in ("normal", "uniform")]


def rng(seed=7):
    return np.random.default_rng(seed)


def test_the_laws_tested_are_all_there_are():
    assert {name for name, _, _ in LAWS} == set(SCALED)
    assert set(INITIALIZERS) == {"auto", "zeros", "normal", *SCALED}


@pytest.mark.parametrize(("init", "law", "variance"), LAWS)
def test_variance_within_five_standard_errors(init, law, variance):
    """The mean of n squares has the relative variance (kurtosis - 1)/n: 2/n, or 4/5n."""
    (layer,) = initialize(np, rng(), (D, H), init=init)
    error = math.sqrt((2.0 if law == "normal" else 0.8) / (D * H))
    assert abs(np.mean(layer.W**2) / variance - 1) < 5 * error
    assert abs(np.mean(layer.W)) < 5 * math.sqrt(variance / (D * H))


@pytest.mark.parametrize(("init", "law", "variance"), LAWS)
def test_limits(init, law, variance):
    """A uniform fills [-√(3v), √(3v)) up to its ends; a normal goes far beyond."""
    (layer,) = initialize(np, rng(), (D, H), init=init)
    limit = math.sqrt(3 * variance)
    if law == "normal":
        assert np.abs(layer.W).max() > 2 * limit
    else:
        assert -limit <= layer.W.min() < -0.999 * limit
        assert 0.999 * limit < layer.W.max() < limit


@pytest.mark.parametrize("init", INITIALIZERS)
def test_shapes_dtypes_and_determinism(init):
    first, again, other = (
        initialize(np, rng(seed), (5, 4, 3), init=init, bias_std=0.1) for seed in (1, 1, 2)
    )
    assert [layer.W.shape for layer in first] == [(5, 4), (4, 3)]
    assert [layer.b.shape for layer in first] == [(4,), (3,)]
    for mine, same, different in zip(first, again, other, strict=True):
        for i, leaf in enumerate(mine):
            assert leaf.dtype == np.float64
            np.testing.assert_array_equal(leaf, same[i])
        assert (mine.b != different.b).all()
        assert init == "zeros" or (mine.W != different.W).all()


def test_draws_come_layer_by_layer_first_W_then_b():
    layers = initialize(np, rng(), (3, 4, 2), init="normal", std=0.5, bias_std=2.0)
    hand = rng()
    for layer, (d, h) in zip(layers, [(3, 4), (4, 2)], strict=True):
        np.testing.assert_array_equal(layer.W, 0.5 * hand.standard_normal((d, h)))
        np.testing.assert_array_equal(layer.b, 2.0 * hand.standard_normal(h))


def test_uniform_draws_by_hand():
    layers = initialize(np, rng(), (3, 4, 2), init="lecun_uniform")
    hand = rng()
    for layer, (d, h) in zip(layers, [(3, 4), (4, 2)], strict=True):
        limit = math.sqrt(3 / d)
        np.testing.assert_allclose(layer.W, hand.uniform(-limit, limit, (d, h)), rtol=1e-14)


def test_zero_biases_draw_nothing():
    layers = initialize(np, rng(), (3, 4, 2), init="normal")
    hand = rng()
    for layer in layers:
        np.testing.assert_array_equal(layer.W, 0.01 * hand.standard_normal(layer.W.shape))
        assert not layer.b.any()


def test_legacy_generator_gives_the_assignments_weights():
    """`RandomState.standard_normal` and the assignments' `randn` draw the same numbers."""
    layers = initialize(np, np.random.RandomState(0), (4, 10, 3), init="normal", std=0.1)
    hand = np.random.RandomState(0)
    np.testing.assert_array_equal(layers[0].W, 0.1 * hand.randn(4, 10))
    np.testing.assert_array_equal(layers[1].W, 0.1 * hand.randn(10, 3))


def test_zeros():
    for layer in initialize(np, rng(), (3, 4, 2), init="zeros"):
        assert not layer.W.any()
        assert not layer.b.any()


@pytest.mark.parametrize(
    ("activation", "rule"),
    [(name, "xavier") for name in ("identity", "sigmoid", "tanh")]
    + [(name, "he") for name in ("relu", "leaky_relu", "elu", "softplus", "gelu", "silu")],
)
def test_auto_follows_the_activation_above_each_layer(activation, rule):
    """The layers below `activation`, below relu, and the output layer, in this order."""
    layers = initialize(np, rng(), (3, 5, 4, 2), activations=(activation, "relu"))
    hand = rng()
    variances = [2 / 8 if rule == "xavier" else 2 / 3, 2 / 5, 2 / 6]
    for layer, variance in zip(layers, variances, strict=True):
        drawn = math.sqrt(variance) * hand.standard_normal(layer.W.shape)
        np.testing.assert_allclose(layer.W, drawn, rtol=1e-14)


def test_unknown_name_lists_the_valid_ones():
    with pytest.raises(InputError) as caught:
        initialize(np, rng(), (3, 2), init="xavier")
    assert "'xavier'" in str(caught.value)
    assert all(name in str(caught.value) for name in INITIALIZERS)


@pytest.mark.parametrize("sizes", [(), (3,), (3, 0), (0, 2), (3, -1, 2)])
def test_impossible_sizes(sizes):
    with pytest.raises(InputError, match=r"layer sizes, each at least 1, got \["):
        initialize(np, rng(), sizes)


def test_smallest_net():
    (layer,) = initialize(np, rng(), (1, 1))
    assert layer.W.shape == (1, 1)
