"""A step compiled for libraries that compute at once: recorded, planned, replayed.

From the recording of a step comes a plan: for each operation the arrays that it reads and the
one that it writes, so that a replay needs no new memory, and writes new parameters over the old
as soon as nothing reads these any more. The mathematics never knows. Whatever can't be
recorded runs as it is written.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from xpmlp.compiler.recording import (
    ACCUMULATE,
    ELEMENTWISE,
    FUSED,
    VIEWS,
    Node,
    NotRecordable,
    Operation,
    Recorded,
    RecordingNamespace,
    Tape,
    nodes_of,
)
from xpmlp.leaves import leaves, map_tree
from xpmlp.types import Array, Namespace

Call = Callable[[], Any]


class Kernels(Protocol):
    """What a plan needs of an array library."""

    def empty(self, shape: Any, dtype: Any, /) -> Array:
        """Return new memory."""

    def copy(self, array: Array, /) -> Array:
        """Return a copy in memory of its own."""

    def copyto(self, target: Array, source: Array, /) -> None:
        """Write one array into another."""

    def gather(self, rows: Array, index: Array, out: Array, /) -> None:
        """Write rows[index] into `out`."""

    def rewritten(self, operations: list[Operation], results: Sequence[Node], /) -> list[Operation]:
        """Return operations that give the same results sooner."""

    def view(self, operation: Operation, arguments: list[Any], /) -> Array:
        """Return a view. Raises NotRecordable where the library would copy."""

    def overwrites(self, operation: Operation, old: Node, new: Node, /) -> bool:
        """Tell whether a result may lie where an operand does that nothing reads later."""

    def calls(self, operation: Operation, arguments: list[Any], outs: list[Array], /) -> list[Call]:
        """Return the calls that write an operation's results into `outs`."""


class Plan:
    """A recorded step on the memory that is handed in, which it overwrites with each replay.

    state, batch, hyper: what a replay reads; it leaves the new state in `state`, and what else
    the step returned in `metrics`. how: the way through an epoch.
    """

    how = "replayed from a plan"

    def __init__(
        self,
        kernels: Kernels,
        xp: Namespace,
        make: Callable[[Namespace], Callable[..., Any]],
        state: Any,
        batch: Any,
        hyper: Any,
    ) -> None:
        tape = Tape(xp)
        given = [
            map_tree(lambda leaf: Recorded(leaf, tape), tree) for tree in (state, batch, hyper)
        ]
        try:
            state_out, metrics = make(RecordingNamespace(tape))(*given)
            old, new = ([leaf.node for leaf in leaves(tree)] for tree in (given[0], state_out))
            check_results(tape.operations, old, new, metrics.node)
            operations = kernels.rewritten(tape.operations, (*new, metrics.node))
            memory = _Memory(kernels, operations, old, new, metrics.node)
            for leaf in leaves(tuple(given)):
                memory.give(leaf.node, leaf.value)
            memory.decide()
            self.calls = memory.calls({})
        except (TypeError, AttributeError, ValueError, IndexError) as error:
            raise NotRecordable(str(error)) from error
        self.state, self.batch, self.hyper = state, batch, hyper
        self.nodes = [map_tree(lambda leaf: leaf.node, tree) for tree in given]
        self.metrics_node, self.memory = metrics.node, memory
        self.metrics = memory.places[metrics.node]

    def run(self) -> None:
        """Take one step."""
        for call in self.calls:
            call()

    def bound(self, batch: Any, learning_rate: Array, metrics: Array) -> list[Call]:
        """Return the calls of a step on another batch and rate, with other memory for its metrics.

        All else lies where it does for `run`.
        """
        _, old_batch, old_hyper = self.nodes
        given = dict(zip(leaves(old_batch), leaves(batch), strict=True))
        given |= {old_hyper.learning_rate: learning_rate, self.metrics_node: metrics}
        return self.memory.calls(given)


def check_results(
    operations: Sequence[Operation], old: Sequence[Node], new: Sequence[Node], *others: Node
) -> None:
    """Raise NotRecordable unless every result is an array of its own, or the old one itself.

    others: results that are no new state.
    """
    own = {node for operation in operations for node in operation.results if node.base is None}
    for before, after in zip(old, new, strict=True):
        alone = after in own and new.count(after) == 1 and after.form == before.form
        if after is not before and not alone:
            raise NotRecordable("a part of the new state is no array of its own")
    if not own.issuperset(others) or len(set(others)) < len(others):
        raise NotRecordable("the metrics are no array of their own")


