"""What each operation of the Array API is in ONNX nodes of opset 18: a table, at the foot.

ONNX has no log1p and expm1; they come by W. Kahan's trick, as in Higham 2002, "Accuracy and
stability of numerical algorithms", section 1.14.1: with u = fl(1 + x), ln(1 + x) is x ln(u)/(u - 1)
to the last digits, as the errors of both factors cancel.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from xpmlp.onnx_export.tracing import (
    NotTraceable,
    Shape,
    Size,
    Traced,
    TracingNamespace,
    broadcast,
    count,
    of_graph,
    together,
)
from xpmlp.types import Array

Operation = Callable[..., Traced]


def _unary(operator: str) -> Operation:
    return lambda x: x.node(operator, x.shape)


def _binary(operator: str, dtype: Any = None) -> Operation:
    """Return an element-wise operation of two arguments; dtype: of the result, None for theirs."""

    def operate(x: Any, y: Any) -> Traced:
        _, _, (a, b) = together(x, y)
        return a.node(operator, broadcast([a.shape, b.shape]), b.name, dtype=dtype)

    return operate


def _add(x: Any, y: Any) -> Traced:
    """Return x + y; the 0 with which Python's `sum` begins is left out."""
    for number, other in ((x, y), (y, x)):
        if isinstance(number, int) and number == 0 and isinstance(other, Traced):
            return other
    return _binary("Add")(x, y)


def _log1p(x: Array) -> Array:
    u = x + 1.0
    return where(u == 1.0, x, x * (log(u) / where(u == 1.0, 1.0, u - 1.0)))


def _expm1(x: Array) -> Array:
    """Return eˣ - 1, of an x within the range in which eˣ and its logarithm are finite."""
    limits = np.finfo(x.dtype)
    x = minimum(maximum(x, math.log(limits.tiny) + 1.0), math.log(limits.max) - 1.0)
    u = exp(x)
    return where(u == 1.0, x, (u - 1.0) * (x / where(u == 1.0, 1.0, log(u))))


