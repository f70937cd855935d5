"""A step compiled for libraries that compute at once: recorded, planned, replayed.

From the recording of a step comes a plan: for each operation the arrays that it reads and the
one that it writes, so that a replay needs no new memory, and writes new parameters over the old
as soon as nothing reads these any more. The mathematics never knows. Whatever can't be
recorded runs as it is written.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from xpmlp.backends.recording import (
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

    def calls(
        self, operation: Operation, arguments: list[Any], out: Array, /
    ) -> list[Callable[[], Any]]:
        """Return the calls that write an operation's result into `out`."""


class Plan:
    """A recorded step on memory that stays the same, which it overwrites with each replay.

    state, batch, hyper: what a replay reads; it leaves the new state in `state`, and what else
    the step returned in `metrics`. The batch is the one that was handed in, the rest copies.
    """

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
            _check_results(tape.operations, old, new, metrics.node)
            operations = kernels.rewritten(tape.operations, (*new, metrics.node))
            memory = _Memory(kernels, operations, old, new, metrics.node)
            for leaf in leaves(given[1]):
                memory.give(leaf.node, leaf.value)
            for leaf in leaves((given[0], given[2])):
                memory.give(leaf.node, kernels.copy(leaf.value))
            self.calls = memory.plan()
        except (TypeError, AttributeError, ValueError, IndexError) as error:
            raise NotRecordable(str(error)) from error
        self.state, self.batch, self.hyper = (
            map_tree(lambda leaf: memory.places[leaf.node], tree) for tree in given
        )
        self.metrics = memory.places[metrics.node]

    def run(self) -> None:
        """Take one step."""
        for call in self.calls:
            call()


def _check_results(
    operations: Sequence[Operation], old: Sequence[Node], new: Sequence[Node], metrics: Node
) -> None:
    """Raise NotRecordable unless every result is an array of its own, or the old one itself."""
    own = {operation.result for operation in operations if operation.result.base is None}
    for before, after in zip(old, new, strict=True):
        alone = after in own and new.count(after) == 1 and after.form == before.form
        if after is not before and not alone:
            raise NotRecordable("a part of the new state is no array of its own")
    if metrics not in own:
        raise NotRecordable("the metrics are no array of their own")


class _Memory:
    """Decides where each result goes, in the order of the operations.

    An element-wise operation writes over an operand that nothing reads any more; a new state
    goes over the old one where that is free; what is stacked goes to its place in the stack;
    other results take memory that was freed.
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
        self.in_place: set[tuple[Node, int]] = set()
        self.stacked = self._places_in_stacks()

    def give(self, node: Node, place: Array) -> None:
        """Set where an input lies; nothing but a new state is ever written there."""
        self.places[node] = place
        self.fixed.add(node)

    def plan(self) -> list[Callable[[], Any]]:
        """Return the calls of a replay."""
        calls: list[Callable[[], Any]] = []
        for i, operation in enumerate(self.operations):
            arguments = [self._place(argument) for argument in operation.arguments]
            if operation.name in VIEWS:
                self.places[operation.result] = self.kernels.view(operation, arguments)
                continue
            out = self._choose(i, operation)
            self.places[operation.result] = out
            calls += self._calls(operation, arguments, out)
            self._release(i, operation, out)
        for new, old in self.homes.items():
            if self.places[new] is not self.places[old]:
                calls.append(partial(self.kernels.copyto, self.places[old], self.places[new]))
        return calls

    def _places_in_stacks(self) -> dict[Node, Array]:
        """Return, for what is computed only to be stacked, its place there; make the stacks."""
        stacked: dict[Node, Array] = {}
        own = {operation.result for operation in self.operations if not operation.result.base}
        for i, operation in enumerate(self.operations):
            if operation.name != "stack" or operation.options:
                continue
            stack = self.kernels.empty(*operation.result.form)
            self.places[operation.result] = stack
            for k, node in enumerate(operation.arguments[0]):
                alone = node in own and not {node} & {*stacked, *self.homes, *self.places}
                form = (operation.result.form[0][1:], operation.result.form[1])
                if alone and node.last_use == i and node.form == form:
                    stacked[node] = stack[k, ...]
                    self.in_place.add((operation.result, k))
        return stacked

    def _calls(
        self, operation: Operation, arguments: list[Any], out: Array
    ) -> list[Callable[[], Any]]:
        if operation.name != "stack" or operation.options:
            return self.kernels.calls(operation, arguments, out)
        return [
            partial(self.kernels.copyto, out[k, ...], item)
            for k, item in enumerate(arguments[0])
            if (operation.result, k) not in self.in_place
        ]

    def _place(self, argument: Any) -> Any:
        def place(leaf: Any) -> Any:
            return self.places.get(leaf, leaf.constant) if isinstance(leaf, Node) else leaf

        return map_tree(place, argument)

    def _choose(self, i: int, operation: Operation) -> Array:
        result = operation.result
        known = self.places.get(result, self.stacked.get(result))
        if known is not None:
            return known
        if operation.name in (*ELEMENTWISE, *FUSED):
            nodes = nodes_of(operation.arguments)
            viewed = {node.owner for node in nodes if node.base is not None}
            home = self.homes.get(result)
            if home and home not in viewed and home.last_use <= i and home.form == result.form:
                return self.places[home]
            for node in nodes:
                dying = node.base is None and node.last_use == i and node in self.places
                kept = node in self.fixed or node in viewed
                if dying and not kept and node.form == result.form:
                    return self.places[node]
        spare = self.free.get(result.form)
        return spare.pop() if spare else self.kernels.empty(*result.form)

    def _release(self, i: int, operation: Operation, out: Array) -> None:
        """Free the memory of what was read for the last time."""
        for owner in {node.owner for node in nodes_of(operation.arguments)}:
            known = owner in self.places and owner not in self.fixed and owner not in self.stacked
            if known and owner.last_use == i and self.places[owner] is not out:
                self.free.setdefault(owner.form, []).append(self.places[owner])
