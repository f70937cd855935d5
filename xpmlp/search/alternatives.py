"""What an option of a sweep may be: values and ranges, read from a text.

A comma stands between alternatives, `x` between the layers of one, and `a..b` is a range of which
every power of ten is as likely: `64,128x128`, `1e-4..1e-1`, `16..64x16..64`.
"""

import math
from argparse import ArgumentTypeError
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, fields
from typing import Any

from xpmlp.errors import InputError, unknown_name
from xpmlp.nn.activations import ACTIVATIONS
from xpmlp.training.config import Config
from xpmlp.training.options import shown

DIGITS = 4  # of a number that is drawn from a range
NONE = "none"
WHAT_IS_LEARNT = ("dataset", "data_dir", "label", "task", "header", "max_unpacked")
FIXED = (*WHAT_IS_LEARNT, "seed", "seeds", "tiles")  # the same in all trials
COLUMNS = ("features", "drop")  # whose names may have an x
EXAMPLES = {int: ("16,64", "8..256"), float: ("0.01,0.1", "1e-4..1e-1"), str: ("one,other", "")}


@dataclass(frozen=True)
class Range:
    """The numbers from low to high, spread evenly by their logarithm; whole: rounded to such."""

    low: float
    high: float
    whole: bool = False

    def at(self, share: float) -> float | int:
        """Return the number at a share, in [0, 1), of the way, to four digits."""
        value = float(self.low * (self.high / self.low) ** share)
        if self.whole:
            return round(value)
        return min(self.high, max(self.low, float(f"{value:.{DIGITS}g}")))


@dataclass(frozen=True)
class Alternative:
    """One thing that an option may be: a value or range, or one for each layer."""

    pieces: tuple[Any, ...]
    of_layers: bool = False

    @property
    def ranges(self) -> int:
        """How many numbers of it are drawn."""
        return sum(isinstance(piece, Range) for piece in self.pieces)

    def value(self, shares: Sequence[float] = ()) -> Any:
        """Return the value with its ranges at these shares, one each."""
        left = iter(shares)
        values = (p.at(next(left)) if isinstance(p, Range) else p for p in self.pieces)
        return tuple(values) if self.of_layers else next(values)


Alternatives = tuple[Alternative, ...]


def read_options(given: Mapping[str, Any]) -> dict[str, Alternatives]:
    """Return the alternatives of each option that is given, in the order of `Config`.

    given: by name a text, or several words, of the command line; or a value of a file, where a
    text says alternatives too. Raises InputError for an unknown name and for what can't be read.
    """
    for name in given:
        if name not in Config.names():
            raise unknown_name("option", name, Config.names())
    items = {item.name: item for item in fields(Config)}
    return {name: _alternatives(items[name], given[name]) for name in items if name in given}


def is_swept(alternatives: Alternatives) -> bool:
    """Tell whether there is anything to choose."""
    return len(alternatives) > 1 or alternatives[0].ranges > 0


def _alternatives(item: "Field[Any]", given: Any) -> Alternatives:
    if item.name in FIXED:
        return (Alternative((_parsed(item, given) if isinstance(given, str) else given,)),)
    if isinstance(given, list) and len(given) == 1 and isinstance(given[0], str):
        given = given[0]
    if isinstance(given, str):
        return _of_text(item, given)
    if not isinstance(given, list | tuple):
        return (Alternative((given,), _has_layers(item)),)
    words = [_parsed(item, one) if isinstance(one, str) else one for one in given]
    return (Alternative(tuple(words), of_layers=True),)


def _of_text(item: "Field[Any]", text: str) -> Alternatives:
    found: dict[Alternative, None] = {}
    for part in text.split(","):
        alternative = _alternative(item, part, text)
        if alternative in found:
            raise InputError(f"{_flag(item)} has {part} twice: {shown(text)}")
        found[alternative] = None
    return tuple(found)


def _alternative(item: "Field[Any]", part: str, text: str) -> Alternative:
    if not part.strip():
        raise InputError(f"{_flag(item)} {shown(text)} has an empty alternative{_hint(item)}")
    layers = _has_layers(item)
    if part == NONE and layers:
        return Alternative((), of_layers=True)
    if part == NONE and item.default is item.metadata["usual"] is None and _is_number(item):
        return Alternative((None,))
    if not layers or item.name in COLUMNS or part in ACTIVATIONS:
        return Alternative((_piece(item, part),), layers)
    return Alternative(tuple(_piece(item, word) for word in part.split("x")), of_layers=True)


def _piece(item: "Field[Any]", text: str) -> Any:
    """Return the value of one piece, or its range."""
    if not _is_number(item) or ".." not in text:
        return _parsed(item, text)
    low, high = (_parsed(item, end) for end in text.split("..", 1))
    if not 0 < low < high < math.inf:
        raise InputError(
            f"{_flag(item)} {text}: a range goes from a number above 0 to a larger one, as it is "
            f"drawn by powers of ten{_hint(item)}"
        )
    return Range(low, high, whole=isinstance(low, int) and isinstance(high, int))


def _parsed(item: "Field[Any]", text: str) -> Any:
    kind, choices = item.metadata["kind"], item.metadata.get("choices")
    parse: Callable[[str], Any] = item.metadata.get("parse", kind)
    try:
        value = parse(text)
    except (ValueError, ArgumentTypeError) as error:
        if item.name in FIXED:
            what = str(error) if isinstance(error, ArgumentTypeError) else "not one number"
            raise InputError(
                f"{_flag(item)} {shown(text)}: {what}; it is the same in all trials"
            ) from error
        expected = "whole number" if kind is int else "number"
        raise InputError(f"{_flag(item)} {shown(text)} is no {expected}{_hint(item)}") from error
    if choices and value not in choices:
        raise unknown_name(item.name, value, choices)
    return value


def _has_layers(item: "Field[Any]") -> bool:
    return isinstance(item.metadata["usual"], tuple)


def _is_number(item: "Field[Any]") -> bool:
    return item.metadata["kind"] in (int, float)


def _flag(item: "Field[Any]") -> str:
    return "--" + item.name.replace("_", "-")


def _hint(item: "Field[Any]") -> str:
    """Return how alternatives of an option are written, for the end of a message."""
    several, between = EXAMPLES[item.metadata["kind"]]
    layers = ", layers as 64x32" if item.name == "hidden" else ""
    return f"; write alternatives as {several}{layers}" + (
        f", a range as {between}" * bool(between)
    )
