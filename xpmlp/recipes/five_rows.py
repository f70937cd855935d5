"""Boston University's net 4-10-3 on five rows: what follows from given numbers, in float64.

Weights and rows come from NumPy's legacy generator, as in the assignment's own test program.
"""

import numpy as np

from xpmlp.data.dataset import Dataset, Rows
from xpmlp.nn.network import loss_and_grads
from xpmlp.recipes.base import Results
from xpmlp.recipes.demonstrations import Checks
from xpmlp.runs.fitting import fit
from xpmlp.training.config import Config
from xpmlp.training.gradient_check import check_gradients
from xpmlp.types import Affine, Batch, Params

REG = 0.1
SOFTMAX = "softmax_cross_entropy"
ALL_ROWS = Config(
    hidden=(10,),
    optimizer="sgd",
    lr_schedule="exponential",
    lr_decay=0.95,
    l2=1e-5,
    batch_size=0,
    dtype="float64",
)
CONFIGS = {
    "sigmoid": ALL_ROWS.replace(activation="sigmoid", learning_rate=0.5, epochs=100),
    "relu": ALL_ROWS.replace(activation="relu", learning_rate=0.1, epochs=50),
}


def given_net() -> Params:
    """Return the net before training."""
    generator = np.random.RandomState(0)
    W1, W2 = 0.1 * generator.randn(4, 10), 0.1 * generator.randn(10, 3)
    return Affine(W1, np.zeros(10)), Affine(W2, np.zeros(3))


def given_rows() -> Rows:
    """Return the five rows."""
    return Rows(10 * np.random.RandomState(1).randn(5, 4), np.array([0, 1, 2, 2, 1]))


def untrained_loss(results: Results, activation: str) -> float:
    """Return the loss before training with its penalty, reg = 0.1."""
    backend, rows = results.backend(), given_rows()
    with backend.running():
        net, batch = backend.put((given_net(), Batch(rows.x, rows.y)))
        found = loss_and_grads(
            backend.xp, net, batch, activations=(activation,), loss=SOFTMAX, l2=REG
        )
        return float(sum(backend.fetch((found.loss, found.penalty))))


def end_loss(results: Results, activation: str) -> float:
    """Return the loss of the last step with its penalty, before its update."""
    rows = given_rows()
    none = Rows(rows.x[:0], rows.y[:0])
    data = Dataset("five rows", "classification", rows, none, none, ("0", "1", "2"))
    history = fit(
        CONFIGS[activation], data, backend=results.backend(), initial=given_net(), verbose=False
    ).history
    return float(history.metric("loss")[-1] + history.metric("penalty")[-1])


def comment_is_wrong(results: Results) -> tuple[bool, str]:
    """Tell whether the ReLU net's loss is another than a comment of the assignment says."""
    loss = untrained_loss(results, "relu")
    return abs(loss - 1.320973) > 0.01, f"it is {loss:.6f}"


def check_arrays(results: Results) -> Checks:
    """Check the gradients of both nets before training, reg = 0.1."""
    rows = given_rows()
    return {
        activation: check_gradients(
            results.backend(),
            given_net(),
            Batch(rows.x, rows.y),
            activations=(activation,),
            loss=SOFTMAX,
            l2=REG,
        )
        for activation in CONFIGS
    }
