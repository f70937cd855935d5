"""From typed columns to the matrix that a net takes, by rules that training rows alone decide."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from xpmlp.data.rows import ROWS_AT_ONCE, Scaling
from xpmlp.data.scaling import loses_digits, statistics
from xpmlp.data.tables.columns import Column
from xpmlp.data.tables.rules import ColumnRule
from xpmlp.errors import InputError

MOST_LEVELS = 64

Take = Callable[[Any], np.ndarray]


def fit_rules(columns: Sequence[Column], rows: np.ndarray | None = None) -> tuple[ColumnRule, ...]:
    """Return a rule for each column, from the entries in some rows alone.

    rows: indices (n,); None: all. A category gets a column for each level, up to 64; beyond, the
    63 most frequent get one, and all others one together.
    """
    return tuple(_fit(column, _chosen(column, rows)) for column in columns)


def _chosen(column: Column, rows: Any) -> np.ndarray:
    return column.values if rows is None else column.values[rows]


def _fit(column: Column, values: np.ndarray) -> ColumnRule:
    about = (column.name, column.kind, column.notation)
    if column.kind == "category":
        kept, rare = _levels(column.levels, values[values >= 0])
        missing = bool((values == -1).any())
        return ColumnRule(*about, kept + rare, len(kept), bool(rare), missing=missing)
    known = values[~np.isnan(values)]
    with np.errstate(over="ignore"):
        fill = float(np.median(known)) if len(known) else 0.0
    return ColumnRule(*about, column.levels, fill=fill, missing=len(known) < len(values))


def _levels(levels: tuple[str, ...], places: np.ndarray) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the levels with a column each, and those, two or more, that share one as rare ones."""
    from sklearn.preprocessing import OneHotEncoder

    if not len(places):
        return (), ()
    encoder = OneHotEncoder(max_categories=MOST_LEVELS, handle_unknown="ignore")
    encoder.fit(places[:, None])
    found, rare = encoder.categories_[0], encoder.infrequent_categories_[0]
    if rare is None or len(rare) == 1:  # alone, of 64 levels, it has a column of its own as well
        rare = found[:0]
    kept = np.setdiff1d(found, rare, assume_unique=True)
    return tuple(levels[place] for place in kept), tuple(levels[place] for place in rare)


def fit_scaling(
    rules: Sequence[ColumnRule],
    columns: Sequence[Column],
    rows: np.ndarray | None = None,
    scale: str = "standard",
) -> Scaling:
    """Return the scaling of the matrix: of numbers and dates by some rows, of all else none.

    rows: indices (n,); None: all. scale: as for `xpmlp.data.scaling.statistics`.
    """
    D = len(feature_names(rules))
    scaling = Scaling(np.zeros(D), np.ones(D))
    place = 0
    for rule, column in _matched(rules, columns):
        if rule.is_number:
            values = _filled(rule, _chosen(column, rows))
            with np.errstate(over="ignore", invalid="ignore"):
                of_column = statistics(values[:, None], scale)
            scaling = _with(scaling, place, of_column)
        place += len(rule.names)
    return scaling


def _with(scaling: Scaling, place: int, of_column: Scaling) -> Scaling:
    """Return a scaling after one of its columns was given its own."""
    shift, width, quantiles = scaling
    if of_column.quantiles is not None:
        if quantiles is None:
            quantiles = np.full((len(of_column.quantiles), len(shift)), np.nan)
        quantiles[:, place] = of_column.quantiles[:, 0]
    shift[place], width[place] = of_column.shift[0], of_column.width[0]
    return Scaling(shift, width, quantiles)


def feature_names(rules: Sequence[ColumnRule]) -> tuple[str, ...]:
    """Return the names of the matrix's columns, (D,)."""
    return tuple(name for rule in rules for name in rule.names)


