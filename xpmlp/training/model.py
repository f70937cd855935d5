"""A trained network on the host: what predicts, is saved, and is opened again."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from xpmlp.data.dataset import Rows, Scaling, Task
from xpmlp.data.kinds import check_kinds
from xpmlp.data.tables.columns import Column
from xpmlp.data.tables.preparing import feature_names, matrix
from xpmlp.data.tables.rules import ColumnRule
from xpmlp.described import Described, Lines
from xpmlp.errors import InputError, unknown_name
from xpmlp.leaves import map_leaves
from xpmlp.nn.losses import LOSSES
from xpmlp.nn.network import hidden_activations, propagate
from xpmlp.training.describing import model_lines
from xpmlp.training.inputs import require_scaling, scaled, scaled_rows
from xpmlp.training.inside import Activations, ModelGradients, activations_of, gradients_of
from xpmlp.training.tensors import (
    Tensors,
    pack,
    read_tensors,
    require_finite,
    require_tensors,
    unpack,
    write_tensors,
)
from xpmlp.training.texts import net_text
from xpmlp.types import Params

FORMAT = "xpmlp-model-1"
TABLE_FORMAT = "xpmlp-model-2"  # what a reader of the other would predict wrongly with

_ARCHITECTURE = {
    "sizes": [int],
    "activations": [str],
    "loss": str,
    "dataset": str,
    "scale": str,
    "class_names": [str],
    "feature_names": [str],
    "image_shape": ([int], None),
    "columns": [dict],
    "label": [str],
}


@dataclass(frozen=True, repr=False)
class Model(Described):
    """Parameters as NumPy arrays, W: (D, H), b: (H,), with what is needed to use them.

    columns: what becomes of each column of a table; empty where the inputs are a plain matrix.
    scaling: that of the matrix, (D,). target: that of values in training, (C,), where they had
        one; predictions come in their own units. label: the name of each column that is predicted.
    """

    params: Params
    activations: tuple[str, ...]
    loss: str
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
    image_shape: tuple[int, int] | None = None
    dataset: str = ""
    scale: str = "none"
    scaling: Scaling | None = None
    columns: tuple[ColumnRule, ...] = ()
    target: Scaling | None = None
    label: tuple[str, ...] = ()

    def described(self) -> tuple[str, Lines]:
        """Return its net, inputs, outputs and layers, for its text and its table."""
        return f"model of {self.dataset}" if self.dataset else "model", model_lines(self)

    @property
    def widths(self) -> str:
        """Its sizes for people: `784-300-10`."""
        return "-".join(map(str, self.sizes))

    @property
    def net_line(self) -> str:
        """Its widths, activations, count of parameters and loss, for people."""
        return net_text(self)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Widths from the inputs to the outputs."""
        return (self.params[0].W.shape[0], *(layer.W.shape[1] for layer in self.params))

    @property
    def dtype(self) -> str:
        """That of the parameters: `float32` or `float64`."""
        return str(self.params[0].W.dtype)

    @property
    def task(self) -> Task:
        """What is predicted: a class, several labels of 0 or 1, or values."""
        if self.class_names:
            return "classification"
        return "multilabel" if self.loss == "binary_cross_entropy" else "regression"

    @property
    def n_parameters(self) -> int:
        """The count of all weights and biases."""
        return sum(layer.W.size + layer.b.size for layer in self.params)

    def scale_inputs(self, raw: Any) -> np.ndarray:
        """Return raw inputs (N, D) scaled as the training rows were.

        Raises InputError where the model was saved without the numbers of its scaling.
        """
        return scaled(self, raw)

    def prepare(self, columns: Sequence[Column]) -> np.ndarray:
        """Return a table's rows as scaled inputs (N, D).

        columns: of a net that was trained on a plain matrix D numbers, in order. Raises InputError
        as `scale_inputs` does, and where a column of the training is not there, or is of another
        type.
        """
        if not self.columns:
            return self.scale_inputs(np.stack([column.values for column in columns], axis=1))
        require_scaling(self)
        return matrix(self.columns, columns, scaling=self.scaling, dtype=self.dtype)

    def scaled_logits(self, x: Any) -> np.ndarray:
        """Return z (N, C) for inputs x (N, D) that are scaled. Raises InputError for others."""
        z: np.ndarray = propagate(np, self.params, self._checked(x), self.activations)[0]
        return z

    def _checked(self, x: Any) -> np.ndarray:
        """Return scaled rows in the dtype of the net. Raises InputError for other shapes, NaN."""
        rows = np.asarray(x, dtype=self.dtype)
        if rows.ndim != 2 or rows.shape[1] != self.sizes[0]:
            raise InputError(
                f"the net takes x of shape (N, {self.sizes[0]}), got {rows.shape}; "
                "give one row per example"
            )
        if not np.isfinite(rows).all():
            raise InputError("the inputs contain NaN or infinity")
        return rows

    def outputs_of(self, logits: np.ndarray) -> np.ndarray:
        """Return what logits (N, C) mean, (N, C): as `predict_outputs`, in the dtype of the net."""
        outputs: np.ndarray = LOSSES[self.loss].predict(np, logits)
        if self.target is None:
            return outputs
        shift, width = (part.astype(self.dtype) for part in (self.target.shift, self.target.width))
        values: np.ndarray = outputs * width + shift
        return values

    def logits(self, rows: Any) -> np.ndarray:
        """Return z (N, C) for raw rows.

        rows: as the data had them: an array or lists (N, D), a table of pandas, polars or pyarrow,
            or a file; or `Rows` of a data set, which are known to be scaled. What had to be
            assumed of them is a UserWarning. Raises InputError where they do not fit.
        """
        return self.scaled_logits(scaled_rows(self, rows))

    def predict_outputs(self, rows: Any) -> np.ndarray:
        """Return (N, C): probabilities under a cross-entropy, else values; rows as for `logits`."""
        return self.outputs_of(self.scaled_logits(scaled_rows(self, rows)))

    def predict(self, rows: Any) -> np.ndarray:
        """Return class indices (N,), or without classes values (N, C); rows as for `logits`."""
        logits = self.scaled_logits(scaled_rows(self, rows))
        return decide(logits) if self.class_names else self.outputs_of(logits)

    def activations_of(self, rows: Any) -> Activations:
        """Return z and a of each layer, (N, H) each; rows as for `logits`.

        Layer i is item i - 1, a pair (z, a). Of the last z are the logits, and a what
        `predict_outputs` returns.
        """
        return activations_of(self, self._checked(scaled_rows(self, rows)))

    def gradients(self, rows: Any, t: Any = None) -> ModelGradients:
        """Return the mean loss, without penalty, and the gradients of each layer's W and b.

        rows: as for `logits`. t: names or indices of classes (N,), 0 or 1 for each of O labels
            (N, O), or values in their own units (N, O), of one output (N,); None: those of `Rows`,
            whose weights count too. Values that the training scaled give the loss of the training,
            of scaled ones. Raises InputError for what does not fit.
        """
        weights = rows.weights if isinstance(rows, Rows) else None
        if t is None:
            if not isinstance(rows, Rows):
                raise InputError("gradients need the targets t of the rows, or xpmlp.Rows(x, y)")
            t = rows.y
        return gradients_of(self, self._checked(scaled_rows(self, rows)), t, weights)

    def astype(self, dtype: str) -> "Model":
        """Return the model with its parameters in another dtype; too large ones become infinite."""
        with np.errstate(over="ignore"):
            return replace(self, params=map_leaves(lambda leaf: leaf.astype(dtype), self.params))

    def save(self, path: str | Path) -> None:
        """Write weights, with the architecture in the metadata, as safetensors, atomically."""
        ranked = self.scaling is not None and self.scaling.quantiles is not None
        newer = self.columns or self.target is not None or ranked
        file_format = TABLE_FORMAT if newer else FORMAT
        write_tensors(path, self._tensors(), file_format, self._architecture())

    def _architecture(self) -> dict[str, Any]:
        """Return what a file's metadata say of it."""
        architecture: dict[str, Any] = {
            "sizes": self.sizes,
            "activations": self.activations,
            "loss": self.loss,
            "class_names": self.class_names,
            "feature_names": self.feature_names,
            "image_shape": self.image_shape,
            "dataset": self.dataset,
            "scale": self.scale,
        }
        if self.columns:
            architecture["columns"] = [rule.to_dict() for rule in self.columns]
        if self.label:
            architecture["label"] = self.label
        return architecture

    def _tensors(self) -> Tensors:
        """Return the arrays of a file."""
        return {
            **pack("layers", self.params),
            **_pack_scaling("inputs", self.scaling),
            **_pack_scaling("target", self.target),
        }

    @classmethod
    def load(cls, path: str | Path) -> "Model":
        """Open a saved model. Raises InputError where it is missing, damaged or not a model."""
        return read_tensors(path, (FORMAT, TABLE_FORMAT), cls._unpack)

    @classmethod
    def _unpack(cls, tensors: Tensors, about: dict[str, Any]) -> "Model":
        check_kinds(about, _ARCHITECTURE, ("columns", "label"))
        sizes, image_shape = about["sizes"], about["image_shape"]
        columns = tuple(map(ColumnRule.from_dict, about.get("columns", ())))
        _check_sizes(about, columns)
        _check_tensors(tensors, sizes)
        if about["loss"] not in LOSSES:
            raise unknown_name("loss", about["loss"], LOSSES)
        params = unpack("layers", tensors, n_layers=len(sizes) - 1)
        return cls(
            params=params,
            activations=hidden_activations(about["activations"], len(sizes) - 2),
            loss=about["loss"],
            class_names=tuple(about["class_names"]),
            feature_names=tuple(about["feature_names"]),
            image_shape=tuple(image_shape) if image_shape else None,
            dataset=about["dataset"],
            scale=about["scale"],
            scaling=_unpack_scaling("inputs", tensors),
            columns=columns,
            target=_unpack_scaling("target", tensors),
            label=tuple(about.get("label", ())),
        )


