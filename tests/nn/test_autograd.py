"""Hand-derived gradients against the automatic ones of PyTorch and JAX.

Each oracle is a plain forward pass in the library's own functions. Where a kinked activation or
loss, or the L1 penalty, stands within 1e-6 of its kink the example is rejected; so it is where
all units that lead to a weight are dropped or in the far tail of an activation, whose slope is what
cancellation left, in every library.
"""

from itertools import count
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.conftest import load_or_skip
from tests.memory import let_go
from tests.nn.samples import TARGET_KINDS, distance, leaves, random_params, random_targets
from tests.thorough import examples
from xpmlp.nn.activations import ACTIVATIONS
from xpmlp.nn.losses import LOSSES
from xpmlp.nn.network import forward, loss_and_grads
from xpmlp.types import Batch, Params

AGREEMENT = 1e-10
NEAR_A_KINK = 1e-6
FAR_TAIL = 1e-4
LOST_SLOPE = 1e-14  # of gelu, where another library's tanh is -1 and its slope 0


class Case(NamedTuple):
    params: Params
    batch: Batch
    activations: tuple[str, ...]
    loss: str
    kind: str
    label_smoothing: float
    l2: float | None
    l1: float | None
    masks: tuple[np.ndarray | None, ...]


@st.composite
def cases(draw) -> Case:
    """Draw a configuration; the arrays come from a drawn seed, in a few shapes only."""
    names = tuple(draw(st.lists(st.sampled_from(tuple(ACTIVATIONS)), max_size=3)))
    loss = draw(st.sampled_from(tuple(TARGET_KINDS)))
    kind = draw(st.sampled_from(TARGET_KINDS[loss]))
    fewest = 2 if loss == "softmax_cross_entropy" else 1
    n_outputs = draw(st.sampled_from((fewest, 4)))
    sizes = (3, *(draw(st.sampled_from((2, 5))) for _ in names), n_outputs)
    n = draw(st.sampled_from((1, 6)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weights = rng.uniform(0.1, 2.0, n) if draw(st.booleans()) else None
    smooth = loss == "softmax_cross_entropy" and draw(st.booleans())
    case = Case(
        params=random_params(rng, sizes),
        batch=Batch(
            rng.standard_normal((n, 3)), random_targets(rng, kind, (n, sizes[-1])), weights
        ),
        activations=names,
        loss=loss,
        kind=kind,
        label_smoothing=0.2 if smooth else 0.0,
        l2=draw(st.sampled_from((None, 0.3))),
        l1=draw(st.sampled_from((None, 0.1))),
        masks=random_masks(rng, n, sizes[1:-1]) if draw(st.booleans()) else (),
    )
    assume(away_from_kinks(case))
    return case


def random_masks(rng, n: int, widths: tuple[int, ...]) -> tuple[np.ndarray | None, ...]:
    """Draw masks of dropout, for each layer of another rate, none where the rate is zero."""
    rates = rng.choice((0.0, 0.3, 0.6), len(widths))
    masks = [(rng.random((n, h)) >= p) / (1 - p) for p, h in zip(rates, widths, strict=True)]
    return tuple(m if p else None for m, p in zip(masks, rates, strict=True))


def factors(case: Case) -> tuple:
    """Return what multiplies the outputs of each layer."""
    return (*(1.0 if m is None else m for m in case.masks or (None,) * len(case.activations)), 1.0)


def away_from_kinks(case: Case) -> bool:
    z, kept = forward(np, case.params, case.batch.x, case.activations, case.masks)
    near = [
        np.abs(layer.z).min() < NEAR_A_KINK
        for layer, name in zip(kept, case.activations, strict=True)
        if ACTIVATIONS[name].kinked
    ]
    near += [np.abs(z - case.batch.t - at).min() < NEAR_A_KINK for at in LOSSES[case.loss].kinks]
    if case.l1 is not None:
        near += [np.abs(layer.W).min() < NEAR_A_KINK for layer in case.params]
    return not any(near)


def check(case: Case, value: float, gradients: list[np.ndarray]) -> None:
    """Compare objective and gradients with an oracle's."""
    ours = loss_and_grads(
        np,
        case.params,
        case.batch,
        activations=case.activations,
        loss=case.loss,
        l2=case.l2,
        l1=case.l1,
        label_smoothing=case.label_smoothing,
        masks=case.masks,
    )
    objective = ours.loss + (0.0 if ours.penalty is None else ours.penalty)
    assert distance(objective, value) < AGREEMENT
    for mine, theirs in zip(leaves(ours.grads), gradients, strict=True):
        if not theirs.any():
            assert np.abs(mine).max() < LOST_SLOPE
            continue
        assume(np.linalg.norm(theirs) >= FAR_TAIL)
        assert distance(mine, theirs) < AGREEMENT


@pytest.fixture(scope="module")
def torch_oracle():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    F = torch.nn.functional
    functions = {
        "identity": lambda z: z,
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "relu": F.relu,
        "leaky_relu": lambda z: F.leaky_relu(z, 0.01),
        "elu": F.elu,
        "softplus": lambda z: F.softplus(z, threshold=50),
        "gelu": lambda z: F.gelu(z, approximate="tanh"),
        "silu": F.silu,
    }

    def row_losses(case, z, t):
        if case.loss == "softmax_cross_entropy":
            return F.cross_entropy(z, t, reduction="none", label_smoothing=case.label_smoothing)
        if case.loss == "binary_cross_entropy":
            return F.binary_cross_entropy_with_logits(z, t, reduction="none").sum(-1)
        if case.loss == "poisson":
            perfect = torch.special.xlogy(t, t) - t
            return (F.poisson_nll_loss(z, t, reduction="none") + perfect).sum(-1)
        functions = {
            "mean_squared_error": lambda z, t, **o: 0.5 * F.mse_loss(z, t, **o),
            "mean_absolute_error": F.l1_loss,
            "huber": F.huber_loss,
        }
        return functions[case.loss](z, t, reduction="none").sum(-1)

    def oracle(case):
        params = [
            [torch.tensor(leaf, requires_grad=True) for leaf in layer] for layer in case.params
        ]
        a = torch.tensor(case.batch.x)
        names = (*case.activations, "identity")
        for (W, b), name, factor in zip(params, names, factors(case), strict=True):
            a = functions[name](a @ W + b) * torch.as_tensor(factor)
        rows = row_losses(case, a, torch.tensor(case.batch.t))
        if case.batch.weights is None:
            objective = rows.mean()
        else:
            weights = torch.tensor(case.batch.weights)
            objective = (weights * rows).sum() / weights.sum()
        for W, _ in params:
            objective = objective + 0.5 * (case.l2 or 0.0) * W.square().sum()
            objective = objective + (case.l1 or 0.0) * W.abs().sum()
        objective.backward()
        return objective.item(), [leaf.grad.numpy() for layer in params for leaf in layer]

    return oracle


@pytest.fixture(scope="module")
def jax_oracle():
    load_or_skip("jax")
    import jax
    import jax.numpy as jnp
    from jax.scipy.special import xlogy

    calls = count()
    functions = {
        "identity": lambda z: z,
        "sigmoid": jax.nn.sigmoid,
        "tanh": jnp.tanh,
        "relu": jax.nn.relu,
        "leaky_relu": lambda z: jax.nn.leaky_relu(z, 0.01),
        "elu": jax.nn.elu,
        "softplus": jax.nn.softplus,
        "gelu": lambda z: jax.nn.gelu(z, approximate=True),
        "silu": jax.nn.silu,
    }

    def row_losses(case, z, t):
        if case.loss == "softmax_cross_entropy":
            if case.kind == "classes":
                t = jax.nn.one_hot(t, z.shape[-1])
            smooth = (1 - case.label_smoothing) * t + case.label_smoothing / z.shape[-1]
            return -(smooth * jax.nn.log_softmax(z)).sum(-1)
        if case.loss == "binary_cross_entropy":
            return -(t * jax.nn.log_sigmoid(z) + (1 - t) * jax.nn.log_sigmoid(-z)).sum(-1)
        functions = {
            "mean_squared_error": lambda e: 0.5 * jnp.square(e),
            "mean_absolute_error": jnp.abs,
            "huber": lambda e: jnp.where(jnp.abs(e) <= 1, 0.5 * jnp.square(e), jnp.abs(e) - 0.5),
            "poisson": lambda e: xlogy(t, t) - t * z - t + jnp.exp(z),
        }
        return functions[case.loss](z - t).sum(-1)

    def oracle(case):
        def objective(params):
            a = case.batch.x
            names = (*case.activations, "identity")
            for (W, b), name, factor in zip(params, names, factors(case), strict=True):
                a = functions[name](a @ W + b) * factor
            rows = row_losses(case, a, case.batch.t)
            loss = jnp.average(rows, weights=case.batch.weights)
            squares = sum(jnp.square(W).sum() for W, _ in params)
            absolutes = sum(jnp.abs(W).sum() for W, _ in params)
            return loss + 0.5 * (case.l2 or 0.0) * squares + (case.l1 or 0.0) * absolutes

        if next(calls) % 10 == 0:
            let_go()
        params = [[jnp.asarray(leaf) for leaf in layer] for layer in case.params]
        value, grads = jax.value_and_grad(objective)(params)
        return float(value), [np.asarray(leaf) for layer in grads for leaf in layer]

    return oracle


@given(case=cases())
@settings(max_examples=examples(200, few=30), deadline=None)
def test_gradients_are_those_of_torch(torch_oracle, case):
    check(case, *torch_oracle(case))


@given(case=cases())
@settings(max_examples=examples(30, few=6), deadline=None)
def test_gradients_are_those_of_jax(jax_oracle, case):
    check(case, *jax_oracle(case))
