"""Losses worked by hand, their gradients by differences, their weights, shapes and stability."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mean_poisson_deviance

from tests.conftest import like
from tests.nn.samples import TARGET_KINDS, central_differences, distance, random_targets
from xpmlp.nn.losses import LOSSES, one_hot, softmax, softmax_cross_entropy

LN2, LN3 = math.log(2.0), math.log(3.0)
LOSS_AND_KIND = [(loss, kind) for loss, kinds in TARGET_KINDS.items() for kind in kinds]
Z = np.array([[0.0, LN2, LN3], [0.0, 0.0, 0.0]])  # p = (1, 2, 3)/6 and (1, 1, 1)/3


def call(backend, loss, *arrays, **options):
    value, dz = LOSSES[loss].function(backend.xp, *backend.put(arrays), **options)
    return backend.to_numpy(value), backend.to_numpy(dz)


def check(backend, assert_matches, loss, arrays, expected, **options):
    value, dz = LOSSES[loss].function(backend.xp, *backend.put(arrays), **options)
    assert_matches(backend, value, np.array(expected[0]), scale=8)
    assert_matches(backend, dz, np.array(expected[1]), scale=8)


def test_softmax_cross_entropy_by_hand(backend, assert_matches):
    expected = (LN2 + LN3) / 2, [[1 / 12, 1 / 6, -1 / 4], [-1 / 3, 1 / 6, 1 / 6]]
    for t in (np.array([2, 0]), np.eye(3)[[2, 0]]):
        check(backend, assert_matches, "softmax_cross_entropy", (Z, t), expected)


def test_soft_targets_by_hand(backend, assert_matches):
    t = np.array([[0.5, 0.5, 0.0]])
    expected = 0.5 * math.log(6) + 0.5 * LN3, [[1 / 6 - 0.5, 1 / 3 - 0.5, 0.5]]
    check(backend, assert_matches, "softmax_cross_entropy", (Z[:1], t), expected)


def test_label_smoothing_by_hand(backend, assert_matches):
    """s = 0.3 over three classes turns (0, 0, 1) into (0.1, 0.1, 0.8)."""
    loss = 0.1 * math.log(6) + 0.1 * LN3 + 0.8 * LN2
    expected = loss, [[1 / 6 - 0.1, 1 / 3 - 0.1, 0.5 - 0.8]]
    for t in (np.array([2]), np.array([[0.0, 0.0, 1.0]])):
        check(
            backend,
            assert_matches,
            "softmax_cross_entropy",
            (Z[:1], t),
            expected,
            label_smoothing=0.3,
        )


def test_label_smoothing_of_one_forgets_the_target(backend):
    first = call(backend, "softmax_cross_entropy", Z, np.array([0, 1]), label_smoothing=1.0)
    second = call(backend, "softmax_cross_entropy", Z, np.array([2, 2]), label_smoothing=1.0)
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


def test_binary_cross_entropy_by_hand(backend, assert_matches):
    """p = 3/4 at z = ln 3, and 1/2 at z = 0."""
    z, t = np.array([[LN3], [LN3], [0.0]]), np.array([[1.0], [0.0], [0.5]])
    expected = (
        (math.log(4 / 3) + math.log(4) + LN2) / 3,
        [[-1 / 12], [1 / 4], [0.0]],
    )
    check(backend, assert_matches, "binary_cross_entropy", (z, t), expected)


def test_multilabel_sums_over_outputs(backend, assert_matches):
    z, t = np.array([[LN3, 0.0, -LN3]]), np.array([[1.0, 1.0, 1.0]])
    expected = math.log(4 / 3) + LN2 + math.log(4), [[-1 / 4, -1 / 2, -3 / 4]]
    check(backend, assert_matches, "binary_cross_entropy", (z, t), expected)


def test_mean_squared_error_by_hand(backend, assert_matches):
    z, t = np.array([[1.0, 2.0], [0.0, 1.0]]), np.array([[3.0, -1.0], [0.0, 0.0]])
    expected = (6.5 + 0.5) / 2, [[-1.0, 1.5], [0.0, 0.5]]
    check(backend, assert_matches, "mean_squared_error", (z, t), expected)


def test_mean_absolute_error_by_hand(backend, assert_matches):
    z, t = np.array([[1.0, 2.0], [0.0, 1.0]]), np.array([[3.0, -1.0], [0.0, 0.0]])
    expected = (5.0 + 1.0) / 2, [[-0.5, 0.5], [0.0, 0.5]]
    check(backend, assert_matches, "mean_absolute_error", (z, t), expected)


def test_huber_by_hand(backend, assert_matches):
    """Errors of -2 and ½, and of ±1, where the two branches meet."""
    z, t = np.array([[1.0, 1.0], [1.0, -1.0]]), np.array([[3.0, 0.5], [0.0, 0.0]])
    expected = (1.5 + 0.125 + 0.5 + 0.5) / 2, [[-0.5, 0.25], [0.5, -0.5]]
    check(backend, assert_matches, "huber", (z, t), expected)


def test_poisson_by_hand(backend, assert_matches):
    """Means of 1 and 3 for counts of 1 and 0, and of 2 and ½ for 4 and 0."""
    z, t = np.array([[0.0, LN3], [LN2, -LN2]]), np.array([[1.0, 0.0], [4.0, 0.0]])
    expected = (0.0 + 3.0 + 4 * LN2 - 2.0 + 0.5) / 2, [[0.0, 1.5], [-1.0, 0.25]]
    check(backend, assert_matches, "poisson", (z, t), expected)


@pytest.mark.parametrize("weighted", [False, True])
def test_poisson_is_half_the_deviance_of_scikit_learn(backend, assert_matches, weighted):
    rng = np.random.default_rng(6)
    z, t = rng.standard_normal((50, 3)), random_targets(rng, "counts", (50, 3))
    weights = rng.uniform(0.5, 2.0, 50) if weighted else None
    expected = sum(
        mean_poisson_deviance(t[:, o], np.exp(z[:, o]), sample_weight=weights) / 2 for o in range(3)
    )
    value, _ = LOSSES["poisson"].function(backend.xp, *backend.put((z, t, weights)))
    assert_matches(backend, value, np.array(expected))


@pytest.mark.parametrize("count", [1e-3, 1.0, 1e3, 1e6])
def test_large_counts_keep_their_digits(backend, count):
    """In float32 a mean of a hundredth more costs count/20000, and a perfect one nothing."""
    exact_backend, backend = backend, like(backend, "float32")
    t = np.array([[count]], dtype=np.float32).astype(float)
    z = np.log(1.01 * t).astype(np.float32).astype(float)
    expected = call(exact_backend, "poisson", z, t)[0]
    np.testing.assert_allclose(expected, count * (0.01 - np.log(1.01)), rtol=1e-3)
    np.testing.assert_allclose(call(backend, "poisson", z, t)[0], expected, rtol=5e-4)
    perfect = call(backend, "poisson", np.log(t), t)[0]
    assert abs(perfect) < 1e-6 * max(count * 1e-6, 1e-3)


def test_row_weights_by_hand(backend, assert_matches):
    """Weights (1, 3): a quarter and three quarters of the rows' own losses and gradients."""
    arrays = Z, np.array([2, 0]), np.array([1.0, 3.0])
    expected = LN2 / 4 + 3 * LN3 / 4, [[1 / 24, 1 / 12, -1 / 8], [-1 / 2, 1 / 4, 1 / 4]]
    check(backend, assert_matches, "softmax_cross_entropy", arrays, expected)