class _Memory:
    """Decides where each result goes, in the order of the operations.

    A result is written over an operand that nothing reads any more, where the operation can; a
    new state over the old one; what is stacked goes to its place in the stack; other results
    take memory that was freed.
    """

    def __init__(
        self,
        kernels: Kernels,
        operations: Sequence[Operation],
        old: Sequence[Node],
        new: Sequence[Node],
        metrics: Node,
    ) -> None:
        self.kernels, self.operations = kernels, operations
        self.homes = dict(zip(new, old, strict=True))
        self.places: dict[Node, Array] = {}
        self.fixed: set[Node] = set()
        self.free: dict[tuple[Any, Any], list[Array]] = {}
        for i, operation in enumerate(operations):
            for node in nodes_of(operation.arguments):
                node.owner.last_use = i
        for node in (*new, metrics):
            node.owner.last_use = len(operations)
        self.stacks: dict[Node, tuple[Node, int]] = {}
        self._find_stacks()

    def give(self, node: Node, place: Array) -> None:
        """Set where an input lies; nothing but a new state is ever written there."""
        self.places[node] = place
        self.fixed.add(node)

    def decide(self) -> None:
        """Give every result its place."""
        for i, operation in enumerate(self.operations):
            if operation.name in VIEWS:
                self.places[operation.result] = self._view(operation, self.places)
                continue
            for result in operation.results:
                self.places[result] = self._choose(i, operation, result)
            self._release(i, operation)

    def calls(self, given: dict[Node, Array]) -> list[Call]:
        """Return the calls of a replay; given: inputs, or a stack, that lie elsewhere for it."""
        places = {**self.places, **given}
        places |= {
            node: places[stack][k, ...]
            for node, (stack, k) in self.stacks.items()
            if stack in given
        }
        calls: list[Call] = []
        for operation in self.operations:
            if operation.name not in VIEWS:
                calls += self._calls(operation, places)
            elif places.get(operation.result.owner) is not self.places.get(operation.result.owner):
                places[operation.result] = self._view(operation, places)
        for new, old in self.homes.items():
            if places[new] is not places[old]:
                calls.append(partial(self.kernels.copyto, places[old], places[new]))
        return calls

    def _find_stacks(self) -> None:
        """Make the stacks, and find what is computed only to be stacked: that goes there."""
        own = {node for op in self.operations for node in op.results if not node.base}
        for i, operation in enumerate(self.operations):
            if operation.name != "stack" or operation.options:
                continue
            stack = self.kernels.empty(*operation.result.form)
            self.places[operation.result] = stack
            for k, node in enumerate(operation.arguments[0]):
                alone = node in own and not {node} & {*self.homes, *self.places}
                form = (operation.result.form[0][1:], operation.result.form[1])
                if alone and node.last_use == i and node.form == form:
                    self.stacks[node] = operation.result, k
                    self.places[node] = stack[k, ...]

    def _calls(self, operation: Operation, places: dict[Node, Array]) -> list[Call]:
        arguments = _placed(operation.arguments, places)
        if operation.name != "stack" or operation.options:
            outs = [places[result] for result in operation.results]
            return self.kernels.calls(operation, arguments, outs)
        return [
            partial(self.kernels.copyto, places[operation.result][k, ...], item)
            for k, (node, item) in enumerate(zip(operation.arguments[0], arguments[0], strict=True))
            if self.stacks.get(node) != (operation.result, k)
        ]

    def _view(self, operation: Operation, places: dict[Node, Array]) -> Array:
        return self.kernels.view(operation, _placed(operation.arguments, places))

    def _choose(self, i: int, operation: Operation, result: Node) -> Array:
        if result in self.places:
            return self.places[result]
        home = self.homes.get(result)
        if home and home.last_use <= i and self._fits(operation, home, result):
            return self.places[home]
        taken = [id(self.places.get(other)) for other in operation.results]
        for node in nodes_of(operation.arguments):
            ends = node in self.places and node not in self.fixed and node.last_use <= i
            free = ends and id(self.places[node]) not in taken
            if free and self._fits(operation, node, result):
                return self.places[node]
        spare = self.free.get(result.form)
        return spare.pop() if spare else self.kernels.empty(*result.form)

    def _fits(self, operation: Operation, old: Node, new: Node) -> bool:
        """Tell whether a result may be written where another array lies."""
        alike = old.form == new.form and old.base is None
        return alike and self.kernels.overwrites(operation, old, new)

    def _release(self, i: int, operation: Operation) -> None:
        """Free the memory of what was read for the last time."""
        taken = [id(self.places[result]) for result in operation.results]
        for owner in {node.owner for node in nodes_of(operation.arguments)}:
            known = owner in self.places and owner not in self.fixed and owner not in self.stacks
            if known and owner.last_use == i and id(self.places[owner]) not in taken:
                self.free.setdefault(owner.form, []).append(self.places[owner])


def overwrites_element_wise(operation: Operation, old: Node) -> bool:
    """Tell whether an operation reads an array no later than it writes in its place, if at all.

    What every library does with a call that is element-wise.
    """
    viewed = {node.owner for node in nodes_of(operation.arguments) if node.base is not None}
    if operation.name == ACCUMULATE:
        return operation.arguments[0] is old and old not in nodes_of(operation.arguments[1:])
    return operation.name in (*ELEMENTWISE, *FUSED) and old not in viewed


def _placed(arguments: tuple[Any, ...], places: dict[Node, Array]) -> list[Any]:
    """Return the arguments with arrays for nodes."""

    def place(leaf: Any) -> Any:
        return places.get(leaf, leaf.constant) if isinstance(leaf, Node) else leaf

    return [map_tree(place, argument) for argument in arguments]
