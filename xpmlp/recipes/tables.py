"""Tables of texts: aligned and wrapped for a terminal, or as Markdown."""

import re
from collections.abc import Sequence
from itertools import zip_longest
from textwrap import wrap

GAP = "  "
INDENT = "  "
NARROWEST = 8


def text_table(rows: Sequence[Sequence[str]], width: int) -> str:
    """Return rows of cells in aligned columns of at most `width` characters together.

    The widest columns give way, and their cells go over several lines.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    room = width - len(GAP) * (len(widths) - 1)
    while sum(widths) > room and max(widths) > NARROWEST:
        widths[widths.index(max(widths))] -= 1
    lines = []
    for row in rows:
        cells = [
            wrap(cell, size, subsequent_indent=INDENT, break_on_hyphens=False)
            for cell, size in zip(row, widths, strict=True)
        ]
        for parts in zip_longest(*cells, fillvalue=""):
            padded = [part.ljust(size) for part, size in zip(parts, widths, strict=True)]
            lines.append(GAP.join(padded).rstrip())
    return "\n".join(lines)


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of plain cells, the first of them the head, as a Markdown table."""
    head, *body = [f"| {' | '.join(map(escape, row))} |" for row in rows]
    return "\n".join([head, "|---" * len(rows[0]) + "|", *body])


def escape(text: str) -> str:
    """Return a plain text on one line so that Markdown shows it as it is."""
    return re.sub(r"([\\`*<|])", r"\\\1", " ".join(text.split()))
