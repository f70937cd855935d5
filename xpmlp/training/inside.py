"""Looking inside a model: what each layer makes of rows, and the gradients that they give."""

from typing import Any, NamedTuple

import numpy as np

from xpmlp.data.dataset import Dataset, Rows
from xpmlp.data.describing import range_text
from xpmlp.described import Described, Lines, listed
from xpmlp.errors import InputError
from xpmlp.nn.network import backpropagate, propagate
from xpmlp.training.inputs import host_array
from xpmlp.training.targets import check_rows, make_targets
from xpmlp.training.texts import count, loss_text
from xpmlp.types import Affine, Batch

SHOWN_LAYERS = 4


class LayerValues(NamedTuple):
    """What a layer makes of N rows: z = xW + b and a, what its activation makes of z, (N, H)."""

    z: np.ndarray
    a: np.ndarray


class Activations(Described, tuple[LayerValues, ...]):
    """z and a of each layer, from the first; a of the last are the outputs of the model."""

    __slots__ = ()

    def described(self) -> tuple[str, Lines]:
        """Return shapes and ranges, and how much of each a is zero."""
        lines = []
        for i, (z, a) in enumerate(self[:SHOWN_LAYERS], start=1):
            zeros = f", {np.mean(a == 0.0):.0%} zeros" if (a == 0.0).any() else ""
            lines += [(f"z{i}", _array(z)), (f"a{i}", _array(a) + zeros)]
        return f"activations of {count(len(self[0].z), 'row')}", lines + _more(len(self))


class ModelGradients(NamedTuple):
    """The mean loss over the rows, without penalty, and its gradients dW, db, layer by layer.

    loss_name, rows: which loss it is, and of how many rows.
    """

    loss: float
    layers: tuple[Affine, ...]
    loss_name: str
    rows: int

    def __repr__(self) -> str:
        return _GradientLines(self).__repr__()

    def _repr_html_(self) -> str:
        return _GradientLines(self)._repr_html_()


class _GradientLines(Described):
    def __init__(self, gradients: ModelGradients) -> None:
        self.gradients = gradients

    def described(self) -> tuple[str, Lines]:
        found = self.gradients
        lines = [("loss", f"{loss_text(found.loss)}, {found.loss_name}, without penalty")]
        for i, layer in enumerate(found.layers[:SHOWN_LAYERS], start=1):
            for leaf, array in layer._asdict().items():
                norm = f"; norm {np.linalg.norm(array):.4g}"
                lines.append((f"d{leaf}{i}", _array(array) + norm))
        return f"gradients of {count(found.rows, 'row')}", lines + _more(len(found.layers))


def activations_of(model: Any, x: np.ndarray) -> Activations:
    """Return what a `Model` makes of scaled rows x (N, D), layer by layer."""
    logits, kept = propagate(np, model.params, x, model.activations)
    hidden = [LayerValues(layer.z, layer.a) for layer in kept]
    return Activations([*hidden, LayerValues(logits, model.outputs_of(logits))])


def gradients_of(model: Any, x: np.ndarray, t: Any, weights: Any) -> ModelGradients:
    """Return loss and gradients of a `Model` over scaled rows x (N, D) with targets of the data."""
    rows = Rows(x, _labels(model, host_array(t)), weights)
    data = Dataset("the rows", model.task, rows, rows, rows, model.class_names, target=model.target)
    check_rows("model.gradients", rows, data)
    if not model.class_names and rows.y.shape[1] != model.sizes[-1]:
        raise InputError(
            f"model.gradients: t has {count(rows.y.shape[1], 'column')}, and the model "
            f"{count(model.sizes[-1], 'output')}"
        )
    targets = make_targets(model.loss, data, rows)
    if targets.dtype.kind == "f":
        targets = targets.astype(model.dtype)
    if weights is not None:
        weights = weights.astype(model.dtype)
    found = backpropagate(
        np,
        model.params,
        Batch(x, targets, weights),
        activations=model.activations,
        loss=model.loss,
    )
    return ModelGradients(float(found.loss), found.grads, model.loss, len(x))


def _labels(model: Any, t: np.ndarray) -> np.ndarray:
    """Return labels as a data set has them: names of classes as indices, values as (N, O)."""
    if not model.class_names:
        return t[:, None] if t.ndim == 1 and model.sizes[-1] == 1 else t
    if t.dtype.kind not in "OUST":
        return t
    places = {name: place for place, name in enumerate(model.class_names)}
    unknown = sorted({str(name) for name in t.ravel()} - set(places))
    if unknown:
        raise InputError(
            f"model.gradients: the model doesn't know {listed(unknown)}; its classes are "
            f"{listed(model.class_names, 12)}"
        )
    return np.array([places[str(name)] for name in t.ravel()]).reshape(t.shape)


def _array(array: np.ndarray) -> str:
    return ", ".join(filter(None, [str(array.shape), range_text(array)]))


def _more(layers: int) -> Lines:
    more = layers - SHOWN_LAYERS
    return [("", f"and {count(more, 'layer')} more")] if more > 0 else []
