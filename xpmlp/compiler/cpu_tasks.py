"""What a CPU computes of a step: products, loops, rows that are gathered; and what each reads."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from xpmlp.compiler.grouping import (
    COLUMNS,
    KERNEL,
    REDUCING,
    ROWS,
    TOTAL,
    Segment,
    Shape,
    sources_of,
)
from xpmlp.compiler.recording import INTO, VIEWS, Node, NotRecordable, Operation, nodes_of

BY_ROWS, BY_COLUMNS, BY_INNER = "rows", "columns", "inner"
GATHER, PARTIAL, JOIN = "gather", "partial", "join"


class Read(NamedTuple):
    """What a task reads: the node, the shape to which it is broadcast, and when.

    of: the axis along which a tile needs its own part alone, "" for all of it, None for both.
    late: whether it is read once all pieces are done.
    """

    node: Node
    shape: Shape
    of: str | None = None
    late: bool = False


@dataclass(eq=False)
class Chain:
    """Tasks that are computed tile by tile along an axis of a length.

    BY_INNER: the axis over which a product adds up, and the columns of rows that are gathered
    for it. A core then reads the same rows of the weights as when these are updated by rows.
    """

    axis: str
    length: int
    tasks: list["Task"] = field(default_factory=list)


@dataclass(eq=False)
class Task:
    """A product, a segment of a group, rows that are gathered, or a stack.

    outputs: what of its results is read elsewhere. rows, columns: of what it makes; stage and
    chain: where it is computed, chain None where one thread does it alone.
    """

    operation: Operation
    outputs: tuple[Node, ...]
    rows: int
    columns: int
    segment: Segment | None = None
    stage: int = 0
    chain: Chain | None = None

    @property
    def kind(self) -> str:
        """The segment's kind; TOTAL where a single number comes of it."""
        if self.segment is None:
            return self.operation.name
        alone = self.segment.kind == COLUMNS and not self.segment.reduced
        return TOTAL if alone else self.segment.kind

    @property
    def ends_late(self) -> bool:
        """Whether it reduces over tiles, which are added up when all of them are done."""
        return self.kind in (COLUMNS, TOTAL)

    def is_late(self, node: Node) -> bool:
        """Tell whether a result is there only once all tiles are done."""
        if self.segment is None or not self.ends_late:
            return False
        maker = next(op for op in self.segment.operations if op.result is node)
        return maker.name in REDUCING or node in self.segment.in_reduced

    def reads(self) -> Iterator[Read]:
        """Yield what the task reads of others."""
        if self.segment is None:
            yield from self._reads_of_call()
            return
        for operation in self.segment.operations:
            late = self.ends_late and operation.result in self.segment.in_reduced
            for source in sources_of(operation):
                if isinstance(source, Node) and source.owner not in self.segment.made:
                    reduces = operation.name in REDUCING
                    shape = (source if reduces else operation.result).form[0]
                    yield Read(source, shape, late=late and not reduces)

    def _reads_of_call(self) -> Iterator[Read]:
        if self.operation.name in ("matmul", PARTIAL):
            a, b = self.operation.arguments
        elif self.operation.name in INTO:
            x, a, b, *scale = self.operation.arguments
            yield Read(x, x.form[0])
            yield from (Read(number, number.form[0], "") for number in scale)
        else:
            by_rows = None if self.operation.name == "argmax" else ""
            nodes = nodes_of(self.operation.arguments)
            yield from (Read(node, node.form[0], by_rows) for node in nodes)
            return
        yield Read(a, a.form[0], BY_ROWS)
        yield Read(b, b.form[0], BY_COLUMNS)

    def written_at(self, node: Node) -> int:
        """Return the stage at which a result is there."""
        return self.stage + (self.chain is not None and self.is_late(node))

    def read_at(self, read: Read) -> int:
        """Return the stage at which something is read."""
        return self.stage + (self.chain is not None and read.late)


def gathers(gathered: Sequence[tuple[Node, Node]]) -> Iterator[Task]:
    """Yield what gathers each batch from its rows."""
    for rows, batch in gathered:
        shape = batch.form[0]
        operation = Operation(GATHER, (rows,), {}, batch)
        yield Task(operation, (batch,), shape[0], math.prod(shape[1:]))


def tasks_of(operations: Sequence[Operation]) -> Iterator[Task]:
    """Yield products, the segments of each group, and stacks. Raises NotRecordable."""
    for operation in operations:
        if operation.name == KERNEL:
            for segment in operation.options["segments"]:
                outputs = tuple(node for node in operation.results if node in segment.made)
                rows, columns = _domain(segment)
                yield Task(operation, outputs, rows, columns, segment)
        elif operation.name in ("matmul", *INTO):
            factors = (
                operation.arguments[:2] if operation.name == "matmul" else (operation.arguments[:3])
            )
            shapes = [node.form[0] for node in nodes_of(factors)]
            if any(len(shape) != 2 for shape in (*shapes, operation.result.form[0])):
                raise NotRecordable("a product of more or less than two matrices")
            rows, columns = operation.result.form[0]
            yield Task(operation, operation.results, rows, columns)
        elif operation.name == "stack":
            yield Task(operation, operation.results, 1, len(operation.arguments[0]))
        elif operation.name == "argmax":
            rows, columns = _rows_of(operation)
            yield Task(operation, operation.results, rows, columns)
        elif operation.name not in VIEWS:
            raise NotRecordable(f"{operation.name} has no loop")


def _rows_of(operation: Operation) -> tuple[int, int]:
    """Return the rows and columns of what an operation takes row by row, else NotRecordable."""
    shape, options = operation.arguments[0].form[0], operation.options
    if len(shape) != 2 or options.get("axis") not in (-1, 1) or options.get("keepdims"):
        raise NotRecordable(
            f"{operation.name} of {len(shape)} axes over axis {options.get('axis')}"
        )
    return int(shape[0]), int(shape[1])


def _domain(segment: Segment) -> tuple[int, int]:
    """Return the rows and columns of a segment's loop. Raises NotRecordable for more axes."""
    full = segment.full
    if len(full) > 2:
        raise NotRecordable(f"a loop over {len(full)} axes")
    if len(full) == 2:
        return full[0], full[1]
    if (segment.kind == ROWS and not segment.reduced) or (
        segment.kind == COLUMNS and segment.reduced
    ):
        return 1, math.prod(full)
    return math.prod(full), 1


def results_of(task: Task) -> list[Node]:
    """Return all that a task computes."""
    if task.segment is None:
        return list(task.operation.results)
    return [operation.result for operation in task.segment.operations]


def is_product(task: Task) -> bool:
    """Tell whether a task is a product, or one that is added to something."""
    return task.operation.name in ("matmul", *INTO)


def multiplications(task: Task) -> int:
    """Return the multiplications of a product, 0 for what is none."""
    if not is_product(task):
        return 0
    return int(task.rows * task.columns * factors_of(task)[0].form[0][1])


def factors_of(task: Task) -> tuple[Node, Node]:
    """Return the two matrices of a product."""
    a, b = (
        task.operation.arguments[1:3] if task.operation.name in INTO else (task.operation.arguments)
    )
    return a, b
