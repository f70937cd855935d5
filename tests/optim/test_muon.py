"""Muon: its iteration against the SVD, its step by hand and against PyTorch's, what it leaves."""

import numpy as np
import pytest

from tests.conftest import like, load_or_skip
from tests.nn.samples import leaves, random_params
from tests.optim.test_optimizers import DECAY, HYPER, MOMENTUM, RATE, gradients, run
from xpmlp.optim.muon import COEFFICIENTS, multiplications, orthogonalize
from xpmlp.runs.fitting import fit
from xpmlp.training.config import Config
from xpmlp.types import Affine, Hyper

SHAPES = [(5, 7), (7, 5), (6, 6), (1, 4), (4, 1), (40, 3), (3, 9, 4), (2, 3, 4, 9)]


def through(s):
    """The singular values after five iterations."""
    a, b, c = COEFFICIENTS
    for _ in range(5):
        s = a * s + b * s**3 + c * s**5
    return s


def matrices(shape):
    return np.random.default_rng(0).standard_normal(shape)


def norms(G):
    return np.linalg.norm(G, axis=(-2, -1), keepdims=True)


def orthogonal(backend, G):
    return backend.to_numpy(orthogonalize(backend.xp, backend.asarray(G)))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_singular_values_go_through_the_polynomial(backend, shape):
    """And the singular vectors stay."""
    G = matrices(shape)
    U, s, Vt = np.linalg.svd(G, full_matrices=False)
    expected = U * through(s / norms(G)[..., 0])[..., None, :] @ Vt
    np.testing.assert_allclose(orthogonal(backend, G), expected, rtol=0, atol=1e-13)


def test_from_a_500th_on_they_end_near_one():
    after = through(np.geomspace(0.002, 1.0, 100_001))
    assert (after.min(), after.max()) == pytest.approx((0.68183, 1.20237), abs=1e-5)
    assert through(np.geomspace(0.01, 1.0, 100_001)).max() == pytest.approx(1.13436, abs=1e-5)
    assert through(1e-6) == pytest.approx(1e-6 * COEFFICIENTS[0] ** 5)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_it_is_near_the_polar_factor(backend, shape):
    """UVᵀ, which is the nearest matrix with orthonormal rows or columns."""
    G = matrices(shape)
    U, s, Vt = np.linalg.svd(G, full_matrices=False)
    assert (s / norms(G)[..., 0]).min() > 0.01
    off = np.linalg.norm(orthogonal(backend, G) - U @ Vt, ord=2, axis=(-2, -1))
    assert off.max() < 1 - 0.68183


@pytest.mark.parametrize("shape", [(5, 7), (7, 5), (3, 9, 4)], ids=str)
def test_float32_stays_and_is_near(backend, shape):
    """A rounding grows by at most the slope at 0, 3.4445⁵ = 485."""
    ours = orthogonal(like(backend, "float32"), matrices(shape))
    assert ours.dtype == np.float32
    expected = orthogonal(load_or_skip("numpy"), matrices(shape))
    assert np.abs(ours - expected).max() < 485 * np.finfo(np.float32).eps


def test_the_size_of_a_matrix_does_not_count_from_1e_7_on(backend):
    G = matrices((4, 3))
    G /= norms(G)
    one = orthogonal(backend, G)
    for size in (1e-6, 1.0, 1e6):
        np.testing.assert_allclose(orthogonal(backend, size * G), one, rtol=1e-11)
    np.testing.assert_allclose(orthogonal(backend, 1e-12 * G), 485e-5 * G, rtol=1e-3)
    assert not orthogonal(backend, 0 * G).any()


def test_two_steps_by_hand(backend):
    """A hidden weight of one entry moves by its sign; the last layer and biases as AdamW says.

    g = 1 and then -3, from W = 0 with η = 0.1 and μ = 0.5: v = 1, then -2.5, and g + μv = 1.5,
    then -4.25.
    """
    zero = (Affine(np.zeros((1, 1)), np.zeros(1)),) * 2
    grads = [(Affine(np.full((1, 1), g), np.full(1, g)),) * 2 for g in (1.0, -3.0)]
    hyper = Hyper(*map(np.asarray, (0.1, 0.0, 0.0, 0.5)))
    (hidden, last), moments = run(backend, "muon", zero, grads, hyper)
    (half, _), _ = run(backend, "muon", zero, grads[:1], hyper)
    assert half.W.item() == pytest.approx(-0.1 * 0.2 * through(1.0), rel=1e-14)
    assert hidden.W.item() == pytest.approx(0.0, abs=1e-16)
    assert moments[0][0].W.item() == -2.5
    assert moments[1][0].W.item() == 0.0
    ((_, adams), _) = run(backend, "adamw", zero, grads, hyper)
    np.testing.assert_array_equal((*hidden.b, *last.W[0], *last.b), [adams.b.item()] * 3)