def _check_sizes(about: dict[str, Any], columns: Sequence[ColumnRule]) -> None:
    """Raise ValueError where what a file says of inputs and outputs can not be true."""
    sizes, image_shape = about["sizes"], about["image_shape"]
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(f"its sizes are {sizes}, expected two or more from 1 on")
    inputs, outputs = sizes[0], sizes[-1]
    fitting: dict[str, tuple[int, ...]] = {
        "class_names": (0, max(outputs, 2)),
        "feature_names": (0, inputs),
        "label": (0, 1, outputs),
    }
    for name, counts in fitting.items():
        if len(found := about.get(name, ())) not in counts:
            raise ValueError(f"its {name} are {len(found)}, its sizes {sizes}")
    if image_shape is not None and (len(image_shape) != 2 or math.prod(image_shape) != inputs):
        raise ValueError(f"its images are of {image_shape} pixels, its sizes {sizes}")
    if columns and len(feature_names(columns)) != inputs:
        raise ValueError(f"its columns become {len(feature_names(columns))}, not {inputs}")


def _check_tensors(tensors: Tensors, sizes: Sequence[int]) -> None:
    """Raise ValueError or KeyError where the arrays of a file are not those of a model."""
    shapes: dict[str, tuple[int | None, ...]] = {}
    for i, (d, h) in enumerate(pairwise(sizes)):
        shapes |= {f"layers.{i}.W": (d, h), f"layers.{i}.b": (h,)}
    layers = tuple(shapes)
    for prefix, size in (("inputs", sizes[0]), ("target", sizes[-1])):
        if any(name.startswith(f"{prefix}.") for name in tensors):
            shapes |= {f"{prefix}.shift": (size,), f"{prefix}.width": (size,)}
    if "inputs.shift" in shapes:
        shapes["inputs.quantiles"] = (None, sizes[0])
    require_tensors(tensors, shapes, optional=("inputs.quantiles",))
    for prefix in ("layers.", "inputs.shift", "inputs.width", "target."):
        require_finite(tensors, prefix)
    if len(dtypes := {str(tensors[name].dtype) for name in layers}) > 1:
        raise ValueError(f"its layers are of {' and '.join(sorted(dtypes))}")
    for name in ("inputs.width", "target.width"):
        if name in tensors and not tensors[name].all():
            raise ValueError(f"its {name} holds 0, by which nothing can be divided")
    quantiles = tensors.get("inputs.quantiles")
    if quantiles is not None and not _are_quantiles(quantiles):
        raise ValueError("its inputs.quantiles are not two or more in rising order for a column")


