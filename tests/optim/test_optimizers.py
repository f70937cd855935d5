"""Every optimiser against PyTorch's, on every backend and dtype, by hand, and pure."""

import numpy as np
import pytest

from tests.conftest import like, load_or_skip
from tests.nn.samples import leaves, lock_numpy, random_params, snapshot
from xpmlp.optim import OPTIMIZERS, adam
from xpmlp.types import Affine, Hyper

SIZES = (3, 5, 2)
RATE, DECAY, MOMENTUM = 0.01, 0.1, 0.9
DECOUPLED = ("adamw", "muon")
HYPER = Hyper(*map(np.asarray, (RATE, DECAY, 0.0, MOMENTUM)))


def gradients(steps, seed=1):
    rng = np.random.default_rng(seed)
    return [random_params(rng, SIZES) for _ in range(steps)]


def run(backend, name, params, grads, hyper=HYPER, **options):
    """Take one step for each gradient and return the parameters and moments on the host."""
    init, update = OPTIMIZERS[name][:2]
    params, hyper = backend.put(params), backend.put(hyper)
    moments = init(backend.xp, params)
    for i, grad in enumerate(grads):
        step = backend.asarray(np.asarray(i))
        grad = backend.put(grad)
        params, moments = update(backend.xp, params, grad, moments, step, hyper, **options)
    return backend.fetch((params, moments))


TORCH = {
    "sgd": ("SGD", {}),
    "momentum": ("SGD", {"momentum": MOMENTUM}),
    "nesterov": ("SGD", {"momentum": MOMENTUM, "nesterov": True}),
    "rmsprop": ("RMSprop", {"alpha": 0.99, "eps": 1e-8}),
    "adam": ("Adam", {"betas": (0.9, 0.999), "eps": 1e-8}),
    "adamw": ("AdamW", {"betas": (0.9, 0.999), "eps": 1e-8}),
}


