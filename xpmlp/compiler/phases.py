"""In which order a CPU computes the launches of a step, and what its threads share.

A step is a row of stages. In a phase all threads take pieces of chains: a chain is tasks that are
computed tile by tile, along the rows or the columns of what they make, each task of a tile after
the other without waiting for the other tiles. Between two phases one thread does alone what is
small. Stage 2k is the k-th of those, stage 2k + 1 the phase behind it. The number of pieces
comes from shapes, never from who computes them, so that any number of threads gives the same bits.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from xpmlp.compiler.grouping import (
    COLUMNS,
    KERNEL,
    MAP,
    REDUCING,
    ROWS,
    TOTAL,
    Segment,
    Shape,
    overwrites_in_kernel,
    sources_of,
)
from xpmlp.compiler.recording import (
    INTO,
    VIEWS,
    Node,
    NotRecordable,
    Operation,
    nodes_of,
)

BY_ROWS, BY_COLUMNS, BY_INNER = "rows", "columns", "inner"
GATHER, PARTIAL, JOIN = "gather", "partial", "join"
ROUND = 16  # rows or columns to which tiles are rounded, where there are enough
SMALL_STEP = 2**19  # multiplications of a step that one thread takes alone
SMALL_TASK = 2**12  # entries that one thread computes between the phases
WIDE = 2**15  # entries of a right factor that is worth keeping in parts in the cores' caches


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


class Schedule:
    """The tasks of a step in their stages.

    alone: what one thread does before each phase, and after the last. phases: the chains of each.
    sums: the parts of what is nowhere in one piece, as the loops that read it add these up.
    copies: new and old states that can't share memory, new ones to be copied at the end.
    """

    def __init__(
        self,
        operations: Sequence[Operation],
        results: Iterable[Node],
        gathered: Sequence[tuple[Node, Node]] = (),
        homes: Sequence[tuple[Node, Node]] = (),
        parts: int = 2,
    ) -> None:
        tasks = list(_tasks(operations))
        self.waiting = {task.operation.result: task for task in _gathers(gathered)}
        self.parts = parts
        self.together = sum(map(_multiplications, tasks)) >= SMALL_STEP
        self.alone: list[list[Task]] = [[]]
        self.phases: list[list[Chain]] = []
        self.makers: dict[Node, Task] = {}
        self.tasks: list[Task] = []
        for task in tasks:
            if self.together and _adds_up_much(task):
                self._place_partial(task)
            else:
                self._place(task)
        self.sums = dict(self._unjoined({*results}))
        self.order = {task: i for i, task in enumerate(self.tasks)}
        self.homes = {new: old for new, old in homes if self._may_overwrite(new, old)}
        self.copies = [(new, old) for new, old in homes if new not in self.homes and new is not old]

    def _place_partial(self, task: Task) -> None:
        """Put a product into a chain of its own by the inner axis, and behind it what joins it."""
        a, b = factors_of(task)
        length, form = a.form[0][1], (len(tiles(a.form[0][1], self.parts)), task.rows, task.columns)
        partial = Node((form, task.operation.result.form[1]))
        product = Task(Operation(PARTIAL, (a, b), {}, partial), (partial,), task.rows, task.columns)
        gather = self.waiting.pop(a, None)
        stage = max((self._there(read) for read in self._known(product)), default=0)
        stage = stage + 2 if stage % 2 else stage + 1
        chain = self._new_chain(BY_INNER, length, stage)
        for one in (gather, product):
            if one is not None:
                self._put(one, stage, chain)
        self._place(Task(Operation(JOIN, (partial,), {}, task.operation.result), *_made(task)))

    def _unjoined(self, results: set[Node]) -> Iterator[tuple[Node, Node]]:
        """Yield sums, with their parts, that loops alone read, tile by tile; none joins these."""
        for task in [task for task in self.tasks if task.operation.name == JOIN]:
            total, (parts,) = task.operation.result, task.operation.arguments
            reads = [(by, read) for by in self.tasks for read in by.reads()]
            own = all(
                by.segment is not None and by.chain is task.chain and read.node is total
                for by, read in reads
                if read.node.owner is total
            )
            if own and total not in results and task.chain is not None:
                task.chain.tasks.remove(task)
                self.tasks.remove(task)
                yield total, parts

    def _known(self, task: Task) -> list[Read]:
        """Return what a task reads that is computed; what waits to be gathered is first placed."""
        reads = list(task.reads())
        for read in reads:
            if read.node.owner in self.waiting:
                self._place(self.waiting.pop(read.node.owner))
        return [read for read in reads if read.node.owner in self.makers]

    def _place(self, task: Task) -> None:
        """Put a task into the first stage that has what it reads."""
        reads = self._known(task)
        stages = [self._there(read) for read in reads]
        if not self.together:
            self._put(task, 0, None)
            return
        latest = max(
            (at - (read.late and at % 2 == 0) for at, read in zip(stages, reads, strict=True)),
            default=0,
        )
        latest = max(latest, 0)
        tied = {
            self.makers[read.node.owner].chain
            for at, read in zip(stages, reads, strict=True)
            if at == latest and at % 2 and not read.late
        }
        if latest % 2 and tied:
            (chain, *others) = tied
            if chain is not None and not others and self._joins(task, chain, latest, reads):
                self._put(task, latest, chain)
                return
            latest += 1
        at_even = max((at + at % 2 for at in stages), default=0)
        if task.rows * task.columns <= SMALL_TASK and not _is_product(task):
            self._put(task, at_even, None)
        else:
            phase = latest if latest % 2 else latest + 1
            self._put(task, phase, self._chain(task, phase))

    def _there(self, read: Read) -> int:
        maker = self.makers[read.node.owner]
        return maker.written_at(read.node.owner)

    def _joins(self, task: Task, chain: Chain, stage: int, reads: Sequence[Read]) -> bool:
        """Tell whether a task needs no more of a chain than the tile that it makes."""
        if chain.axis == BY_INNER:
            return False
        length = task.rows if chain.axis == BY_ROWS else task.columns
        wide = _is_product(task) and _axis(task) == BY_COLUMNS
        if length != chain.length or not _parts(task, chain.axis):
            return False
        if wide and chain.axis == BY_ROWS:
            return False
        return all(
            _own_tile(read, chain, (task.rows, task.columns))
            for read in reads
            if self.makers[read.node.owner].chain is chain
            and self._there(read) == stage
            and not read.late
        )

    def _chain(self, task: Task, stage: int) -> Chain:
        """Return a chain of a phase for a task that waits for nothing in it."""
        axis = _axis(task)
        length = task.rows if axis == BY_ROWS else task.columns
        for chain in self.phases[stage // 2] if stage // 2 < len(self.phases) else ():
            if (chain.axis, chain.length) == (axis, length):
                return chain
        return self._new_chain(axis, length, stage)

    def _new_chain(self, axis: str, length: int, stage: int) -> Chain:
        self._reach(stage)
        made = Chain(axis, length)
        self.phases[stage // 2].append(made)
        return made

    def _reach(self, stage: int) -> None:
        while len(self.alone) <= (stage + 1) // 2:
            self.phases.append([])
            self.alone.append([])

    def _put(self, task: Task, stage: int, chain: Chain | None) -> None:
        self._reach(stage)
        task.stage, task.chain = stage, chain
        (self.alone[stage // 2] if chain is None else chain.tasks).append(task)
        self.tasks.append(task)
        self.makers.update((node, task) for node in _results(task))

    def _may_overwrite(self, new: Node, old: Node) -> bool:
        """Tell whether a new state may lie where the old one does that nothing reads later."""
        if new is old or new not in self.makers:
            return False
        writer = self.makers[new]
        return all(
            self._ends_before(task, read, writer, new, old)
            for task in self.tasks
            for read in task.reads()
            if read.node.owner is old
        )

    def _ends_before(self, task: Task, read: Read, writer: Task, new: Node, old: Node) -> bool:
        at, written = task.read_at(read), writer.written_at(new)
        if task is writer:
            if task.segment is None:
                return task.operation.name in INTO and read.of is None
            group = Operation(KERNEL, (), {"segments": (task.segment,)}, new)
            return overwrites_in_kernel(group, old, new)
        if at != written:
            return at < written
        if task.chain is not writer.chain or self.order[task] > self.order[writer]:
            return False
        return task.chain is None or _own_tile(read, task.chain, (task.rows, task.columns))


def _gathers(gathered: Sequence[tuple[Node, Node]]) -> Iterator[Task]:
    for rows, batch in gathered:
        shape = batch.form[0]
        operation = Operation(GATHER, (rows,), {}, batch)
        yield Task(operation, (batch,), shape[0], math.prod(shape[1:]))


def _tasks(operations: Sequence[Operation]) -> Iterator[Task]:
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


def _results(task: Task) -> list[Node]:
    if task.segment is None:
        return list(task.operation.results)
    return [operation.result for operation in task.segment.operations]


def _is_product(task: Task) -> bool:
    return task.operation.name in ("matmul", *INTO)


def _multiplications(task: Task) -> int:
    if not _is_product(task):
        return 0
    return int(task.rows * task.columns * factors_of(task)[0].form[0][1])


def factors_of(task: Task) -> tuple[Node, Node]:
    """Return the two matrices of a product."""
    a, b = (
        task.operation.arguments[1:3] if task.operation.name in INTO else (task.operation.arguments)
    )
    return a, b


def _axis(task: Task) -> str:
    """Return the axis along which a task is parted that begins a chain.

    Each tile of a product reads all of one factor: that is to be the smaller one.
    """
    if not _is_product(task):
        return BY_ROWS
    a, b = (math.prod(factor.form[0]) for factor in factors_of(task))
    return BY_COLUMNS if b > a + WIDE else BY_ROWS


def _adds_up_much(task: Task) -> bool:
    """Tell whether a product of few rows with large weights is parted by its inner axis."""
    if task.operation.name != "matmul":
        return False
    a, b = factors_of(task)
    rows, inner = a.form[0]
    return a.straight and b.straight and math.prod(b.form[0]) >= WIDE and 2 * rows <= inner


def _made(task: Task) -> tuple[tuple[Node, ...], int, int]:
    return task.outputs, task.rows, task.columns


def tiles(length: int, parts: int) -> list[tuple[int, int]]:
    """Return where the tiles of a chain begin and end."""
    unit = ROUND if length >= 2 * ROUND * parts else 1
    edges = [length * k // parts // unit * unit for k in range(parts)]
    pairs = zip(edges, [*edges[1:], length], strict=True)
    return [(begin, end) for begin, end in pairs if begin < end]


def _parts(task: Task, axis: str) -> bool:
    """Tell whether a task can be computed by tiles along an axis."""
    if axis == BY_ROWS:
        return task.operation.name != "stack"
    return _is_product(task) or task.kind in (MAP, TOTAL)


def _own_tile(read: Read, chain: Chain, domain: tuple[int, int]) -> bool:
    """Tell whether a tile along a chain reads its own part alone of what the chain made."""
    node = read.node
    if read.of not in (None, chain.axis) or not node.straight:
        return False
    size = math.prod(node.owner.form[0])
    strides = _strides(node.form[0], read.shape)
    if not strides:
        return False
    if chain.axis == BY_ROWS:
        return strides[0] > 0 and strides[0] * chain.length == size
    across = strides[0] if len(strides) == 2 else 0
    return strides[-1] == 1 and across in (0, domain[1]) and size % chain.length == 0


def _strides(shape: Shape, wide: Shape) -> list[int]:
    """Return the strides of an array that lies row by row, over a broader shape's longer axes."""
    strides, inner = [], 1
    for length in reversed(shape):
        strides.append(inner if length > 1 else 0)
        inner *= length
    strides += [0] * (len(wide) - len(shape))
    return [stride for stride, n in zip(reversed(strides), wide, strict=True) if n != 1]