def _are_quantiles(quantiles: np.ndarray) -> bool:
    """Tell whether each column (Q,) rises, or is NaN as a whole."""
    unranked = np.isnan(quantiles).all(axis=0)
    with np.errstate(invalid="ignore"):
        rises = (np.diff(quantiles, axis=0) >= 0).all(axis=0) & np.isfinite(quantiles).all(axis=0)
    return len(quantiles) >= 2 and bool((unranked | rises).all())


def _pack_scaling(prefix: str, scaling: Scaling | None) -> Tensors:
    parts = {} if scaling is None else scaling._asdict()
    return {f"{prefix}.{name}": part for name, part in parts.items() if part is not None}


def _unpack_scaling(prefix: str, tensors: Tensors) -> Scaling | None:
    if f"{prefix}.shift" not in tensors:
        return None
    shift, width = tensors[f"{prefix}.shift"], tensors[f"{prefix}.width"]
    return Scaling(shift, width, tensors.get(f"{prefix}.quantiles"))


def decide(logits: np.ndarray) -> np.ndarray:
    """Return class indices (N,): z > 0 for one output node, else the largest logit."""
    if logits.shape[-1] == 1:
        return (logits[..., 0] > 0).astype(np.int64)
    largest: np.ndarray = logits.argmax(axis=-1)
    return largest
