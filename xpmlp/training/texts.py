"""Figures, settings, nets and trainings as people read them."""

from collections.abc import Sequence
from typing import Any, Protocol

from xpmlp.training.config import Config

UNKNOWN = "–"


class Net(Protocol):
    """What a line says of a net."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Widths from the inputs to the outputs."""

    @property
    def activations(self) -> tuple[str, ...]:
        """One per hidden layer."""

    @property
    def loss(self) -> str:
        """Its name."""

    @property
    def n_parameters(self) -> int:
        """The count of all weights and biases."""


def loss_text(value: float) -> str:
    """Return a loss, or an accuracy, to four decimals; a huge one in powers of ten."""
    return f"{value:.4f}" if abs(value) < 1e5 else f"{value:.3e}"


def value_text(value: float) -> str:
    """Return a value to four digits; from 10,000 on, where that says less, as a whole number."""
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e12 else f"{value:.4g}"


def count(number: int, noun: str) -> str:
    """Return `1 seed`, `2 seeds`."""
    ending = "es" if noun.endswith("s") else "s"
    return f"{number:,} {noun}{ending * (number != 1)}"


def named_seeds(seeds: Sequence[int]) -> str:
    """Return `0 to 9` for a range of seeds, else the list `0, 3, 7`."""
    if len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds))


def setting_text(value: Any) -> str:
    """Return the value of a setting, or a list of seeds, as text."""
    if value is None:
        return UNKNOWN
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return named_seeds(value)
    if isinstance(value, tuple):
        return " ".join(map(setting_text, value)) or "none"
    return str(value)


def net_text(model: Net) -> str:
    """Return widths, activations, the count of parameters and the loss of a net in a line."""
    net = "-".join(map(str, model.sizes))
    activations = " ".join(dict.fromkeys(model.activations)) or "no hidden layer"
    return f"{net}, {activations}, {model.n_parameters:,} parameters, {model.loss}"


def training_text(config: Config, batch: str) -> str:
    """Return optimiser, rate, penalties and epochs in a line. batch: the rows of a step."""
    penalties = [
        f"{name} {value:g}" for name, value in (("l2", config.l2), ("l1", config.l1)) if value
    ]
    if config.freeze:
        frozen = "layer" if config.freeze == 1 else f"{config.freeze} layers"
        penalties.append(f"first {frozen} frozen")
    if any(config.dropout):
        penalties.append("dropout " + " ".join(f"{p:g}" for p in config.dropout))
    return ", ".join(
        [
            f"{config.optimizer}, learning rate {config.learning_rate:g} ({config.lr_schedule})",
            *penalties,
            f"batch {batch}",
            count(config.epochs, "epoch"),
        ]
    )
