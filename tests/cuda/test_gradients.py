"""Loss and gradients of random nets on the GPU are those of NumPy in float64."""

from functools import partial

import numpy as np
import pytest

from tests.cuda.devices import numpy_backend
from tests.nn.samples import distance, leaves, random_params, random_targets
from xpmlp.nn.initializers import initialize
from xpmlp.nn.network import backpropagate, loss_and_grads
from xpmlp.training.gradient_check import check_gradients
from xpmlp.types import Batch

pytestmark = pytest.mark.cuda

ROWS, FEATURES, CLASSES, MEMBERS = 33, 20, 4, 3
NETS = {
    "relu-softmax-l2": (("relu", "relu"), "softmax_cross_entropy", "classes", 0.1, None),
    "gelu-tanh-soft-l1": (("gelu", "tanh"), "softmax_cross_entropy", "soft", None, 0.05),
    "sigmoid-silu-binary": (("sigmoid", "silu"), "binary_cross_entropy", "binary", None, None),
    "elu-softplus-squares": (("elu", "softplus"), "mean_squared_error", "real", 0.1, 0.05),
    "leaky-depth0-members": (("leaky_relu", "relu"), "softmax_cross_entropy", "one-hot", 0.1, 0.05),
}
# Forward and backward are three products each here, whose sums have at most ROWS terms.
ROUNDINGS = 6 * ROWS
TOLERANCES = {"float64": 1e-10, "float32": ROUNDINGS * float(np.finfo(np.float32).eps)}


def arrays(label: str):
    """Return float32 numbers in float64: net, batch and penalties; some have members."""
    activations, loss, kind, l2, l1 = NETS[label]
    rng = np.random.default_rng(sorted(NETS).index(label))
    members = (MEMBERS,) if label.endswith("members") else ()
    params = random_params(rng, (FEATURES, 12, 9, CLASSES), members)
    x = rng.standard_normal((ROWS, FEATURES))
    t = random_targets(rng, kind, (ROWS, CLASSES))
    penalties = tuple(None if value is None else np.full(members, value) for value in (l2, l1))
    tree = (tuple(layer._make(leaf / np.sqrt(FEATURES) for leaf in layer) for layer in params), x)
    (params, x) = rounded(tree)
    return params, Batch(x, t), penalties, {"activations": activations, "loss": loss}


def rounded(tree):
    if isinstance(tree, tuple):
        parts = [rounded(item) for item in tree]
        return tree._make(parts) if hasattr(tree, "_make") else tuple(parts)
    return tree.astype(np.float32).astype(np.float64)


def compute(backend, label):
    """Return the loss and every gradient, as the backend compiles them."""
    params, batch, penalties, options = arrays(label)

    def gradients(xp, params, batch, penalties):
        l2, l1 = penalties
        result = backpropagate(xp, params, batch, l2=l2, l1=l1, **options)
        return (result.loss, result.penalty), result.grads

    with backend.running():
        compiled = backend.compile(lambda xp: partial(gradients, xp))
        return backend.fetch(compiled(*backend.put((params, batch, penalties))))


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("label", NETS)
def test_loss_and_gradients_are_numpys(gpu, label, dtype):
    actual = list(leaves(compute(gpu.backend(dtype), label)))
    expected = list(leaves(compute(numpy_backend(), label)))
    assert len(actual) == len(expected) > 6
    for ours, numpys in zip(actual, expected, strict=True):
        assert str(ours.dtype) == dtype
        assert distance(ours, numpys) < TOLERANCES[dtype]


def test_the_comparison_sees_a_wrong_gradient(gpu):
    """One row of 33 that is missing is far more than the tolerance."""
    params, batch, penalties, options = arrays("relu-softmax-l2")
    whole, part = (
        loss_and_grads(np, params, rows, l2=penalties[0], **options).grads[0].W
        for rows in (batch, Batch(batch.x[:-1], batch.t[:-1]))
    )
    assert distance(whole, part) > 100 * TOLERANCES["float32"]


def test_central_differences_say_correct(gpu):
    rng = np.random.default_rng(0)
    params = initialize(np, rng, (4, 5, 4, 3), bias_std=0.5)
    batch = Batch(rng.standard_normal((6, 4)), rng.integers(0, 3, 6))
    options = {"activations": ("relu", "gelu"), "l2": 0.1, "l1": 0.01, "label_smoothing": 0.1}
    checks = check_gradients(gpu.backend(), params, batch, loss="softmax_cross_entropy", **options)
    assert [(check.name, check.verdict) for check in checks] == [
        (f"{leaf}{i}", "CORRECT") for i in (1, 2, 3) for leaf in "Wb"
    ]