@pytest.mark.parametrize(("loss", "kind"), LOSS_AND_KIND)
def test_what_weights_mean(backend, loss, kind):
    rng = np.random.default_rng(3)
    z, t = 2 * rng.standard_normal((4, 3)), random_targets(rng, kind, (4, 3))

    plain, dz = call(backend, loss, z, t)
    ones, dz_ones = call(backend, loss, z, t, np.ones(4))
    np.testing.assert_allclose(ones, plain, rtol=1e-14)
    np.testing.assert_allclose(dz_ones, dz, rtol=1e-13)

    twice, dz_twice = call(backend, loss, z, t, np.array([1.0, 2.0, 1.0, 1.0]))
    index = [0, 1, 1, 2, 3]
    repeated, dz_repeated = call(backend, loss, z[index], t[index])
    np.testing.assert_allclose(twice, repeated, rtol=1e-14)
    np.testing.assert_allclose(dz_twice[1], dz_repeated[1] + dz_repeated[2], rtol=1e-13)
    np.testing.assert_allclose(dz_twice[[0, 2, 3]], dz_repeated[[0, 3, 4]], rtol=1e-13)

    muted, dz_muted = call(backend, loss, z, t, np.array([1.0, 1.0, 0.0, 1.0]))
    index = [0, 1, 3]
    absent, dz_absent = call(backend, loss, z[index], t[index])
    np.testing.assert_allclose(muted, absent, rtol=1e-14)
    np.testing.assert_allclose(dz_muted[index], dz_absent, rtol=1e-13)
    assert not dz_muted[2].any()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize(("loss", "kind"), LOSS_AND_KIND)
