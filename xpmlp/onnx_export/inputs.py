"""What a graph takes: one matrix of numbers, or the columns of a table with texts."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from xpmlp.data.tables.columns import Column
from xpmlp.data.tables.rules import ColumnRule
from xpmlp.onnx_export.nodes import OUTPUTS, free_name
from xpmlp.training.model import Model

INPUT = "x"
TEXT = "string"

Raw = np.ndarray | Sequence[Column]


class Tensor(NamedTuple):
    """An input or output of the graph; its shape has "N" for the number of rows, which is free."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


def inputs_of(model: Model, input_dtype: str) -> list[Tensor]:
    """Return the inputs of the graph: a matrix `x` of numbers, or one for each column of a table.

    The latter where any of them holds texts; each then has the name of its column.
    """
    if not takes_texts(model):
        return [Tensor(INPUT, input_dtype, ("N", len(model.columns) or model.sizes[0]))]
    return [
        Tensor(name, input_dtype if rule.is_number else TEXT, ("N", 1))
        for rule, name in zip(model.columns, input_names(model), strict=True)
    ]


def takes_texts(model: Model) -> bool:
    """Tell whether any column of the model is of texts."""
    return not all(rule.is_number for rule in model.columns)


def input_names(model: Model) -> list[str]:
    """Return the name that each column has as an input; that of an output gets a _ at its end."""
    names: list[str] = []
    for rule in model.columns:
        names.append(free_name(rule.name, {*OUTPUTS, *names}))
    return names


def feeds(model: Model, rows: Raw, input_dtype: str) -> dict[str, np.ndarray]:
    """Return raw rows as the graph takes them: an array for each input.

    rows: features (N, D), float; or the columns of a table, each found by its name.
    """
    if isinstance(rows, np.ndarray):
        return {INPUT: rows.astype(input_dtype)}
    known = {column.name: column for column in rows}
    columns = [known[rule.name] for rule in model.columns]
    if not takes_texts(model):
        return {INPUT: np.stack([c.values for c in columns], axis=1).astype(input_dtype)}
    return {
        name: (c.values.astype(input_dtype) if rule.is_number else _texts(rule, c))[:, None]
        for name, rule, c in zip(input_names(model), model.columns, columns, strict=True)
    }


def _texts(rule: ColumnRule, column: Column) -> np.ndarray:
    """Return the entries (N,) of a category or a yes/no as texts; one that is missing is empty."""
    unknown = max(rule.levels, key=len, default="") + "+"
    values = np.nan_to_num(column.values, nan=-1).astype(np.intp)
    texts: np.ndarray = np.array([*column.levels, unknown, ""], dtype=object)[values]
    return texts


def rounded(rows: Raw, dtype: str) -> Raw:
    """Return raw rows with their numbers as a graph of that input dtype knows them."""
    if isinstance(rows, np.ndarray):
        return rows.astype(dtype)
    return [
        column if column.levels else replace(column, values=through(column.values, dtype))
        for column in rows
    ]


def through(values: np.ndarray, dtype: str) -> np.ndarray:
    """Return values rounded to a dtype, in float64; too large ones become infinite."""
    with np.errstate(over="ignore"):
        return values.astype(dtype).astype(np.float64)
