"""The ranges from which the nets of an ensemble draw their hyperparameters."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any

import numpy as np

from xpmlp.errors import InputError, unknown_name
from xpmlp.training.config import LEFT_TO_DATA, Config

SPANS = ("learning_rate", "l2")


@dataclass(frozen=True)
class Ranges:
    """What the nets of an ensemble may have; each option of a `Config` is drawn by itself.

    learning_rate, l2: lowest and highest, in whose logarithms the draws are uniform. l2 is
        AdamW's decay of weights, and a penalty under other optimisers.
    l2_zeros: the share of nets without.
    All others: choices, of which each is as likely. hidden: widths. label_smoothing is of classes.
    """

    learning_rate: tuple[float, float] = (5e-4, 1e-2)
    l2: tuple[float, float] = (0.01, 3.0)
    l2_zeros: float = 0.125
    dropout: tuple[float, ...] = (0.0, 0.1, 0.3, 0.5)
    label_smoothing: tuple[float, ...] = (0.0, 0.1)
    hidden: tuple[tuple[int, ...], ...] = ((64, 64),)
    activation: tuple[str, ...] = ("relu",)
    optimizer: tuple[str, ...] = ("adamw",)

    def __post_init__(self) -> None:
        for name in SPANS:
            low, high = _pair(name, getattr(self, name))
            if not 0 < low <= high:
                raise InputError(
                    f"the range of {name} is {low:g} to {high:g}; both must be above 0, in order"
                )
        if not 0 <= self.l2_zeros <= 1:
            raise InputError(f"l2_zeros is {self.l2_zeros}; it must be a share from 0 to 1")
        for name in CHOICES:
            if isinstance(getattr(self, name), str) or not len(getattr(self, name)):
                raise InputError(f"the choices of {name} must be a list of one or more")

    @classmethod
    def of(cls, given: "Mapping[str, Any] | Ranges | None") -> "Ranges":
        """Return the usual ranges with those that are given, by name, in their place.

        Raises InputError for an unknown name and for what is no range.
        """
        if isinstance(given, Ranges):
            return given
        names = [item.name for item in fields(cls)]
        for name in given or {}:
            if name not in names:
                raise unknown_name("range", name, names)
        return replace(cls(), **(given or {}))

    def draw(
        self, base: Config, n: int, random: np.random.Generator, fixed: Collection[str] = ()
    ) -> list[Config]:
        """Return N configs, of the base's options but for those that are drawn, and the seed.

        fixed: options that are not drawn.

        A span is cut into N parts, as likely as each other, of which each net has another (Latin
        hypercube: McKay, Beckman and Conover 1979); so choices come equally often, up to one.
        """
        drawn: dict[str, list[Any]] = {"seed": random.integers(2**31, size=n).tolist()}
        rates, penalties = (_spread(getattr(self, name), n, random) for name in SPANS)
        without = random.permutation(n) < round(self.l2_zeros * n)
        drawn |= {"learning_rate": rates, "l2": np.where(without, 0.0, penalties).tolist()}
        for name in CHOICES:
            choices: Sequence[Any] = getattr(self, name)
            drawn[name] = [choices[i % len(choices)] for i in random.permutation(n)]
        left_out = {*fixed}
        if base.loss not in ("auto", "softmax_cross_entropy"):
            left_out.add("label_smoothing")
        configs = []
        for i in range(n):
            own = {name: values[i] for name, values in drawn.items() if name not in left_out}
            if own.get("hidden", base.hidden) == ():
                own["dropout"] = 0.0
            configs.append(base.replace(**own))
        return configs


CHOICES = tuple(item.name for item in fields(Ranges) if item.name not in (*SPANS, "l2_zeros"))
DRAWN = (*SPANS, *CHOICES, "seed")


def fixed_in(asked: Config) -> set[str]:
    """Return the options of ranges that a config, before it is filled in, has values for."""
    smoothed = {"label_smoothing"} if asked.label_smoothing else set()
    return {n for n in DRAWN if n in LEFT_TO_DATA and getattr(asked, n) is not None} | smoothed


def _pair(name: str, span: Any) -> tuple[float, float]:
    try:
        ((low, high),) = pairwise(span)
        return float(low), float(high)
    except (TypeError, ValueError):
        raise InputError(
            f"the range of {name} must be two numbers, the lowest and the highest, got {span!r}"
        ) from None


def _spread(span: Sequence[float], n: int, random: np.random.Generator) -> list[float]:
    """Return N numbers, one of each Nth of the span's logarithms, in any order."""
    low, high = np.log(span)
    places = (random.permutation(n) + random.random(n)) / n
    numbers: list[float] = np.exp(low + places * (high - low)).tolist()
    return numbers