@pytest.mark.parametrize("name", TORCH)
def test_thirty_steps_of_torch(name):
    """AdamW decays the weights alone; the gradients span six orders of magnitude."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    params = random_params(np.random.default_rng(0), SIZES)
    scales = np.logspace(-5, 1, 30)
    grads = [
        tuple(Affine(scale * g.W, scale * g.b) for g in grad)
        for scale, grad in zip(scales, gradients(30), strict=True)
    ]
    theirs = [[torch.tensor(leaf, requires_grad=True) for leaf in layer] for layer in params]
    class_name, options = TORCH[name]
    groups = [{"params": [W for W, _ in theirs]}, {"params": [b for _, b in theirs]}]
    if name == "adamw":
        groups[0]["weight_decay"] = DECAY
        groups[1]["weight_decay"] = 0.0
    optimizer = getattr(torch.optim, class_name)(groups, lr=RATE, **options)
    for grad in grads:
        for layer, g in zip(theirs, grad, strict=True):
            layer[0].grad, layer[1].grad = torch.tensor(g.W), torch.tensor(g.b)
        optimizer.step()

    ours, _ = run(load_or_skip("numpy"), name, params, grads)
    expected = [leaf for layer in theirs for leaf in layer]
    for mine, torchs in zip(leaves(ours), expected, strict=True):
        np.testing.assert_allclose(mine, torchs.detach().numpy(), rtol=1e-12, atol=0)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_fifty_steps_on_every_backend(backend, name, dtype):
    """NumPy in float64 is the reference; each array may be off by 64 roundings of its largest."""
    params, grads = random_params(np.random.default_rng(2), SIZES), gradients(50)
    reference = run(load_or_skip("numpy"), name, params, grads)
    result = run(like(backend, dtype), name, params, grads)
    for actual, expected in zip(leaves(result), leaves(reference), strict=True):
        assert actual.dtype == dtype
        error = np.abs(actual - expected).max()
        assert error <= 64 * np.finfo(dtype).eps * np.abs(expected).max()


def test_two_steps_by_hand(backend):
    """g = 1 and then 2, from W = 0 with η = 0.1 and μ = 0.5."""

    def after(name):
        zero = (Affine(np.zeros((1, 1)), np.zeros(1)),)
        grads = [(Affine(np.full((1, 1), g), np.full(1, g)),) for g in (1.0, 2.0)]
        hyper = Hyper(*map(np.asarray, (0.1, 0.0, 0.0, 0.5)))
        (layer,), _ = run(backend, name, zero, grads, hyper)
        np.testing.assert_array_equal(layer.W[0], layer.b)
        return layer.b.item()

    assert after("sgd") == pytest.approx(-0.1 * (1 + 2), rel=1e-15)
    assert after("momentum") == pytest.approx(-0.1 * (1 + 2.5), rel=1e-15)
    assert after("nesterov") == pytest.approx(-0.1 * (1.5 + 3.25), rel=1e-15)
    v = 0.99 * 0.01 + 0.01 * 4
    assert after("rmsprop") == pytest.approx(-0.1 * (1 / 0.1 + 2 / v**0.5), rel=1e-6)
    m, v = (0.09 + 0.2) / 0.19, (0.999 * 0.001 + 0.001 * 4) / (1 - 0.999**2)
    assert after("adam") == pytest.approx(-0.1 * (1 + m / v**0.5), rel=1e-6)


@pytest.mark.parametrize("beta1", [0.0, 0.6])
@pytest.mark.parametrize("beta2", [0.0, 0.95])
def test_adam_with_other_numbers_is_torchs(backend, beta1, beta2):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    params, grads = random_params(np.random.default_rng(0), SIZES), gradients(20)
    theirs = [torch.tensor(leaf, requires_grad=True) for layer in params for leaf in layer]
    optimizer = torch.optim.Adam(theirs, lr=RATE, betas=(beta1, beta2), eps=1e-3)
    for grad in grads:
        for tensor, leaf in zip(theirs, (leaf for layer in grad for leaf in layer), strict=True):
            tensor.grad = torch.tensor(leaf)
        optimizer.step()
    numbers = {"beta1": beta1, "beta2": beta2, "epsilon": 1e-3}
    assert OPTIMIZERS["adam"].options == tuple(numbers)
    ours, _ = run(backend, "adam", params, grads, **numbers)
    for mine, tensor in zip((leaf for layer in ours for leaf in layer), theirs, strict=True):
        np.testing.assert_allclose(mine, tensor.detach().numpy(), rtol=1e-11)


@pytest.mark.parametrize("name", DECOUPLED)
def test_decoupled_decay_is_of_weights_only_and_by_the_rate(backend, name):
    """With a zero gradient W shrinks by 1 - η l2 a step, and b stays."""
    params = random_params(np.random.default_rng(3), SIZES)
    zeros = tuple(Affine(np.zeros_like(p.W), np.zeros_like(p.b)) for p in params)
    result, _ = run(backend, name, params, [zeros] * 3)
    for layer, start in zip(result, params, strict=True):
        np.testing.assert_allclose(layer.W, start.W * (1 - RATE * DECAY) ** 3, rtol=1e-14)
        np.testing.assert_array_equal(layer.b, start.b)


@pytest.mark.parametrize("epsilon", [1e-8, 1e-2])
def test_adam_epsilon_hat_is_scikit_learns(backend, epsilon):
    scikit_learns = pytest.importorskip("sklearn.neural_network._stochastic_optimizers")
    params, grads = random_params(np.random.default_rng(0), SIZES), gradients(20)
    theirs = [np.array(leaf) for leaf in leaves(params)]
    optimizer = scikit_learns.AdamOptimizer(theirs, RATE, 0.8, 0.95, epsilon)
    for grad in grads:
        optimizer.update_params(theirs, list(leaves(grad)))
    numbers = {"beta1": 0.8, "beta2": 0.95, "epsilon": epsilon}
    ours, _ = run(backend, "adam_epsilon_hat", params, grads, **numbers)
    for mine, expected in zip(leaves(ours), theirs, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-11)


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name not in DECOUPLED])
def test_the_others_leave_l2_to_the_gradients(name):
    assert all(OPTIMIZERS[other].decoupled_l2 for other in DECOUPLED)
    assert not OPTIMIZERS[name].decoupled_l2
    backend, params = load_or_skip("numpy"), random_params(np.random.default_rng(4), SIZES)
    without = HYPER._replace(l2=np.asarray(0.0))
    decayed, plain = (run(backend, name, params, gradients(3), h) for h in (HYPER, without))
    for one, other in zip(leaves(decayed), leaves(plain), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_bias_correction_of_the_first_step_in_float32(backend, name):
    """m̂ = g and v̂ = g² at first, so the step is ηg/(|g| + ε), off by roundings alone.

    The plain 1 - 0.999 in float32 would put √v̂ off by 2e-5.
    """
    backend = like(backend, "float32")
    zero = tuple(Affine(0 * g.W, 0 * g.b) for g in gradients(1)[0])
    hyper = Hyper(*map(np.asarray, (1.0, 0.0, 0.0, 0.0)))
    grads = gradients(1)
    result, moments = run(backend, name, zero, grads, hyper)
    eps = np.finfo(np.float32).eps
    for step, m, g in zip(leaves(result), leaves(moments[0]), leaves(grads[0]), strict=True):
        np.testing.assert_allclose(step, -g / (np.abs(g) + 1e-8), rtol=8 * eps)
        m_hat = m / np.float32(-np.expm1(np.log(adam.BETA1)))
        np.testing.assert_allclose(m_hat, g, rtol=8 * eps)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_zero_gradients_leave_the_parameters(backend, name):
    params = random_params(np.random.default_rng(5), SIZES)
    zeros = tuple(Affine(0 * p.W, 0 * p.b) for p in params)
    result, _ = run(backend, name, params, [zeros] * 2, HYPER._replace(l2=np.asarray(0.0)))
    for leaf, start in zip(leaves(result), leaves(params), strict=True):
        np.testing.assert_array_equal(leaf, start)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_python_numbers_serve_as_hyper(backend, name):
    """Floats give what 0-d arrays give, and keep float32."""
    backend = like(backend, "float32")
    params, grads = backend.put((random_params(np.random.default_rng(6), SIZES), gradients(1)[0]))
    init, update = OPTIMIZERS[name][:2]
    step, moments = backend.asarray(np.asarray(0)), init(backend.xp, params)
    plain = Hyper(RATE, DECAY, 0.0, MOMENTUM)
    floats, arrays = (
        update(backend.xp, params, grads, moments, step, hyper)
        for hyper in (plain, backend.put(HYPER))
    )
    for one, other in zip(leaves(floats), leaves(arrays), strict=True):
        assert one.dtype == other.dtype == params[0].W.dtype
        np.testing.assert_allclose(
            backend.to_numpy(one), backend.to_numpy(other), rtol=1e-6, atol=1e-9
        )


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_no_argument_is_written_into(backend, name):
    """NumPy's arrays are read-only here; the others are compared with copies."""
    params, first, second = backend.put(
        (random_params(np.random.default_rng(7), SIZES), *gradients(2))
    )
    hyper, (zero, one) = backend.put((HYPER, (np.asarray(0), np.asarray(1))))
    init, update = OPTIMIZERS[name][:2]
    moments = init(backend.xp, params)
    arguments = (params, first, moments, zero, hyper)
    before = snapshot(backend, arguments)
    lock_numpy(backend, arguments)
    later = lock_numpy(backend, update(backend.xp, *arguments))
    update(backend.xp, later[0], second, later[1], one, hyper)
    for now, then in zip(snapshot(backend, arguments), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_initial_moments_are_zeros_shaped_as_the_parameters(backend, name):
    params = backend.put(random_params(np.random.default_rng(8), SIZES))
    moments = OPTIMIZERS[name].init(backend.xp, params)
    expected = {"sgd": 0, "momentum": 1, "nesterov": 1, "rmsprop": 1}.get(name, 2)
    assert len(moments) == expected
    for tree in moments:
        for moment, leaf in zip(leaves(tree), leaves(params), strict=True):
            assert (moment.shape, moment.dtype) == (leaf.shape, leaf.dtype)
            assert not backend.to_numpy(moment).any()
