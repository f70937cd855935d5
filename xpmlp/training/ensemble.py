"""A weighted mean of several nets, which predicts, is saved and opened again as one model."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from xpmlp.data.kinds import check_kinds
from xpmlp.described import Lines
from xpmlp.errors import InputError
from xpmlp.nn.activations import softplus
from xpmlp.training.describing import ensemble_lines
from xpmlp.training.inputs import scaled_rows
from xpmlp.training.model import FORMAT, TABLE_FORMAT, Model
from xpmlp.training.tensors import Tensors, pack, read_tensors, write_tensors

ENSEMBLE_FORMAT = "xpmlp-ensemble-1"
_NET = {"sizes": [int], "activations": [str], "count": int}


@dataclass(frozen=True, repr=False)
class Ensemble(Model):
    """Nets for the same inputs and outputs; what it predicts is the mean of what they predict.

    nets: a model each. counts: how often each counts in the mean. All else is as the nets have it;
    params and activations are those of the first.
    """

    nets: tuple[Model, ...] = ()
    counts: tuple[int, ...] = ()

    @classmethod
    def of(cls, nets: Sequence[Model], counts: Sequence[int]) -> "Ensemble":
        """Return the ensemble of nets that differ in their hidden layers alone."""
        shared = {item.name: getattr(nets[0], item.name) for item in fields(Model)}
        return cls(**shared, nets=tuple(nets), counts=tuple(counts))

    def described(self) -> tuple[str, Lines]:
        """Return its nets, inputs and outputs, for its text and its table."""
        title = f"ensemble of {len(self.nets)} nets"
        return f"{title} of {self.dataset}" if self.dataset else title, ensemble_lines(self)

    @property
    def widths(self) -> str:
        """How many nets, for people."""
        return f"the mean of {len(self.nets)} nets"

    @property
    def net_line(self) -> str:
        """How many nets, their parameters and their loss, for people."""
        return f"{self.widths}, {self.n_parameters:,} parameters, {self.loss}"

    @property
    def shares(self) -> np.ndarray:
        """How much each net counts in the mean, (K,), of sum 1."""
        counts = np.asarray(self.counts, np.float64)
        shares: np.ndarray = counts / counts.sum()
        return shares

    @property
    def n_parameters(self) -> int:
        """The count of all weights and biases of all nets."""
        return sum(net.n_parameters for net in self.nets)

    def scaled_logits(self, x: Any) -> np.ndarray:
        """Return z (N, C) whose prediction is the mean of the nets', for scaled inputs x (N, D).

        Under a cross-entropy that is the logarithm of the mean probability, for a sigmoid its
        log-odds; for values the mean of the logits.
        """
        x = self._checked(x)
        z: np.ndarray = np.stack([net.scaled_logits(x) for net in self.nets])
        shares: np.ndarray = self.shares.astype(self.dtype)[:, None, None]
        if self.loss == "softmax_cross_entropy":
            return _log_mean(z - _log_sum(z, axis=-1), shares)
        if self.loss == "binary_cross_entropy":
            yes, no = (_log_mean(-softplus(np, sign * z), shares) for sign in (-1.0, 1.0))
            log_odds: np.ndarray = yes - no
            return log_odds
        if self.loss == "poisson":
            return _log_mean(z, shares)
        return np.asarray((shares * z).sum(axis=0))

    def spread(self, rows: Any) -> np.ndarray:
        """Return the standard deviation over the nets of what each predicts, (N, C).

        rows: as for `predict_outputs`. Each net counts as it does in the mean.
        """
        return self.spread_of(scaled_rows(self, rows))

    def spread_of(self, x: np.ndarray) -> np.ndarray:
        """Return what `spread` does, for scaled rows x (N, D)."""
        outputs = np.stack([net.outputs_of(net.scaled_logits(x)) for net in self.nets])
        shares = self.shares.astype(self.dtype)[:, None, None]
        mean = (shares * outputs).sum(axis=0)
        spread: np.ndarray = np.sqrt((shares * (outputs - mean) ** 2).sum(axis=0))
        return spread

    def activations_of(self, rows: Any) -> Any:  # noqa: ARG002
        """Raise InputError: these are of a single net."""
        raise InputError("an ensemble has no activations of its own; ask one of its nets")

    def gradients(self, rows: Any, t: Any = None) -> Any:  # noqa: ARG002
        """Raise InputError: these are of a single net."""
        raise InputError("an ensemble has no gradients of its own; ask one of its nets")

    def astype(self, dtype: str) -> "Ensemble":
        """Return the ensemble with all parameters in another dtype."""
        return self.of([net.astype(dtype) for net in self.nets], self.counts)

    def save(self, path: str | Path) -> None:
        """Write all nets, with their counts in the metadata, as one safetensors, atomically."""
        nets = [
            {"sizes": net.sizes, "activations": net.activations, "count": count}
            for net, count in zip(self.nets, self.counts, strict=True)
        ]
        layers: Tensors = {}
        for k, net in enumerate(self.nets):
            layers |= pack(f"nets.{k}", net.params)
        shared = {n: array for n, array in self._tensors().items() if not n.startswith("layers.")}
        about = {**self._architecture(), "nets": nets}
        write_tensors(path, {**layers, **shared}, ENSEMBLE_FORMAT, about)

    @classmethod
    def load(cls, path: str | Path) -> "Ensemble":
        """Open a saved ensemble. Raises InputError where it is missing, damaged or none."""
        return read_tensors(path, ENSEMBLE_FORMAT, cls._unpack)

    @classmethod
    def _unpack(cls, tensors: Tensors, about: dict[str, Any]) -> "Ensemble":
        nets, own = [], _by_net(tensors)
        shared = own.pop("", {})
        check_kinds(about, {"nets": [dict]})
        for k, net in enumerate(about["nets"]):
            check_kinds(net, _NET)
            if net["count"] < 1:
                raise ValueError(f"its net {k} counts {net['count']} times")
            layers = own.pop(f"nets.{k}")
            nets.append(Model._unpack({**layers, **shared}, about | net))
        if own:
            raise ValueError(f"it holds {', '.join(sorted(own))}, which is no part of it")
        if not nets or len({(net.sizes[-1], net.dtype) for net in nets}) > 1:
            raise ValueError("its nets don't belong together")
        return cls.of(nets, [net["count"] for net in about["nets"]])


def open_model(path: str | Path) -> Model:
    """Open a saved model, or ensemble. Raises InputError where it is missing, damaged or none."""

    def build(tensors: Tensors, about: dict[str, Any]) -> Model:
        kind = Ensemble if about["format"] == ENSEMBLE_FORMAT else Model
        return kind._unpack(tensors, about)

    return read_tensors(path, (FORMAT, TABLE_FORMAT, ENSEMBLE_FORMAT), build)


def _by_net(tensors: Tensors) -> dict[str, Tensors]:
    """Return the layers of each net, as a model names them, by the net; what is shared by ""."""
    found: dict[str, Tensors] = {}
    for name, tensor in tensors.items():
        if name.startswith("nets."):
            net, layer = name.split(".", 2)[1:]
            found.setdefault(f"nets.{net}", {})[f"layers.{layer}"] = tensor
        else:
            found.setdefault("", {})[name] = tensor
    return found


def _log_sum(z: np.ndarray, axis: int) -> np.ndarray:
    """Return ln Σ exp z along an axis, which stays, of length 1."""
    highest = z.max(axis=axis, keepdims=True)
    total: np.ndarray = highest + np.log(np.exp(z - highest).sum(axis=axis, keepdims=True))
    return total


def _log_mean(z: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return ln Σ_k s_k exp z_k, (N, C), of z (K, N, C) and shares (K, 1, 1)."""
    mean: np.ndarray = _log_sum(z + np.log(shares), axis=0)[0]
    return mean
