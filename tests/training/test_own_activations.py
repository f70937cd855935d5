"""An activation of one's own that can't be trained with is told before the training."""

import numpy as np
import pytest

from tests.conftest import load_or_skip
from tests.problems import make_dataset
from xpmlp.errors import InputError
from xpmlp.nn.activations import ACTIVATIONS, Activation
from xpmlp.runs.fitting import fit
from xpmlp.training.config import Config


def sine(xp, z):
    return xp.sin(z)


def cosine(xp, z, a):
    return xp.cos(z)


def with_own(monkeypatch, *functions, backend=None):
    monkeypatch.setitem(ACTIVATIONS, "own", Activation(*functions))
    config = Config(hidden=(4,), activation="own", epochs=1, dtype="float64")
    return fit(config, make_dataset(), backend=backend or load_or_skip("numpy"))


def test_a_right_one_is_taken(monkeypatch, backend):
    assert np.isfinite(with_own(monkeypatch, sine, cosine, backend=backend).test.loss)


@pytest.mark.parametrize(
    ("functions", "said"),
    [
        ((sine, lambda xp, z, a: 1.0), r"derivative of activation 'own' .* \(\) of float"),
        ((sine, lambda xp, z, a: xp.cos(z)[0]), r"here \(2, 3\) of float64, .* \(3,\)"),
        ((sine, lambda xp, z, a: z > 0), "returned .* of bool"),
        ((lambda xp, z: z.sum(), cosine), r"the function of activation 'own' must"),
        ((sine, lambda xp, z: z), r"failed on six numbers: TypeError: .* it is a function \(xp, z"),
        ((np.sin, np.cos), "activation 'own' failed on six numbers"),
    ],
)
def test_a_wrong_one_is_told(monkeypatch, functions, said):
    with pytest.raises(InputError, match=said):
        with_own(monkeypatch, *functions)