def test_gradient_matches_central_differences(loss, kind, smoothing, weighted):
    options = {"label_smoothing": smoothing} if loss == "softmax_cross_entropy" else {}
    rng = np.random.default_rng(4)
    z, t = 2 * rng.standard_normal((4, 3)), random_targets(rng, kind, (4, 3))
    weights = np.array([0.5, 2.0, 0.0, 1.0]) if weighted else None

    def value(at):
        return LOSSES[loss].function(np, at, t, weights, **options)[0]

    _, dz = LOSSES[loss].function(np, z, t, weights, **options)
    assert distance(dz, central_differences(value, z)) < 1e-9


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("loss", "kind"), LOSS_AND_KIND)
def test_leading_axes_are_losses_of_their_own(backend, loss, kind, weighted, shared):
    """Logits (2, 3, N, C) with targets and weights of every member, or shared by all."""
    rng = np.random.default_rng(5)
    lead = () if shared else (2, 3)
    z, t = rng.standard_normal((2, 3, 4, 5)), random_targets(rng, kind, (*lead, 4, 5))
    weights = rng.uniform(0.5, 2.0, (*lead, 4)) if weighted else None
    values, dz = call(backend, loss, z, t, weights)
    assert values.shape == (2, 3)
    assert dz.shape == z.shape
    for member in np.ndindex(2, 3):
        own = () if shared else member
        single = call(
            backend, loss, z[member], t[own], weights if shared or weights is None else weights[own]
        )
        np.testing.assert_allclose(values[member], single[0], rtol=1e-14)
        np.testing.assert_allclose(dz[member], single[1], rtol=1e-12, atol=1e-16)


def extreme_case(kind):
    """All pairs of ±1e4 and 0 as logits, with every target that the pair may have.

    Under the exponential of counts 80 stands for 1e4: e⁸⁹ is more than float32 can hold.
    """
    z = np.array([[a, b] for a in (1e4, 0.0, -1e4) for b in (1e4, 0.0, -1e4)])
    targets = {
        "classes": [np.full(9, c) for c in (0, 1)],
        "one-hot": [np.eye(2)[np.full(9, c)] for c in (0, 1)],
        "soft": [np.full((9, 2), 0.5)],
        "binary": [np.full((9, 2), value) for value in (0.0, 1.0)],
        "probabilities": [np.full((9, 2), 0.25)],
        "real": [np.full((9, 2), value) for value in (-1e4, 1e4)],
        "counts": [np.full((9, 2), value) for value in (0.0, 1.0)],
    }[kind]
    if kind == "counts":
        z = np.minimum(z, 80.0)
    return np.concatenate([z] * len(targets)), np.concatenate(targets)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("loss", "kind"), LOSS_AND_KIND)
def test_extreme_logits_in_float32(backend, loss, kind, weighted):
    """Finite, without a warning, right, and in float32 throughout."""
    exact_backend, backend = backend, like(backend, "float32")
    z, t = extreme_case(kind)
    weights = np.ones(len(z)) if weighted else None
    options = {"label_smoothing": 0.1} if loss == "softmax_cross_entropy" else {}
    arrays = backend.put((z, t, weights))
    value, dz = LOSSES[loss].function(backend.xp, *arrays, **options)
    p = LOSSES[loss].predict(backend.xp, arrays[0])
    assert value.dtype == dz.dtype == p.dtype == arrays[0].dtype
    value, dz, p = backend.fetch((value, dz, p))
    assert np.isfinite(value)
    assert np.isfinite(dz).all()
    assert np.isfinite(p).all()

    expected, expected_dz = call(exact_backend, loss, z, t, weights, **options)
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    np.testing.assert_allclose(dz, expected_dz, rtol=1e-6, atol=1e-7)


