"""Operations, numbers and places of entries in C, as all dialects of it write them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from xpmlp.compiler.grouping import Shape
from xpmlp.compiler.recording import Node, NotRecordable, Operation

TYPES = {
    "float32": "float",
    "float64": "double",
    "bool": "bool",
    "int32": "int",
    "int64": "long long",
}
FLOATING = ("float", "double")
UNSIGNED = {"int": "unsigned", "long long": "unsigned long long"}
ANY_TYPE = {
    "add": "{0} + {1}",
    "subtract": "{0} - {1}",
    "multiply": "{0} * {1}",
    "negative": "-{0}",
    "greater": "{0} > {1}",
    "less": "{0} < {1}",
    "equal": "{0} == {1}",
    "astype": "{0}",
    "where": "{0} ? {1} : {2}",
}
WRAPPING = ("add", "subtract", "multiply", "negative")  # undefined in C for signed overflow
INTEGERS_ONLY = {
    "bitwise_and": "{0} & {1}",
    "bitwise_xor": "{0} ^ {1}",
    "bitwise_right_shift": "{0} >> {1}",
}
FLOATS_ONLY = {
    "divide": "{0} / {1}",
    "abs": "fabs{f}({0})",
    "sign": "{0} > 0 ? 1 : {0} < 0 ? -1 : {0}",
    "maximum": "largest({0}, {1})",
    "minimum": "-largest(-{0}, -{1})",
    **{name: name + "{f}({0})" for name in ("sqrt", "exp", "expm1", "log", "log1p", "tanh")},
}
COMPARISONS = ("greater", "less", "equal")
WIDENING = (("bool",), ("int", "long long"), FLOATING)


class Parameter(NamedTuple):
    """An array that a kernel gets: its pointer's name, shape, strides in entries, C type."""

    name: str
    shape: Shape
    strides: tuple[int, ...]
    type: str


def parameter(name: str, array: Any) -> Parameter:
    """Return the parameter for an array. Raises NotRecordable for a type that has no kernel."""
    strides = tuple(stride // array.dtype.itemsize for stride in array.strides)
    return Parameter(name, tuple(array.shape), strides, type_of(array.dtype))


def type_of(dtype: Any) -> str:
    """Return the C type of a dtype. Raises NotRecordable where there is none."""
    if str(dtype) not in TYPES:
        raise NotRecordable(f"kernels know no {dtype}")
    return TYPES[str(dtype)]


def operand_types(operation: Operation) -> list[str | None]:
    """Return the C type that each operand takes first, None where it keeps its own."""
    kind = type_of(operation.result.form[1])
    if operation.name == "astype":
        return [kind]
    if operation.name == "where":
        return [None, kind, kind]
    if operation.name in COMPARISONS:
        kind = _widest({type_of(a.form[1]) for a in operation.arguments if isinstance(a, Node)})
    return [kind] * len(operation.arguments)


def _widest(kinds: set[str]) -> str:
    """Return the C type in which arrays are compared; NotRecordable for kinds that don't mix."""
    for family in WIDENING:
        if kinds <= set(family):
            return max(kinds, key=family.index)
    raise NotRecordable(f"kernels don't compare {' with '.join(sorted(kinds))}")


def expression(operation: Operation, operands: Sequence[str]) -> str:
    """Return an element-wise operation on operands. Raises NotRecordable where it has none."""
    kind = type_of(operation.result.form[1])
    if operation.name in WRAPPING and kind in UNSIGNED:
        operands = [f"({UNSIGNED[kind]}){operand}" for operand in operands]
    known = ANY_TYPE | (INTEGERS_ONLY if kind in UNSIGNED else {})
    if operation.name in known:
        return f"({kind})({known[operation.name].format(*operands)})"
    if kind not in FLOATING or operation.name not in FLOATS_ONLY:
        raise NotRecordable(f"kernels know no {operation.name} of {operation.result.form[1]}")
    suffix = "f" if kind == "float" else ""
    return f"({kind})({FLOATS_ONLY[operation.name].format(*operands, f=suffix)})"


def offset(at: str, shape: Shape, read: Parameter) -> str:
    """Return where the entry lies that is broadcast to the place `at` of an array of a shape."""
    axes = _merged(shape, read)
    terms, inner = [], 1
    for k, (length, stride) in reversed(list(enumerate(axes))):
        if stride:
            term = at if inner == 1 else f"{at} / {inner}"
            term = term if k == 0 else f"{term} % {length}"
            terms.append(term if stride == 1 else f"({term}) * {stride}")
        inner *= length
    return " + ".join(reversed(terms)) or "0"


def row_major(array: Parameter) -> bool:
    """Tell whether an array lies in one piece, row by row."""
    axes = _merged(array.shape, array)
    return len(axes) == 0 or (len(axes) == 1 and axes[0][1] == 1)


def axes_of(shape: Shape, read: Parameter) -> list[tuple[int, int]]:
    """Return lengths of a shape's axes, but those of length one, and an array's strides along."""
    missing = len(shape) - len(read.shape)
    strides = [0] * missing + [
        stride if length > 1 else 0 for length, stride in zip(read.shape, read.strides, strict=True)
    ]
    return [pair for pair in zip(shape, strides, strict=True) if pair[0] != 1]


def _merged(shape: Shape, read: Parameter) -> list[tuple[int, int]]:
    """Return lengths and strides of the axes, those together that lie in one piece."""
    merged: list[tuple[int, int]] = []
    for length, stride in axes_of(shape, read):
        if merged and merged[-1][1] == stride * length:
            merged[-1] = (merged[-1][0] * length, stride)
        else:
            merged.append((length, stride))
    return merged
