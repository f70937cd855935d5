"""A trained network on the host: what predicts, is saved, and is opened again."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from xpmlp.data.dataset import Scaling
from xpmlp.errors import InputError, unknown_name
from xpmlp.nn.losses import LOSSES
from xpmlp.nn.network import forward, hidden_activations
from xpmlp.training.tensors import Tensors, pack, read_tensors, unpack, write_tensors
from xpmlp.types import Params

FORMAT = "xpmlp-model-1"


@dataclass(frozen=True)
class Model:
    """Parameters as NumPy arrays, W: (D, H), b: (H,), with what is needed to use them."""

    params: Params
    activations: tuple[str, ...]
    loss: str
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
    image_shape: tuple[int, int] | None = None
    dataset: str = ""
    scale: str = "none"
    scaling: Scaling | None = None

    @property
    def sizes(self) -> tuple[int, ...]:
        """Widths from the inputs to the outputs."""
        return (self.params[0].W.shape[0], *(layer.W.shape[1] for layer in self.params))

    @property
    def n_parameters(self) -> int:
        """The count of all weights and biases."""
        return sum(layer.W.size + layer.b.size for layer in self.params)

    def scale_inputs(self, raw: Any) -> np.ndarray:
        """Return raw inputs (N, D) scaled as the training rows were: (raw - shift) / width."""
        rows = np.asarray(raw, dtype=np.float64)
        scaled = rows if self.scaling is None else (rows - self.scaling.shift) / self.scaling.width
        return scaled.astype(self.params[0].W.dtype)

    def logits(self, x: Any) -> np.ndarray:
        """Return z (N, C) for scaled inputs x (N, D). Raises InputError for another shape."""
        rows = np.asarray(x, dtype=self.params[0].W.dtype)
        if rows.ndim != 2 or rows.shape[1] != self.sizes[0]:
            raise InputError(
                f"the model takes x of shape (N, {self.sizes[0]}), got {rows.shape}; "
                "give one row per example, scaled by scale_inputs"
            )
        if not np.isfinite(rows).all():
            raise InputError("the inputs contain NaN or infinity")
        z: np.ndarray = forward(np, self.params, rows, self.activations)[0]
        return z

    def predict_outputs(self, x: Any) -> np.ndarray:
        """Return (N, C) for scaled x: probabilities under a cross-entropy, else values."""
        outputs: np.ndarray = LOSSES[self.loss].predict(np, self.logits(x))
        return outputs

    def predict(self, x: Any) -> np.ndarray:
        """Return class indices (N,), or without classes `predict_outputs`, for scaled inputs x."""
        return decide(self.logits(x)) if self.class_names else self.predict_outputs(x)

    def save(self, path: str | Path) -> None:
        """Write weights, with the architecture in the metadata, as safetensors, atomically."""
        architecture = {
            "sizes": self.sizes,
            "activations": self.activations,
            "loss": self.loss,
            "class_names": self.class_names,
            "feature_names": self.feature_names,
            "image_shape": self.image_shape,
            "dataset": self.dataset,
            "scale": self.scale,
        }
        tensors = pack("layers", self.params)
        if self.scaling is not None:
            tensors |= {f"inputs.{name}": a for name, a in self.scaling._asdict().items()}
        write_tensors(path, tensors, FORMAT, architecture)

    @classmethod
    def load(cls, path: str | Path) -> "Model":
        """Open a saved model. Raises InputError where it is missing, damaged or not a model."""
        return read_tensors(path, FORMAT, cls._unpack)

    @classmethod
    def _unpack(cls, tensors: Tensors, about: dict[str, Any]) -> "Model":
        sizes, image_shape = about["sizes"], about["image_shape"]
        params = unpack("layers", tensors, n_layers=len(sizes) - 1)
        shapes = [(layer.W.shape, layer.b.shape) for layer in params]
        if shapes != [((d, h), (h,)) for d, h in pairwise(sizes)]:
            raise ValueError(f"its arrays have shapes {shapes}, its sizes are {sizes}")
        if about["loss"] not in LOSSES:
            raise unknown_name("loss", about["loss"], LOSSES)
        return cls(
            params=params,
            activations=hidden_activations(about["activations"], len(sizes) - 2),
            loss=about["loss"],
            class_names=tuple(about["class_names"]),
            feature_names=tuple(about["feature_names"]),
            image_shape=(image_shape[0], image_shape[1]) if image_shape else None,
            dataset=about["dataset"],
            scale=about["scale"],
            scaling=_scaling(tensors),
        )


def _scaling(tensors: Tensors) -> Scaling | None:
    if "inputs.shift" not in tensors:
        return None
    return Scaling(tensors["inputs.shift"], tensors["inputs.width"])


def decide(logits: np.ndarray) -> np.ndarray:
    """Return class indices (N,): z > 0 for one output node, else the largest logit."""
    if logits.shape[-1] == 1:
        return (logits[..., 0] > 0).astype(np.int64)
    largest: np.ndarray = logits.argmax(axis=-1)
    return largest
