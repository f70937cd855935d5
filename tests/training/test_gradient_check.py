"""The gradient check itself: what it skips, what it refuses, and that parts make the whole."""

import numpy as np
import pytest

from tests.conftest import load_or_skip
from xpmlp.errors import InputError
from xpmlp.nn.initializers import initialize
from xpmlp.training import gradient_check
from xpmlp.training.gradient_check import check_gradients
from xpmlp.types import Affine, Batch

BATCH = Batch(np.array([[1.0, 2.0]]), np.array([1]))


def net_with_a_kink() -> tuple[Affine, ...]:
    """Two hidden units: the first has z = 3e-6, so that ε = 1e-5 in its W or b crosses 0."""
    W = np.array([[3e-6, 0.4], [0.0, 0.3]])
    return Affine(W, np.zeros(2)), Affine(np.array([[0.5, -0.2], [0.7, 0.9]]), np.zeros(2))


def test_entries_whose_perturbation_crosses_a_kink_are_skipped(backend):
    options = {"activations": ["relu"], "loss": "softmax_cross_entropy"}
    checks = check_gradients(backend, net_with_a_kink(), BATCH, **options)
    assert [(c.name, c.entries, c.skipped) for c in checks] == [
        ("W1", 4, 2),
        ("b1", 2, 1),
        ("W2", 4, 0),
        ("b2", 2, 0),
    ]
    assert [c.verdict for c in checks] == ["CORRECT"] * 4
    smooth = check_gradients(
        backend, net_with_a_kink(), BATCH, **options | {"activations": ["elu"]}
    )
    assert sum(c.skipped for c in smooth) == 0


def test_under_l1_weights_next_to_zero_are_skipped(backend):
    """W1 has an entry at 3e-6 and one at 0; both change sign within ε, the others don't."""
    options = {"activations": ["tanh"], "loss": "softmax_cross_entropy", "l1": 0.1}
    checks = check_gradients(backend, net_with_a_kink(), BATCH, **options)
    assert [c.skipped for c in checks] == [2, 0, 0, 0]
    assert [c.verdict for c in checks] == ["CORRECT"] * 4


@pytest.mark.parametrize(
    ("loss", "target", "skipped"),
    [
        ("mean_absolute_error", 3e-6, 2),
        ("mean_absolute_error", -1.0, 0),
        ("huber", -1.0 + 3e-6, 2),
        ("huber", 1.0, 2),
        ("huber", 3e-6, 0),
        ("poisson", 3e-6, 0),
    ],
)
def test_errors_next_to_a_kink_of_the_loss_are_skipped(backend, loss, target, skipped):
    """Of two outputs of a linear net, both 0, the second has such a target; the first has 0.5."""
    net = (Affine(np.zeros((1, 2)), np.zeros(2)),)
    batch = Batch(np.ones((1, 1)), np.array([[0.5, target]]))
    checks = check_gradients(backend, net, batch, activations=[], loss=loss)
    assert sum(c.skipped for c in checks) == skipped
    assert [c.verdict for c in checks] == ["CORRECT"] * 2


def test_an_array_of_which_nothing_was_compared_is_not_correct():
    net = (Affine(np.array([[3e-6], [0.0]]), np.zeros(1)), Affine(np.ones((1, 2)), np.zeros(2)))
    checks = check_gradients(
        load_or_skip("numpy"), net, BATCH, activations=["relu"], loss="softmax_cross_entropy"
    )
    assert (checks[0].skipped, checks[0].verdict) == (2, "WRONG")


def test_a_few_entries_at_a_time_give_the_same_answer(monkeypatch):
    backend, rng = load_or_skip("numpy"), np.random.default_rng(0)
    params = initialize(np, rng, (4, 5, 3), bias_std=0.5)
    batch = Batch(rng.standard_normal((6, 4)), rng.integers(0, 3, 6))
    options = {"activations": ["tanh"], "loss": "softmax_cross_entropy", "l2": 0.1}
    whole = check_gradients(backend, params, batch, **options)
    monkeypatch.setattr(gradient_check, "MEMBER_ENTRIES", 45)
    parts = check_gradients(backend, params, batch, **options)
    assert [c.entries for c in parts] == [c.entries for c in whole] == [20, 5, 15, 3]
    for one, other in zip(whole, parts, strict=True):
        assert one.error == pytest.approx(other.error, rel=1e-3)


def test_float32_is_refused():
    backend = load_or_skip("numpy", "float32")
    with pytest.raises(InputError, match="central differences need float64"):
        check_gradients(
            backend, net_with_a_kink(), BATCH, activations=["relu"], loss="softmax_cross_entropy"
        )
