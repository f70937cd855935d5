"""The relative error of a trained step's matrix products, also for a process of its own."""

import numpy as np

from tests.cuda.devices import numpy_backend
from xpmlp.backends.base import Backend
from xpmlp.data.dataset import Dataset, Rows
from xpmlp.runs.fitting import fit
from xpmlp.training.config import Config
from xpmlp.types import Affine

SIDE = 512


def product_error(backend: Backend, batch_size: int = 0) -> float:
    """Return ‖ΔW‖ / ‖W‖, beside float64, of a linear layer after an epoch from W = 0.

    With all rows at once W is a multiple of xᵀt, of 512 × 512 random numbers each; in batches
    the products x W come in.
    """
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((2, SIDE, SIDE), dtype=np.float32)
    ours, exact = (_weights(place, x, t, batch_size) for place in (backend, numpy_backend()))
    return float(np.linalg.norm(ours - exact) / np.linalg.norm(exact))


def _weights(backend: Backend, x: np.ndarray, t: np.ndarray, batch_size: int) -> np.ndarray:
    rows = Rows(x.astype(backend.dtype), t.astype(backend.dtype))
    none = Rows(rows.x[:0], rows.y[:0])
    config = Config(
        hidden=(),
        epochs=1,
        optimizer="sgd",
        lr_schedule="constant",
        learning_rate=0.1,
        loss="mean_squared_error",
        batch_size=batch_size,
        dtype=backend.dtype,
        record="loss",
    )
    start = (Affine(np.zeros((SIDE, SIDE)), np.zeros(SIDE)),)
    data = Dataset("products", "regression", rows, none, none, ())
    trained = fit(config, data, backend=backend, initial=start).model.params[0].W
    return np.asarray(trained, np.float64)