def test_the_step_of_wide_and_tall_weights_has_the_rms_of_adams(backend):
    """0.2 times that of the polar factor, whose columns or rows have length 1."""
    rng = np.random.default_rng(1)
    params = random_params(rng, (30, 4, 20, 2))
    zeros = tuple(Affine(0 * p.W, 0 * p.b) for p in params)
    moved, _ = run(backend, "muon", zeros, [params], HYPER._replace(l2=np.asarray(0.0)))
    for layer in moved[:-1]:
        rms = np.sqrt((layer.W**2).mean()) / RATE
        assert 0.2 * 0.68 < rms < 0.2 * 1.14


@pytest.mark.parametrize("dtype", ["bfloat16", "float64"])
def test_twenty_steps_of_torch(dtype, monkeypatch):
    """PyTorch iterates in bfloat16, which has 8 bits; told not to, it does what we do.

    Its weights are ours transposed, its momentum is ours times 1 - μ.
    """
    torch = pytest.importorskip("torch", reason="torch is not installed")
    if not hasattr(torch.optim, "Muon"):
        pytest.skip("this torch has no Muon")
    if dtype == "float64":
        monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    sizes = (6, 9, 4, 3)
    params = random_params(np.random.default_rng(0), sizes)
    grads = [random_params(np.random.default_rng(k + 1), sizes) for k in range(20)]
    hidden = [torch.tensor(layer.W.T, requires_grad=True) for layer in params[:-1]]
    biases = [torch.tensor(layer.b, requires_grad=True) for layer in params]
    last = torch.tensor(params[-1].W, requires_grad=True)
    muon = torch.optim.Muon(
        hidden, lr=RATE, weight_decay=DECAY, momentum=MOMENTUM, adjust_lr_fn="match_rms_adamw"
    )
    adamw = torch.optim.AdamW(
        [{"params": [last], "weight_decay": DECAY}, {"params": biases, "weight_decay": 0.0}],
        lr=RATE,
    )
    for grad in grads:
        for tensor, g in zip(hidden, grad, strict=False):
            tensor.grad = torch.tensor(g.W.T)
        for tensor, g in zip(biases, grad, strict=True):
            tensor.grad = torch.tensor(g.b)
        last.grad = torch.tensor(grad[-1].W)
        muon.step()
        adamw.step()

    ours, _ = run(load_or_skip("numpy"), "muon", params, grads)
    for mine, tensor in zip(
        [layer.b for layer in ours] + [ours[-1].W], [*biases, last], strict=True
    ):
        np.testing.assert_allclose(mine, tensor.detach().numpy(), rtol=1e-12)
    for mine, tensor, start in zip(ours, hidden, params, strict=False):
        moved = np.linalg.norm(mine.W - start.W)
        off = np.linalg.norm(mine.W - tensor.detach().numpy().T)
        assert off < (1e-11 if dtype == "float64" else 2**-6) * moved


def test_without_hidden_layers_it_is_adamw(backend):
    params = random_params(np.random.default_rng(0), (4, 3))
    grads = [random_params(np.random.default_rng(k), (4, 3)) for k in range(3)]
    ours, adams = (run(backend, name, params, grads) for name in ("muon", "adamw"))
    for mine, theirs in zip(leaves(ours), leaves(adams), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_the_numbers_of_its_adamw_can_be_chosen(backend):
    params, grads = random_params(np.random.default_rng(0), (3, 5, 2)), gradients(4)
    numbers = {"beta1": 0.8, "beta2": 0.5, "epsilon": 1e-3}
    (_, last), _ = run(backend, "muon", params, grads, **numbers)
    (_, theirs), _ = run(backend, "adamw", params, grads, **numbers)
    for mine, expected in zip(last, theirs, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-14)


def test_the_products_are_counted():
    """XᵀX, its square, and X times the sum of both, five times, by the smaller side."""
    assert multiplications([(784, 100), (100, 10)]) == 5 * (784 * 100**2 * 2 + 100**3)
    assert multiplications([(14, 384), (384, 384), (384, 2)]) == (
        5 * (2 * 384 * 14**2 + 14**3) + 5 * 3 * 384**3
    )


def test_it_learns_digits():
    config = Config(
        dataset="digits",
        hidden=(64, 32),
        optimizer="muon",
        learning_rate=0.02,
        momentum=0.95,
        batch_size=32,
        epochs=5,
    )
    assert fit(config).test.accuracy > 0.95
