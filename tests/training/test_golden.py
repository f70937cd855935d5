"""Boston University's toy check through the whole trainer, to 1e-12, on every backend.

Figures: Boston University CS 542, problem set 3: the two-layer net on five rows, started from
the legacy generator; the loss of the last step, penalty included, before its update.
"""

import numpy as np
import pytest

from xpmlp.data.dataset import Dataset, Rows
from xpmlp.runs.fitting import fit
from xpmlp.training.config import Config
from xpmlp.types import Affine


def toy_problem() -> tuple[Dataset, tuple[Affine, ...]]:
    weights = np.random.RandomState(0)
    W1, W2 = 0.1 * weights.randn(4, 10), 0.1 * weights.randn(10, 3)
    x = 10 * np.random.RandomState(1).randn(5, 4)
    rows = Rows(x, np.array([0, 1, 2, 2, 1]))
    none = Rows(x[:0], rows.y[:0])
    data = Dataset("bu-toy", "classification", rows, none, rows, ("0", "1", "2"))
    return data, (Affine(W1, np.zeros(10)), Affine(W2, np.zeros(3)))


@pytest.mark.parametrize(
    ("activation", "learning_rate", "epochs", "golden"),
    [("sigmoid", 0.5, 100, 0.10926794610680679), ("relu", 0.1, 50, 0.0178562204869839)],
)
@pytest.mark.parametrize("permuted", [False, True])
def test_the_last_loss(backend, activation, learning_rate, epochs, golden, permuted):
    config = Config(
        hidden=(10,),
        activation=activation,
        optimizer="sgd",
        learning_rate=learning_rate,
        lr_schedule="exponential",
        lr_decay=0.95,
        l2=1e-5,
        batch_size=0,
        epochs=epochs,
        dtype="float64",
    )
    data, initial = toy_problem()
    shuffle = np.random.RandomState(1)
    order = (lambda epoch: shuffle.permutation(5)) if permuted else None
    run = fit(config, data, backend=backend, initial=initial, order=order)
    last = run.history.metric("loss")[-1] + run.history.metric("penalty")[-1]
    assert last == pytest.approx(golden, rel=1e-12, abs=0)
