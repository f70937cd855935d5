"""The nodes that make the inputs of the net of what the graph takes: columns, ranks, scaling."""

from collections.abc import Sequence

import numpy as np

from xpmlp.data.dataset import Scaling
from xpmlp.data.tables.rules import ColumnRule
from xpmlp.onnx_export.inputs import INPUT, input_names, takes_texts, through
from xpmlp.onnx_export.nodes import Graph
from xpmlp.training.model import Model

_NEVER = float(np.finfo(np.float32).max)  # no value comes near it


def add_inputs(graph: Graph, model: Model, input_dtype: str) -> str:
    """Add what `Model.prepare` or `Model.scale_inputs` does; return the name of (N, D)."""
    scaling = model.scaling
    dtype = _scaling_dtype(scaling, input_dtype, graph.dtype) if scaling else graph.dtype
    if model.columns:
        x = _add_table(graph, model, input_dtype, dtype)
    else:
        x = graph.cast(INPUT, input_dtype, dtype)
        x = _add_ranks(graph, x, scaling, range(model.sizes[0]), input_dtype)
    if scaling is not None and scaling.shift.any():
        x = graph.add("Sub", x, graph.constant("inputs.shift", scaling.shift.astype(dtype)))
    if scaling is not None and (scaling.width != 1.0).any():
        x = graph.add("Div", x, graph.constant("inputs.width", scaling.width.astype(dtype)))
    return graph.cast(x, dtype, graph.dtype)


def scaling_steps(scaling: Scaling | None) -> int:
    """Return how many steps a scaling is: ranks, a shift, a division, or none of these."""
    if scaling is None:
        return 0
    ranks = scaling.quantiles is not None
    return int(ranks) + int(scaling.shift.any()) + int((scaling.width != 1.0).any())


def _scaling_dtype(scaling: Scaling, input_dtype: str, dtype: str) -> str:
    """Return the dtype to scale in, which is that of the net where nothing is scaled.

    It is float32 where one step in it rounds as float64 and a cast do, such as pixels / 255.
    """
    steps = scaling_steps(scaling)
    if not steps:
        return dtype
    with np.errstate(over="ignore"):
        exact = all(
            (part == part.astype(np.float32)).all() for part in (scaling.shift, scaling.width)
        )
    one_step = input_dtype == dtype == "float32" and steps == 1 and scaling.quantiles is None
    return "float32" if exact and one_step else "float64"


def _add_table(graph: Graph, model: Model, input_dtype: str, dtype: str) -> str:
    """Add what becomes of the columns of a table, (N, D) in `dtype`, before shift and width."""
    rules = model.columns
    numbers = [i for i, rule in enumerate(rules) if rule.is_number]
    parts: list[str] = []
    keys: list[tuple[int, int]] = []
    if numbers:
        parts = _add_numbers(graph, model, input_dtype, dtype)
        keys = [(i, j) for j in range(len(parts)) for i in numbers]
    for i, (rule, name) in enumerate(zip(rules, input_names(model), strict=True)):
        if not rule.is_number:
            parts.append(_add_texts(graph, rule, name, dtype))
            keys += [(i, j) for j in range(len(rule.names))]
    x = _add_concatenation(graph, parts)
    place_of = {key: place for place, key in enumerate(keys)}
    order = [place_of[i, j] for i, rule in enumerate(rules) for j in range(len(rule.names))]
    if order == list(range(len(keys))):
        return x
    return graph.add("Gather", x, graph.constant("columns.order", np.array(order)), axis=1)


