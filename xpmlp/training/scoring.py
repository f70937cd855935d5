"""A model's loss, accuracy and logits over rows, computed as in training."""

import numpy as np

from xpmlp.backends.registry import load
from xpmlp.data.dataset import Dataset, Rows
from xpmlp.errors import InputError
from xpmlp.training.ensemble import Ensemble
from xpmlp.training.evaluation import Evaluation, Evaluator
from xpmlp.training.model import Model
from xpmlp.training.step import Objective
from xpmlp.training.targets import make_targets, output_size
from xpmlp.types import Affine, Batch


def evaluate_model(model: Model, data: Dataset, rows: Rows) -> Evaluation:
    """Return what `Trainer.evaluate` returns for the same weights, by NumPy, in their dtype.

    rows: a part of `data`, scaled, at least one. Where NumPy trained too, the figures are the
    same to the last bit, or to rounding where its steps were compiled. The logits of an ensemble
    are what a net of no hidden layer is given, which hands them on. Raises InputError where the
    model and the data don't fit together.
    """
    check_fit(model, data)
    backend = load("numpy", "cpu", model.dtype)
    params, activations, x = model.params, model.activations, np.asarray(rows.x)
    if isinstance(model, Ensemble):
        x, activations = model.scaled_logits(x), ()
        params = (Affine(np.eye(x.shape[1]), np.zeros(x.shape[1])),)
    objective = Objective(activations, model.loss, optimizer="sgd")
    with backend.running():
        targets = make_targets(model.loss, data, rows)
        params, batch = backend.put((params, Batch(x, targets, rows.weights)))
        classify = data.task == "classification"
        return Evaluator(backend, objective, classify).evaluate(params, batch)


def check_fit(model: Model, data: Dataset) -> None:
    """Raise InputError where the model was made for other columns, classes or outputs."""
    check_inputs(model, data)
    if model.class_names != data.class_names:
        raise InputError(
            f"the model's classes are {_classes(model)}, and those of {data.name} {_classes(data)}"
        )
    if output_size(model.loss, data) != model.sizes[-1]:
        raise InputError(
            f"the model has {model.sizes[-1]} outputs, and the labels of {data.name} have "
            f"{data.n_outputs} columns"
        )


def check_inputs(model: Model, data: Dataset) -> None:
    """Raise InputError where the rows have another number of columns than the model takes."""
    if data.n_features != model.sizes[0]:
        raise InputError(
            f"the model takes {model.sizes[0]:,} inputs, and the rows of {data.name} have "
            f"{data.n_features:,}"
        )


def _classes(named: Model | Dataset) -> str:
    return ", ".join(named.class_names[:12]) + ", …" * (len(named.class_names) > 12) or "none"
