"""From a data set's labels to the targets of a loss."""

import numpy as np

from xpmlp.data.dataset import Dataset, Rows
from xpmlp.errors import InputError


def resolve_loss(loss: str, data: Dataset) -> str:
    """Return the loss that `auto` means for the data: softmax for classes, MSE for values.

    Raises InputError for a loss that needs classes where there are none.
    """
    if loss == "auto":
        classes = data.task == "classification"
        return "softmax_cross_entropy" if classes else "mean_squared_error"
    if data.task == "regression" and loss != "mean_squared_error":
        raise InputError(
            f"loss {loss} needs classes, and the last column of {data.name} holds real values; "
            "use mean_squared_error"
        )
    return loss


def output_size(loss: str, data: Dataset) -> int:
    """Return the width of the output layer: one node for two classes under the binary loss."""
    if loss == "binary_cross_entropy" and data.n_outputs == 2:
        return 1
    return data.n_outputs


def make_targets(loss: str, data: Dataset, rows: Rows) -> np.ndarray:
    """Return t for the rows: class indices (N,), int64, for softmax; else (N, C), float64.

    Classes become a single 0/1 column where the output is one node, else one-hot rows.
    """
    if data.task == "regression" or loss == "softmax_cross_entropy":
        return rows.y
    if output_size(loss, data) == 1:
        return rows.y[:, None].astype(np.float64)
    one_hot: np.ndarray = np.eye(data.n_outputs)[rows.y]
    return one_hot