def _add_concatenation(graph: Graph, parts: Sequence[str]) -> str:
    return graph.add("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]


def _add_numbers(graph: Graph, model: Model, input_dtype: str, dtype: str) -> list[str]:
    """Add all numbers (N, R), filled where missing; then, if any rule asks, 1 where they were.

    NaN alone isn't equal to itself; OpenCV has no IsNaN, and tract none for float64.
    """
    numbers = [i for i, rule in enumerate(model.columns) if rule.is_number]
    rules, names = [model.columns[i] for i in numbers], input_names(model)
    x = _add_concatenation(graph, [names[i] for i in numbers]) if takes_texts(model) else INPUT
    there = graph.add("Equal", x, x)
    fills = graph.constant("columns.fill", np.array([[rule.fill for rule in rules]], input_dtype))
    filled = graph.cast(graph.add("Where", there, x, fills), input_dtype, dtype)
    ends = np.cumsum([len(rule.names) for rule in model.columns])
    places = [int(ends[i]) - len(model.columns[i].names) for i in numbers]
    filled = _add_ranks(graph, filled, model.scaling, places, input_dtype)
    if not any(rule.missing for rule in rules):
        return [filled]
    return [filled, graph.cast(graph.add("Not", there), "bool", dtype)]


def _add_texts(graph: Graph, rule: ColumnRule, name: str, dtype: str) -> str:
    """Add the numbers (N, W) that stand for the texts (N, 1) of a column."""
    codes = rule.codes
    row_of = _rows_of_spellings(rule, len(codes) - 1)
    row = graph.add(
        "LabelEncoder",
        name,
        domain="ai.onnx.ml",
        keys_strings=list(row_of),
        values_int64s=list(row_of.values()),
        default_int64=len(codes) - 2,
    )
    table = graph.constant(f"columns.{rule.name}", codes.astype(dtype))
    axis = graph.constant("columns", np.array([1], dtype=np.int64))
    return graph.add("Squeeze", graph.add("Gather", table, row, axis=0), axis)


def _rows_of_spellings(rule: ColumnRule, missing: int) -> dict[str, int]:
    """Return the row of codes of each text, among them those of a missing one.

    A yes or no may come in capitals, in small letters, or with a capital, whatever it was before.
    """
    from xpmlp.data.tables.notation import MISSING

    row_of = dict.fromkeys(MISSING, missing)
    if rule.kind == "yes/no":
        for level, row in rule.code_of.items():
            row_of |= dict.fromkeys((level.lower(), level.upper(), level.capitalize()), row)
    return row_of | rule.code_of


def _add_ranks(
    graph: Graph, values: str, scaling: Scaling | None, places: Sequence[int], input_dtype: str
) -> str:
    """Add values (N, R) with ranks in place of those that have any, in float64.

    places: of these columns among those of the scaling. A rank is the mean over Q - 1 pairs of
    neighbouring quantiles. Of two that differ, a ramp counts, from 0 at the lower to 1 at the
    higher; of two that are the same a step, with 1/2 on it, but 0 on the lowest, 1 on the highest.
    OpenVINO 2026 gives wrong values for a ReduceMean that drops its axis, hence the Squeeze.
    """
    if scaling is None or scaling.quantiles is None:
        return values
    quantiles = through(scaling.quantiles[:, places], input_dtype).T
    low, high = quantiles[:, :-1], quantiles[:, 1:]
    same, none = low == high, np.isnan(low)
    on_step = np.where(low == quantiles[:, -1:], 1.0, 0.5)
    on_step[high == quantiles[:, :1]] = 0.0
    constants = {
        "axis": np.array([2], dtype=np.int64),
        "low": np.where(same | none, _NEVER, low),
        "width": np.where(same | none, 1.0, high - low),
        "step": np.where(same, low, _NEVER),
        "on_step": on_step,
        "zero": np.zeros(()),
        "one": np.ones(()),
    }
    axis, low_, width, step, on, zero, one = (
        graph.constant(f"quantiles.{name}", array) for name, array in constants.items()
    )
    x = graph.add("Unsqueeze", values, axis)
    ramps = graph.add("Clip", graph.add("Div", graph.add("Sub", x, low_), width), zero, one)
    steps = graph.add("Where", graph.add("Greater", x, step), one, zero)
    steps = graph.add("Where", graph.add("Equal", x, step), on, steps)
    ranks = graph.add("ReduceMean", graph.add("Add", ramps, steps), axes=[2], keepdims=1)
    ranks = graph.add("Squeeze", ranks, axis)
    if not none.any():
        return ranks
    kept = graph.constant("quantiles.kept", none[:, 0].astype(np.float64))
    return graph.add("Add", ranks, graph.add("Mul", values, kept))
