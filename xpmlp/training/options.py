"""How a field of the config is declared, and how the command line and files have one."""

import reprlib
import sys
import tomllib
from argparse import ArgumentTypeError
from dataclasses import Field, field, fields
from functools import wraps
from numbers import Number
from pathlib import Path
from typing import Any, TypeVar

from xpmlp.errors import InputError, unknown_name

Options = TypeVar("Options", bound=type)

MOST_SEEDS = 10_000


def option(default: Any, group: str, text: str, kind: type | None = None, **more: Any) -> Any:
    """Declare a field: its type (else that of the default), and what the command line says."""
    return field(default=default, metadata=_metadata(default, group, text, kind, more))


def left_to_data(usual: Any, group: str, text: str, **more: Any) -> Any:
    """Declare a field that is None until the data is known; usual: its value but for tables."""
    return field(default=None, metadata=_metadata(usual, group, text, None, more))


def _metadata(
    usual: Any, group: str, text: str, kind: type | None, more: dict[str, Any]
) -> dict[str, Any]:
    example = usual[0] if isinstance(usual, tuple) and usual else usual
    about = {"group": group, "help": text, "kind": kind or type(example), "usual": usual}
    return about | more


def number(text: str) -> float | int:
    """Return an int where the text is a whole number, so that 1 is a count and 0.1 a share."""
    return int(text) if text.isdecimal() else float(text)


def count_or_list(text: str) -> tuple[int, ...]:
    """Return the seeds of a count, `10` for 0 to 9, or of a list, `0,3,7`; never none."""
    words = text.split(",")
    if not all(word.isdecimal() and len(word) < 20 for word in words) or text.strip("0") == "":
        raise ArgumentTypeError(f"expected a count, as 10, or a list, as 0,3,7, got {text!r}")
    numbers = tuple(int(word) for word in words)
    if len(numbers) > 1:
        return numbers
    if numbers[0] > MOST_SEEDS:
        raise ArgumentTypeError(f"{text} seeds are too many; the most are {MOST_SEEDS:,}")
    return tuple(range(numbers[0]))


def refuse_unknown(options: Options) -> Options:
    """Make a dataclass of options raise InputError, not TypeError, for a name that is none."""
    made = options.__init__  # type: ignore[misc]
    names = [item.name for item in fields(options)]

    @wraps(made)
    def checked(self: Any, /, *values: Any, **named: Any) -> None:
        for name in named:
            if name not in names:
                raise unknown_name("option", name, names)
        made(self, *values, **named)

    options.__init__ = checked  # type: ignore[misc]
    return options


def plain(item: "Field[Any]", value: Any) -> Any:
    """Return NumPy's numbers as Python's, and one word or number as a tuple where it stands."""
    value = _as_python(value)
    if not isinstance(item.metadata["usual"], tuple) or (value is None and item.default is None):
        return value
    if isinstance(value, list | tuple | range) or hasattr(value, "tolist"):
        return tuple(_as_python(single) for single in value)
    return (value,)


def _as_python(value: Any) -> Any:
    return value.item() if isinstance(value, Number) and hasattr(value, "item") else value


_KINDS = {int: "whole number", float: "finite number", str: "text"}


def check_types(config: Any) -> None:
    """Raise InputError where an option of a config is of another type than it takes."""
    for item in fields(config):
        value, usual, kind = (
            getattr(config, item.name),
            item.metadata["usual"],
            item.metadata["kind"],
        )
        if value is None and item.default is None:
            continue
        values = value if isinstance(usual, tuple) else (value,)
        if not all(_is_a(kind, single) for single in values):
            example = f"; the default is {usual!r}" if usual is not None else ""
            expected = f"{_KINDS[kind]}s" if isinstance(usual, tuple) else f"a {_KINDS[kind]}"
            raise InputError(f"{item.name} can't be {shown(value)}; expected {expected}{example}")


def shown(value: Any) -> str:
    """Return a value in a few words, for messages."""
    if isinstance(value, int) and not _is_in_64_bits(value):
        return "a whole number beyond 64 bits"
    try:
        text = reprlib.repr(value)
    except ValueError:  # of a whole number in it, which has more digits than Python writes
        return "a number of thousands of digits"
    return f"a {type(value).__name__}" if "\n" in text else text


def _is_in_64_bits(number: int) -> bool:
    return -(1 << 63) <= number < 1 << 63


def _is_a(kind: type, value: Any) -> bool:
    if isinstance(value, bool):
        return False
    if kind is float:
        return isinstance(value, float | int) and abs(value) <= sys.float_info.max
    if kind is int:
        return isinstance(value, int) and _is_in_64_bits(value)
    return isinstance(value, kind)


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read a TOML file's table. Raises InputError where it is missing or damaged."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"can't read the configuration {path}: {error.strerror}") from error
    except RecursionError as error:
        raise InputError(f"{path} is not a TOML file: it is nested too deeply") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a TOML file: {error}") from error
    except ValueError as error:
        raise InputError(f"{path} has a number of thousands of digits") from error