def matrix(
    rules: Sequence[ColumnRule],
    columns: Sequence[Column],
    rows: np.ndarray | None = None,
    scaling: Scaling | None = None,
    dtype: str = "float64",
) -> np.ndarray:
    """Return the matrix (n, D) of some rows, in `dtype`, scaled where a scaling is given.

    columns: those of the rules, found by name; others may stand between. rows: indices (n,);
    None: all. What it takes beside the result is little: some rows at a time are computed. Values
    too large for `dtype` become infinite.

    Raises InputError for a column that is not there, or is of another type than its rule.
    """
    takes = [_take(rule, column) for rule, column in _matched(rules, columns)]
    n = len(columns[0]) if rows is None else len(rows)
    out = np.empty((n, len(feature_names(rules))), dtype)
    for start in range(0, n, ROWS_AT_ONCE):
        piece = slice(start, start + ROWS_AT_ONCE)
        chosen = piece if rows is None else rows[piece]
        block = np.concatenate([take(chosen) for take in takes], axis=1)
        with np.errstate(over="ignore", invalid="ignore"):
            out[piece] = block if scaling is None else scaling.apply(block, dtype)
    return out


def too_large(rules: Sequence[ColumnRule], scaling: Scaling, x: np.ndarray) -> str | None:
    """Return the first of the matrix's columns that has an infinite scaling or infinite values."""
    finite = scaling.is_finite & np.isfinite(x).all(axis=0)
    return None if finite.all() else feature_names(rules)[int(np.argmin(finite))]


def _take(rule: ColumnRule, column: Column) -> Take:
    """Return a function that gives what some rows of a column become, (n, W), float64."""
    if rule.is_number:
        return lambda rows: _numbers(rule, column.values[rows])
    codes = rule.codes
    if rule.kind == "yes/no":
        return lambda rows: codes.take(_yes_or_no(column.values[rows]), axis=0)
    unknown, missing = len(codes) - 2, len(codes) - 1
    code_of = rule.code_of
    places = np.array([*(code_of.get(level, unknown) for level in column.levels), unknown, missing])
    return lambda rows: codes.take(places.take(column.values[rows]), axis=0)


def _yes_or_no(values: np.ndarray) -> np.ndarray:
    """Return 0 or 1, and -1 where missing, as places."""
    return np.where(np.isnan(values), -1, values).astype(np.intp)


def _numbers(rule: ColumnRule, values: np.ndarray) -> np.ndarray:
    filled = _filled(rule, values)
    return np.stack([filled, np.isnan(values)], axis=1) if rule.missing else filled[:, None]


def _filled(rule: ColumnRule, values: np.ndarray) -> np.ndarray:
    filled: np.ndarray = np.where(np.isnan(values), rule.fill, values)
    return filled


def _matched(
    rules: Sequence[ColumnRule], columns: Sequence[Column]
) -> list[tuple[ColumnRule, Column]]:
    """Return each rule with its column. Raises InputError where there is none, or another type."""
    known = {column.name: column for column in columns}
    for rule in rules:
        column = known.get(rule.name)
        if column is None:
            raise InputError(f"there is no column {rule.name!r}, which the model takes")
        if column.kind != rule.kind:
            raise InputError(f"column {rule.name!r} is a {column.kind}, and must be a {rule.kind}")
        if rule.kind == "yes/no" and column.levels != rule.levels:
            raise InputError(
                f"column {rule.name!r} has {' and '.join(column.levels)}, and must have "
                f"{' and '.join(rule.levels)}"
            )
    return [(rule, known[rule.name]) for rule in rules]


def lost_digits(
    rules: Sequence[ColumnRule],
    columns: Sequence[Column],
    rows: np.ndarray | None = None,
    dtype: str = "float32",
) -> tuple[str, ...]:
    """Return the names of columns that lose digits in `dtype` where they are not scaled.

    rows: indices (n,); None: all. See `xpmlp.data.scaling.loses_digits`.
    """
    return tuple(
        rule.name
        for rule, column in _matched(rules, columns)
        if rule.is_number and loses_digits(_filled(rule, _chosen(column, rows)), dtype)
    )
