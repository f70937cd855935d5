"""Which types the values of a JSON object have, checked at once before any of them is used."""

import json
import re
import reprlib
import sys
from collections.abc import Collection, Mapping
from typing import Any

Kind = Any  # what `check_kinds` says

_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_WORDS = {str: "a text", bool: "true or false", int: "a whole number", float: "a finite number"}


def read_json(text: str) -> dict[str, Any]:
    """Return the object in a JSON text.

    Raises ValueError for anything else, also NaN, and for texts that are no characters.
    """
    try:
        found = json.loads(text, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError(f"expected one JSON object, got {reprlib.repr(found)}")
    if _HALF.search(text) and not _can_be_written(found):
        raise ValueError("a text in it holds half a character, a surrogate")
    return found


def _can_be_written(found: dict[str, Any]) -> bool:
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def check_kinds(
    values: Mapping[str, Any], kinds: Mapping[str, Kind], optional: Collection[str] = ()
) -> None:
    """Raise ValueError where a value is not of its kind, KeyError where one is missing.

    kinds: for each name str, bool, int of 64 bits, float, which a whole number is too, a list of
    one kind, None for null, or a tuple of several, one of which it must be. optional: the names
    that may be missing. Names without a kind are not looked at.
    """
    for name, kind in kinds.items():
        if name in values:
            if not _is_of(values[name], kind):
                found = reprlib.repr(values[name])
                raise ValueError(f"its {name} is {found}, expected {_words(kind)}")
        elif name not in optional:
            raise KeyError(name)


def _is_of(value: Any, kind: Kind) -> bool:
    if isinstance(kind, tuple):
        return any(_is_of(value, one) for one in kind)
    if isinstance(kind, list):
        return isinstance(value, list | tuple) and all(_is_of(item, kind[0]) for item in value)
    if kind is float:
        return type(value) in (int, float) and abs(value) <= sys.float_info.max
    if kind is int:
        return type(value) is int and abs(value) < 1 << 63
    return value is None if kind is None else type(value) is kind


def _words(kind: Kind) -> str:
    if isinstance(kind, tuple):
        return " or ".join(map(_words, kind))
    if isinstance(kind, list):
        return f"a list, each of it {_words(kind[0])}"
    return "null" if kind is None else _WORDS.get(kind, "an object")


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is no number that JSON has")
