"""What Python and notebooks show of an object: a title and a few lines, each with a name."""

from html import escape
from typing import Any

Lines = list[tuple[str, str]]

_NARROWEST = 12
_LEFT = "style='text-align:left'"


class Described:
    """Gives a class its text and its table, of what `described` returns."""

    __slots__ = ()

    def described(self) -> tuple[str, Lines]:
        """Return a title, and lines of a name and a text."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return as_text(*self.described())

    def _repr_html_(self) -> str:
        return as_html(*self.described())


def as_text(title: str, lines: Lines) -> str:
    """Return title and lines as plain text."""
    width = max([_NARROWEST, *(len(name) + 2 for name, _ in lines)])
    return "\n".join([title, *(f"  {name:<{width}}{text}" for name, text in lines)])


def as_html(title: str, lines: Lines) -> str:
    """Return the same as a small HTML table, without scripts."""
    rows = "".join(
        f"<tr><th {_LEFT}>{escape(name)}</th><td {_LEFT}>{escape(text)}</td></tr>"
        for name, text in lines
    )
    return f"<table><caption {_LEFT}>{escape(title)}</caption>{rows}</table>"


def listed(names: Any, most: int = 6) -> str:
    """Return names with commas, of many the first."""
    texts = [str(name) for name in names[:most]]
    return ", ".join([*texts, "…"] if len(names) > most else texts)