def _right_shift(x: Array, by: int) -> Array:
    """Return x >> by, arithmetic: what is left without the lowest bits is divided exactly."""
    lowest = x & (2**by - 1)
    return _binary("Div")(x - lowest, 2**by)


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    axes = range(ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return tuple(sorted(a % ndim for a in axes))


def _reduction(operator: str) -> Operation:
    def reduce(x: Traced, *, axis: Any = None, keepdims: bool = False) -> Traced:
        axes = _axes(axis, x.ndim)
        kept = [1 if i in axes else size for i, size in enumerate(x.shape)]
        shape = kept if keepdims else [s for i, s in enumerate(x.shape) if i not in axes]
        names = x.graph.value(axes, "int64")
        return x.node(operator, tuple(shape), names, keepdims=int(keepdims))

    return reduce


_sum = _reduction("ReduceSum")


def _matmul(x: Any, y: Any) -> Traced:
    _, _, (a, b) = together(x, y)
    leading = broadcast([a.shape[:-2], b.shape[:-2]])
    return a.node("MatMul", (*leading, a.shape[-2], b.shape[-1]), b.name)


def _vecdot(x: Any, y: Any, axis: int = -1) -> Traced:
    return _sum(_binary("Mul")(x, y), axis=axis)


def _matrix_transpose(x: Traced) -> Traced:
    order = [*range(x.ndim - 2), x.ndim - 1, x.ndim - 2]
    return x.node("Transpose", tuple(x.shape[i] for i in order), perm=order)


def _reshape(x: Traced, shape: Shape) -> Traced:
    shape = tuple(shape)
    if shape == x.shape:
        return x
    unknown = [i for i, size in enumerate(shape) if isinstance(size, Size) or size == -1]
    if len(unknown) > 1:
        raise NotTraceable(f"a reshape to {shape}, of which several sizes are free")
    numbers = [-1 if i in unknown else size for i, size in enumerate(shape)]
    full = tuple(_left(x.shape, shape) if size == -1 else size for size in shape)
    return x.node("Reshape", full, x.graph.value(numbers, "int64"))


def _left(old: Shape, new: Shape) -> Any:
    """Return the size that -1 means among those of a new shape."""
    known = math.prod(size for size in new if size != -1)
    total = count(old)
    return total // known if isinstance(total, int) else total


def _getitem(x: Traced, key: Any) -> Traced:
    """Return x[key] with numbers, None, `...` and whole slices in the key."""
    keys = list(key if isinstance(key, tuple) else (key,))
    missing = x.ndim - sum(k is not None and k is not ... for k in keys)
    place = keys.index(...) if ... in keys else len(keys)
    keys[place : place + 1] = [slice(None)] * missing
    axis = 0
    for k in keys:
        if k is None:
            shape = (*x.shape[:axis], 1, *x.shape[axis:])
            x = x.node("Unsqueeze", shape, x.graph.value([axis], "int64"))
        elif isinstance(k, int):
            shape = (*x.shape[:axis], *x.shape[axis + 1 :])
            x = x.node("Gather", shape, x.graph.value(k, "int64"), axis=axis)
        elif k != slice(None):
            raise NotTraceable("an array of the step is indexed by more than numbers and `:`")
        axis += not isinstance(k, int)
    return x


def _filled(number: float) -> Callable[[Traced], Any]:
    def fill(x: Traced) -> Any:
        if all(isinstance(size, int) for size in x.shape):
            return np.full(x.shape, number, x.dtype)
        constant = of_graph(x.graph, number, x.dtype)
        return constant.node("Expand", x.shape, x.graph.node("Shape", x.name))

    return fill


def _where(condition: Traced, x: Any, y: Any) -> Traced:
    if isinstance(x, Traced) or isinstance(y, Traced):
        graph, dtype, (a, b) = together(x, y)
    else:
        graph, dtype = condition.graph, np.result_type(x, y)
        a, b = of_graph(graph, x, dtype), of_graph(graph, y, dtype)
    condition = of_graph(graph, condition, bool)
    shape = broadcast([condition.shape, a.shape, b.shape])
    return condition.node("Where", shape, a.name, b.name, dtype=dtype)


def _stack(arrays: Sequence[Any], axis: int = 0) -> Traced:
    _, _, found = together(*arrays)
    first = found[0]
    if axis != 0:
        raise NotTraceable("stack along another axis than the first")
    rows = [_getitem(array, (None, ...)) for array in found]
    names = [row.name for row in rows[1:]]
    return rows[0].node("Concat", (len(rows), *first.shape), *names, axis=0)


def _arange(start: Any, stop: Any = None, step: int = 1, *, dtype: Any = None, **_: Any) -> Traced:
    start, stop = (0, start) if stop is None else (start, stop)
    if not isinstance(stop, Size) or stop.graph is None or not isinstance(start, int) or step != 1:
        raise NotTraceable(f"an arange from {start} to {stop}")
    graph = stop.graph
    limit = of_graph(graph, stop, np.int64)
    first = of_graph(graph, start, np.int64)
    name = graph.node("Range", first.name, limit.name, graph.value(1, "int64"))
    size = stop if start == 0 else Size(f"{stop}-{start}")
    return Traced(graph, name, (size,), np.int64).cast(dtype or np.int64)


def _astype(x: Traced, dtype: Any, **_: Any) -> Traced:
    return x.cast(dtype)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "add": _add,
    "subtract": _binary("Sub"),
    "multiply": _binary("Mul"),
    "divide": _binary("Div"),
    "pow": _binary("Pow"),
    "maximum": _binary("Max"),
    "minimum": _binary("Min"),
    "greater": _binary("Greater", bool),
    "greater_equal": _binary("GreaterOrEqual", bool),
    "less": _binary("Less", bool),
    "less_equal": _binary("LessOrEqual", bool),
    "equal": _binary("Equal", bool),
    "bitwise_and": _binary("BitwiseAnd"),
    "bitwise_xor": _binary("BitwiseXor"),
    "bitwise_right_shift": _right_shift,
    "negative": _unary("Neg"),
    "abs": _unary("Abs"),
    "sign": _unary("Sign"),
    "sqrt": _unary("Sqrt"),
    "exp": _unary("Exp"),
    "expm1": _expm1,
    "log": _unary("Log"),
    "log1p": _log1p,
    "tanh": _unary("Tanh"),
    "sum": _sum,
    "mean": _reduction("ReduceMean"),
    "max": _reduction("ReduceMax"),
    "matmul": _matmul,
    "vecdot": _vecdot,
    "matrix_transpose": _matrix_transpose,
    "reshape": _reshape,
    "zeros_like": _filled(0.0),
    "ones_like": _filled(1.0),
    "where": _where,
    "stack": _stack,
    "arange": _arange,
    "astype": _astype,
}
exp, log = OPERATIONS["exp"], OPERATIONS["log"]
maximum, minimum, where = OPERATIONS["maximum"], OPERATIONS["minimum"], _where

NAMESPACE = TracingNamespace(OPERATIONS)
SYMBOLS = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "pow": "pow",
    "and": "bitwise_and",
    "xor": "bitwise_xor",
    "rshift": "bitwise_right_shift",
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "eq": "equal",
}


def _reflected(operate: Operation) -> Operation:
    return lambda self, other: operate(other, self)


for _symbol, _name in SYMBOLS.items():
    setattr(Traced, f"__{_symbol}__", OPERATIONS[_name])
    setattr(Traced, f"__r{_symbol}__", _reflected(OPERATIONS[_name]))
setattr(Traced, "__neg__", OPERATIONS["negative"])  # noqa: B010
setattr(Traced, "__getitem__", _getitem)  # noqa: B010
