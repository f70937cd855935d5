"""Which operations of a recording become one kernel of a GPU.

A launch costs more than a small operation, so that as many as can share one do. A segment is a
loop over one array's entries with all operations that fit into it; a group is the segments that
don't wait for each other and so run in one launch. Products stay calls of their own. What an
operation waits for decides the earliest group that it can join.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from xpmlp.compiler.recording import (
    ELEMENTWISE,
    VIEWS,
    Node,
    NotRecordable,
    Operation,
    nodes_of,
)

KERNEL = "kernel"
MAP, ROWS, COLUMNS, TOTAL = "map", "rows", "columns", "total"
LONGEST_ROW = 1024
POINTWISE = (*ELEMENTWISE, "astype", "where")
REDUCING = ("sum", "mean", "max", "vecdot")

Shape = tuple[int, ...]


@dataclass(eq=False)
class Segment:
    """Operations over the entries of one array, and over what comes of reducing it.

    kind: MAP (nothing is reduced), ROWS (each short row to a number), COLUMNS (each column to a
    number) or TOTAL (all entries of a member to a number). full: the array's shape without axes
    of length one; reduced: that of the numbers. made: what is computed; in_reduced: what of it
    is computed of the numbers.
    """

    kind: str
    full: Shape
    reduced: Shape | None = None
    operations: list[Operation] = field(default_factory=list)
    made: set[Node] = field(default_factory=set)
    in_reduced: set[Node] = field(default_factory=set)

    def take(self, operation: Operation) -> bool:
        """Add an operation where it fits; tell whether it did."""
        place = self._place_of(operation)
        if place is None:
            return False
        self.kind, self.reduced, in_reduced = place
        self.operations.append(operation)
        self.made.add(operation.result)
        if in_reduced:
            self.in_reduced.add(operation.result)
        return True

    def drop(self, operations: Sequence[Operation], kind: str, reduced: Shape | None) -> None:
        """Undo what was taken after these operations."""
        self.kind, self.reduced, self.operations = kind, reduced, list(operations)
        self.made = {operation.result for operation in operations}
        self.in_reduced &= self.made

    def _place_of(self, operation: Operation) -> tuple[str, Shape | None, bool] | None:
        """Return the kind and the reduced shape that the segment then has, and the loop."""
        own = [node for node in nodes_of(operation.arguments) if node.owner in self.made]
        if not all(node.straight for node in own):
            return None
        of_reduced = [node for node in own if node.owner in self.in_reduced]
        of_full = len(own) > len(of_reduced)
        if operation.name in REDUCING:
            kind, full, reduced = reduction_of(operation)
            known = self.kind == MAP or (kind, reduced) == (self.kind, self.reduced)
            return (kind, reduced, True) if full == self.full and known and not of_reduced else None
        shape = squeezed(operation.result.form[0])
        spread = all(node.form[0][-1:] in ((), (1,)) for node in of_reduced)
        if shape == self.full and (not of_reduced or (self.kind == ROWS and spread)):
            return self.kind, self.reduced, False
        if self.kind != MAP and shape == self.reduced and not of_full:
            return self.kind, self.reduced, True
        return None


@dataclass(eq=False)
class Launch:
    """One node of the graph: a product, or a group of segments."""

    product: Operation | None = None
    segments: list[Segment] = field(default_factory=list)

    @property
    def results(self) -> list[Node]:
        """All that the launch computes."""
        if self.product is not None:
            return list(self.product.results)
        return [operation.result for segment in self.segments for operation in segment.operations]


def squeezed(shape: Shape) -> Shape:
    """Return a shape without axes of length one."""
    return tuple(length for length in shape if length != 1)


def sources_of(operation: Operation) -> list[Any]:
    """Return what an operation reads; a reduction reads behind a reshape, as the entries lie."""
    if operation.name not in REDUCING:
        return list(operation.arguments)
    return [_unshaped(node) for node in nodes_of(operation.arguments)]


def _unshaped(node: Node) -> Node:
    while node.base is not None and node.in_order:
        node = node.base
    return node


def reduction_of(operation: Operation) -> tuple[str, Shape, Shape]:
    """Return kind, full and reduced shape of a reduction. Raises NotRecordable."""
    shape = operation.arguments[0].form[0]
    axis = operation.options.get("axis", -1 if operation.name == "vecdot" else None)
    named = axis if isinstance(axis, tuple) else (axis,)
    axes = set(range(len(shape))) if axis is None else {a % len(shape) for a in named}
    full, last = squeezed(sources_of(operation)[0].form[0]), len(shape) - 1
    if axes == {last} and shape[last] <= LONGEST_ROW and full == squeezed(shape):
        kind = ROWS
    elif axes in ({last}, {last, last - 1}):
        kind = TOTAL
    elif axes == {last - 1} and full == squeezed(shape):
        kind = COLUMNS
    else:
        raise NotRecordable(f"{operation.name} over axis {axis} of {shape}")
    return kind, full, squeezed(tuple(n for a, n in enumerate(shape) if a not in axes))


class Grouping:
    """Puts each operation into the first launch where what it reads is there.

    What the products wait for comes first. What reads nothing but the step's inputs waits for
    the operation that reads it, in whose segment it then goes if it fits.
    """

    def __init__(self, operations: Sequence[Operation], results: Iterable[Node]) -> None:
        self.results = dict.fromkeys(results)
        self.operations = needed(operations, self.results)
        calls = [operation for operation in self.operations if operation.name not in VIEWS]
        self.readings = Counter(owner for operation in calls for owner in _read_by(operation))
        self.launches: list[Launch] = []
        self.homes: dict[Node, tuple[int, Segment | None]] = {}
        self.waiting: dict[Node, Operation] = {}

    def grouped(self) -> list[Operation]:
        """Return launches with their views, and stacks. Raises NotRecordable."""
        stacks = [operation for operation in self.operations if operation.name == "stack"]
        read = {owner for operation in self.operations for owner in _read_by(operation)}
        if any(stack.options or stack.result in read for stack in stacks):
            raise NotRecordable("a stack is more than the step's metrics")
        for operation in self._urgent_first():
            if operation.name not in (*POINTWISE, *REDUCING):
                self._settle(_read_by(operation))
                self._add(Launch(product=operation))
            elif not any(owner in self.homes for owner in _read_by(operation)):
                self.waiting[operation.result] = operation
            else:
                self._place(operation)
        self._settle([node for stack in stacks for node in _read_by(stack)])
        self._settle([node for node in self.results if not self._ends(node)])
        return [*self._with_views(), *stacks]

    def _ends(self, node: Node) -> bool:
        """Compute a result that waits in the last group, after all that reads the old one."""
        last = max((j for j, launch in enumerate(self.launches) if launch.segments), default=-1)
        operation = self.waiting.get(node)
        if operation is None or any(at >= last for at, _ in self._homes_of(operation)):
            return False
        return last >= 0 and self._begins_one(operation, last)

    def _urgent_first(self) -> list[Operation]:
        """Return the operations in their order, those ahead that a product waits for."""
        calls = [op for op in self.operations if op.name not in (*VIEWS, "stack")]
        urgent: set[Node] = set()
        for operation in reversed(calls):
            product = operation.name not in (*POINTWISE, *REDUCING)
            if product or operation.result in urgent:
                urgent.update((operation.result, *_read_by(operation)))
        ahead = [operation for operation in calls if operation.result in urgent]
        return ahead + [operation for operation in calls if operation.result not in urgent]

    def _add(self, launch: Launch) -> int:
        j = len(self.launches)
        self.launches.append(launch)
        self.homes.update((node, (j, None)) for node in launch.results)
        return j

    def _settle(self, nodes: Iterable[Node]) -> None:
        """Place what still waits among nodes."""
        for node in nodes:
            if node in self.waiting:
                self._place(self.waiting.pop(node))

    def _place(self, operation: Operation) -> None:
        """Place an operation, with what it waits for in the same segment if that fits."""
        if self._joins_one(operation) or self._begins_one(operation):
            return
        self._settle(_read_by(operation))
        if not self._joins_one(operation):
            self._begins_one(operation)

    def _joins_one(self, operation: Operation) -> bool:
        """Add an operation to a segment of the first group that it can be in, or of an earlier."""
        homes = list(self._homes_of(operation))
        earliest, last = max((at for at, _ in homes), default=0), self._first_group(operation)
        for j, launch in enumerate(self.launches[earliest : last + 1], earliest):
            for segment in launch.segments:
                late = all(at < j or home is segment for at, home in homes)
                if late and self._join(j, segment, operation):
                    return True
        return False

    def _begins_one(self, operation: Operation, j: int | None = None) -> bool:
        """Begin a segment in a group, else in the first that is late enough, or in a new one."""
        shape = squeezed(operation.result.form[0])
        reduces = operation.name in REDUCING
        segment = Segment(*reduction_of(operation)) if reduces else Segment(MAP, shape)
        if not self._take(segment, operation):
            return False
        j = self._first_group(operation) if j is None else j
        if j == len(self.launches):
            self._add(Launch())
        self.launches[j].segments.append(segment)
        self._moved_in(j, segment, segment.operations)
        return True

    def _first_group(self, operation: Operation) -> int:
        """Return where the first group is after all that an operation reads, or a new one goes."""
        known = (at for at, _ in self._homes_of(operation))
        later = range(max(known, default=-1) + 1, len(self.launches))
        return next((j for j in later if self.launches[j].segments), len(self.launches))

    def _homes_of(self, operation: Operation) -> Iterator[tuple[int, Segment | None]]:
        """Yield where all is that an operation reads, also through what waits for it."""
        for owner in _read_by(operation):
            if owner in self.homes:
                yield self.homes[owner]
            elif owner in self.waiting:
                yield from self._homes_of(self.waiting[owner])

    def _join(self, j: int, segment: Segment, operation: Operation) -> bool:
        """Add an operation to a segment, after what it waits for; tell whether all fit."""
        before = segment.operations[:], segment.kind, segment.reduced
        if not self._take(segment, operation):
            segment.drop(*before)
            return False
        self._moved_in(j, segment, segment.operations[len(before[0]) :])
        return True

    def _moved_in(self, j: int, segment: Segment, members: Sequence[Operation]) -> None:
        for member in members:
            self.waiting.pop(member.result, None)
            self.homes[member.result] = (j, segment)

    def _take(self, segment: Segment, operation: Operation) -> bool:
        for owner in _read_by(operation):
            waits = owner in self.waiting and owner not in segment.made
            if waits and not self._take(segment, self.waiting[owner]):
                return False
        return segment.take(operation)

    def _with_views(self) -> list[Operation]:
        """Return the launches, each followed by the views of what it computed."""
        views: dict[Node, list[Operation]] = {}
        for operation in self.operations:
            if operation.name in VIEWS:
                views.setdefault(operation.result.owner, []).append(operation)
        made = {node for launch in self.launches for node in launch.results}
        ordered = [view for owner, shown in views.items() if owner not in made for view in shown]
        for launch in self.launches:
            call = launch.product or self._kernel(launch)
            ordered += [call, *(view for node in call.results for view in views.get(node, []))]
        return ordered

    def _kernel(self, launch: Launch) -> Operation:
        """Return a group as one operation, whose results are what is read outside of it."""
        inputs: dict[Node, None] = {}
        outputs: list[Node] = []
        for segment in launch.segments:
            inside = Counter(owner for op in segment.operations for owner in _read_by(op))
            for operation in segment.operations:
                result = operation.result
                if result in self.results or self.readings[result] > inside[result]:
                    outputs.append(result)
                nodes = nodes_of(tuple(sources_of(operation)))
                inputs.update((node, None) for node in nodes if node.owner not in segment.made)
        first, *others = outputs
        options = {"segments": tuple(launch.segments)}
        return Operation(KERNEL, tuple(inputs), options, first, tuple(others))


def needed(operations: Sequence[Operation], results: Iterable[Node]) -> list[Operation]:
    """Return the operations that the results come from."""
    read, kept = set(results), []
    for operation in reversed(operations):
        if not read.isdisjoint(operation.results):
            read.update(nodes_of(operation.arguments), _read_by(operation))
            kept.append(operation)
    return kept[::-1]


def _read_by(operation: Operation) -> list[Node]:
    return [node.owner for node in nodes_of(operation.arguments)]


def group(operations: Sequence[Operation], results: Iterable[Node]) -> list[Operation]:
    """Return the operations as launches, with their views and stacks. Raises NotRecordable."""
    return Grouping(operations, results).grouped()


def overwrites_in_kernel(operation: Operation, old: Node, new: Node) -> bool:
    """Tell whether a group's result may lie where an array does that it reads, if at all.

    Only the segment that computes the result may read it, entry by entry in the same loop.
    """
    return all(
        new in segment.made and node.straight and _same_loop(segment, member, new)
        for segment in operation.options["segments"]
        for member in segment.operations
        for node in nodes_of(member.arguments)
        if node.owner is old
    )


def _same_loop(segment: Segment, member: Operation, new: Node) -> bool:
    in_reduced = member.result in segment.in_reduced and member.name not in REDUCING
    return in_reduced == (new in segment.in_reduced)
