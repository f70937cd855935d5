"""In which order a CPU computes the launches of a step, and what its threads share.

A step is a row of stages. In a phase all threads take pieces of chains: a chain is tasks that are
computed tile by tile, along the rows or the columns of what they make, each task of a tile after
the other without waiting for the other tiles. Between two phases one thread does alone what is
small. Stage 2k is the k-th of those, stage 2k + 1 the phase behind it. The number of pieces
comes from shapes, never from who computes them, so that any number of threads gives the same bits.
"""

import math
from collections.abc import Iterable, Iterator, Sequence

from xpmlp.compiler.cpu_tasks import (
    BY_COLUMNS,
    BY_INNER,
    BY_ROWS,
    JOIN,
    PARTIAL,
    Chain,
    Read,
    Task,
    factors_of,
    gathers,
    is_product,
    multiplications,
    results_of,
    tasks_of,
)
from xpmlp.compiler.grouping import KERNEL, MAP, TOTAL, Shape, overwrites_in_kernel
from xpmlp.compiler.recording import INTO, Node, Operation

ROUND = 16  # rows or columns to which tiles are rounded, where there are enough
SMALL_STEP = 2**19  # multiplications of a step that one thread takes alone
SMALL_TASK = 2**12  # entries that one thread computes between the phases
WIDE = 2**15  # entries of a right factor that is worth keeping in parts in the cores' caches


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
        tasks = list(tasks_of(operations))
        self.waiting = {task.operation.result: task for task in gathers(gathered)}
        self.parts = parts
        self.together = sum(map(multiplications, tasks)) >= SMALL_STEP
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
        joined = Operation(JOIN, (partial,), {}, task.operation.result)
        self._place(Task(joined, task.outputs, task.rows, task.columns))

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
        if task.rows * task.columns <= SMALL_TASK and not is_product(task):
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
        wide = is_product(task) and _axis(task) == BY_COLUMNS
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
        self.makers.update((node, task) for node in results_of(task))

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


def _axis(task: Task) -> str:
    """Return the axis along which a task is parted that begins a chain.

    Each tile of a product reads all of one factor: that is to be the smaller one.
    """
    if not is_product(task):
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
    return is_product(task) or task.kind in (MAP, TOTAL)


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
