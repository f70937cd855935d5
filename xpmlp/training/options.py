"""How a field of the config is declared, and how the command line reads one."""

from argparse import ArgumentTypeError
from dataclasses import field
from typing import Any

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