def test_confident_mistakes_cost_their_margin(backend):
    """At logits ±1e4 the losses are linear in the margin, and free where right."""
    backend = like(backend, "float32")
    z = np.array([[1e4, -1e4]])
    assert call(backend, "softmax_cross_entropy", z, np.array([1]))[0] == 2e4
    assert call(backend, "softmax_cross_entropy", z, np.array([0]))[0] == 0.0
    assert call(backend, "binary_cross_entropy", z, np.array([[0.0, 1.0]]))[0] == 2e4
    assert call(backend, "binary_cross_entropy", z, np.array([[1.0, 0.0]]))[0] == 0.0


def test_far_errors_cost_their_size(backend):
    """At errors of ±1e30 nothing is squared; no Poisson mean is too small for a count."""
    backend, zeros = like(backend, "float32"), np.zeros((1, 2))
    z = np.array([[1e30, -1e30]], dtype=np.float32)
    for loss in ("mean_absolute_error", "huber"):
        value, dz = call(backend, loss, z, zeros)
        assert value == 2 * z[0, 0]
        assert dz.tolist() == [[1.0, -1.0]]
    value, dz = call(backend, "poisson", np.array([[-1e4, -1e4]]), np.array([[0.0, 1.0]]))
    assert value == 1e4 - 1
    assert dz.tolist() == [[0.0, -1.0]]


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_one_hot(backend, assert_matches, dtype):
    like = backend.asarray(np.zeros((3, 4)))
    y = backend.asarray(np.array([3, 0, 2], dtype=dtype))
    expected = np.array([[0.0, 0, 0, 1], [1, 0, 0, 0], [0, 0, 1, 0]])
    assert_matches(backend, one_hot(backend.xp, y, 4, like), expected)


def test_one_hot_of_an_index_out_of_range_is_a_row_of_zeros(backend, assert_matches):
    like = backend.asarray(np.zeros((1, 1), dtype=np.float64))
    y = backend.asarray(np.array([[-1, 1], [3, 0]]))
    expected = np.array([[[0.0, 0, 0], [0, 1, 0]], [[0, 0, 0], [1, 0, 0]]])
    assert_matches(backend, one_hot(backend.xp, y, 3, like), expected)


def test_predictions(backend, assert_matches):
    def predict(loss, z):
        return LOSSES[loss].predict(backend.xp, backend.asarray(z))

    thirds = np.array([[1 / 6, 1 / 3, 1 / 2], [1 / 3, 1 / 3, 1 / 3]])
    assert_matches(backend, predict("softmax_cross_entropy", Z), thirds, scale=4)
    odds = np.array([[1 / 2, 2 / 3, 3 / 4], [1 / 2, 1 / 2, 1 / 2]])
    assert_matches(backend, predict("binary_cross_entropy", Z), odds, scale=4)
    for loss in ("mean_squared_error", "mean_absolute_error", "huber"):
        assert_matches(backend, predict(loss, Z), Z, scale=1)
    means = np.array([[1.0, 2.0, 3.0], [1.0, 1.0, 1.0]])
    assert_matches(backend, predict("poisson", Z), means, scale=4)
    members = np.stack([Z, Z[::-1]])
    both = np.stack([thirds, thirds[::-1]])
    assert_matches(backend, predict("softmax_cross_entropy", members), both, scale=4)


dyadic = st.integers(-20_000, 20_000).map(lambda n: n / 1024)


@given(z=st.lists(dyadic, min_size=1, max_size=6), shift=dyadic, data=st.data())
@settings(deadline=None)
def test_softmax_ignores_a_shift(z, shift, data):
    """Multiples of 2⁻¹⁰ add exactly, so that even the bits must be equal."""
    t = np.array([data.draw(st.integers(0, len(z) - 1))])
    here, there = np.array([z]), np.array([z]) + shift
    p = softmax(np, here)
    np.testing.assert_array_equal(softmax(np, there), p)
    np.testing.assert_allclose(p.sum(), 1.0, rtol=1e-15)
    value, dz = softmax_cross_entropy(np, here, t)
    moved, dz_moved = softmax_cross_entropy(np, there, t)
    assert moved == value
    np.testing.assert_array_equal(dz_moved, dz)
    np.testing.assert_allclose(value, -np.log(p[0, t[0]]), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(dz.sum(), 0.0, atol=1e-15)


def test_the_samples_have_targets_for_every_loss():
    assert set(TARGET_KINDS) == set(LOSSES)
