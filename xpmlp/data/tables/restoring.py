"""From rows of the matrix back to the entries of their table, as people read them."""

import math
from collections.abc import Sequence

import numpy as np

from xpmlp.data.tables.rules import ColumnRule

MISSING, UNKNOWN, RARE = "missing", "unknown", "rare"

_MINUTES = 0.01


def entries(rules: Sequence[ColumnRule], raw: np.ndarray) -> list[list[str]]:
    """Return the entry of each column in each row of a matrix (N, D) without its scaling.

    A level that shares its column is `rare`; what no column of a category tells of is `unknown`.
    """
    ends = np.cumsum([len(rule.names) for rule in rules])[:-1]
    blocks = np.split(raw, ends, axis=1)
    columns = [
        [_entry(rule, row) for row in block] for rule, block in zip(rules, blocks, strict=True)
    ]
    return [list(row) for row in zip(*columns, strict=True)]


def _entry(rule: ColumnRule, row: np.ndarray) -> str:
    if rule.missing and row[-1] > 0.5:
        return MISSING
    if rule.kind == "category":
        shown = [*rule.levels[: rule.kept], *[RARE] * rule.rare]
        return next((text for text, on in zip(shown, row, strict=False) if on > 0.5), UNKNOWN)
    if rule.kind == "yes/no":
        return rule.levels[int(row[0] > 0.5)]
    return _date(row[0]) if rule.kind == "date" else _number(row[0])


def _number(value: float) -> str:
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.4g}"


def _date(days: float) -> str:
    """Return the day, which scaling in float32 may have moved by some minutes."""
    return str(np.datetime64(math.floor(days + _MINUTES), "D"))
