"""The products of a step on a CPU: calls of BLAS for tiles, and the sums of what these leave."""

from typing import NamedTuple

from xpmlp.compiler.cpu_loops import SIMD
from xpmlp.compiler.cpu_tables import Block
from xpmlp.compiler.cpu_tasks import Task, factors_of
from xpmlp.compiler.expressions import FLOATING
from xpmlp.compiler.recording import DESCEND, INTO, Node, NotRecordable, Operation

ROW_MAJOR, NOT_TRANSPOSED, TRANSPOSED = 101, 111, 112  # as CBLAS numbers them
ROUTINES = {"float": "sgemm", "double": "dgemm"}


def product(task: Task, block: Block) -> str:
    """Return the call for a tile of a product, or of one that is added to something."""
    operation, out = task.operation, block.written(task.operation.result)
    alpha, beta, home = "1", "0", ""
    if operation.name in INTO:
        alpha, beta = _scales(operation, block)
        home = _home(operation.arguments[0], task, block)
    width = block.size(task.columns)
    inner = block.size(factors_of(task)[0].form[0][1])
    target = f"{out.name} + r0 * {width} + c0"
    tile = ("r0", "r1 - r0"), ("0", inner), ("c0", "c1 - c0")
    return home + _gemm(task, block, tile, (alpha, beta), target, width)


def partial(task: Task, block: Block) -> str:
    """Return the call for a tile of the inner axis, whose part of the sum lies apart."""
    out, width = block.written(task.operation.result), block.size(task.columns)
    tile = ("0", "r1"), ("begin", "end - begin"), ("0", "c1")
    return _gemm(task, block, tile, ("1", "0"), f"{out.name} + part * r1 * {width}", width)


def join(task: Task, block: Block) -> str:
    """Return the loops that add up what the tiles of an inner axis left, in their order."""
    (source,) = task.operation.arguments
    parts, rows, _ = source.form[0]
    out, part = block.written(task.operation.result), block.read(source)
    width, step = block.size(task.columns), block.size(rows * task.columns)
    return (
        "for (Size r = r0; r < r1; ++r) {\n"
        f"    {out.type}* const to = {out.name} + r * {width};\n"
        f"    const {out.type}* from = {part.name} + r * {width};\n"
        f"    {SIMD}\n    for (Size c = c0; c < c1; ++c) to[c] = from[c];\n"
        f"    for (Size p = 1; p < {block.size(parts)}; ++p) {{\n        from += {step};\n"
        f"        {SIMD}\n        for (Size c = c0; c < c1; ++c) to[c] += from[c];\n    }}\n}}\n"
    )


Span = tuple[str, str]


class Factor(NamedTuple):
    """A factor as BLAS takes it: whether transposed, where its tile begins, leading dimension."""

    transposed: int
    place: str
    leading: str


def _gemm(
    task: Task,
    block: Block,
    tile: tuple[Span, Span, Span],
    scales: tuple[str, str],
    target: str,
    width: str,
) -> str:
    """Return a call. tile: where rows, inner axis and columns begin, and their lengths."""
    a, b = factors_of(task)
    form = task.operation.result.form
    kind = block.written(task.operation.result).type
    if kind not in FLOATING or {a.form[1], b.form[1]} != {form[1]}:
        raise NotRecordable(f"a product of {a.form[1]} and {b.form[1]}")
    (row, rows), (inner, length), (column, columns) = tile
    left, right = _factor(a, block, row, inner), _factor(b, block, inner, column)
    return (
        f"job->{ROUTINES[kind]}({ROW_MAJOR}, {left.transposed}, {right.transposed}, "
        f"{rows}, {columns}, {length}, {scales[0]}, {left.place}, {left.leading}, "
        f"{right.place}, {right.leading}, {scales[1]}, {target}, {width});\n"
    )


def _factor(node: Node, block: Block, row: str, column: str) -> Factor:
    """Return a factor from a row and a column on. Raises NotRecordable where BLAS refuses it."""
    rows, columns = node.form[0]
    array, name = block.tables.places[node], block.read(node).name
    across, along = (stride // array.itemsize for stride in array.strides)
    if along == 1 or columns == 1:
        leading = block.size(across if rows > 1 else columns)
        return Factor(NOT_TRANSPOSED, f"{name} + {row} * {leading} + {column}", leading)
    if across == 1 or rows == 1:
        leading = block.size(along)
        return Factor(TRANSPOSED, f"{name} + {row} + {column} * {leading}", leading)
    raise NotRecordable("a factor lies neither by rows nor by columns")


def _scales(operation: Operation, block: Block) -> tuple[str, str]:
    """Return the factors of the product and of what it is added to."""

    def number(node: Node) -> str:
        return f"{block.read(node).name}[0]"

    _, _, _, *scales = operation.arguments
    if operation.name == DESCEND:
        rate, *kept = scales
        return f"-{number(rate)}", number(kept[0]) if kept else "1"
    alpha = repr(operation.options["alpha"])
    return alpha, number(scales[0]) if scales else repr(operation.options["beta"])


def _home(x: Node, task: Task, block: Block) -> str:
    """Return the loop that copies what a product is added to, where it lies elsewhere."""
    result = task.operation.result
    if block.tables.places[x] is block.tables.places[result]:
        return ""
    source, out, width = block.read(x).name, block.written(result).name, block.size(task.columns)
    return (
        f"for (Size r = r0; r < r1; ++r) memcpy({out} + r * {width} + c0, "
        f"{source} + r * {width} + c0, (c1 - c0) * sizeof *{out});\n"
    )
