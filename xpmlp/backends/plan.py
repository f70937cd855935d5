"""A step compiled for libraries that compute at once: recorded, planned, replayed.

The pure step runs once on arrays that note every operation. From the notes comes a plan: for
each operation the arrays that it reads and the one that it writes, so that a replay allocates
nothing, and writes new parameters over the old as soon as nothing reads these any more. The
mathematics never knows. Whatever can't be recorded runs as it is written.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from xpmlp.leaves import leaves, map_tree
from xpmlp.types import Array, Namespace

ELEMENTWISE = (
    *("add", "subtract", "multiply", "divide", "negative", "abs", "sign", "sqrt", "exp", "expm1"),
    *("log", "log1p", "tanh", "maximum", "minimum", "greater", "less", "equal"),
)
REDUCTIONS = ("sum", "mean", "max", "argmax")
VIEWS = ("reshape", "matrix_transpose", "getitem")
CONSTANTS = ("zeros_like", "ones_like")
RECORDED = (*ELEMENTWISE, *REDUCTIONS, *VIEWS, *CONSTANTS, "matmul", "astype", "where", "stack")


class NotRecordable(Exception):
    """The step does something that a plan can't repeat."""


@dataclass(frozen=True)
class Operation:
    """One call: its name, positional arguments (nodes, constants or tuples), options, result."""

    name: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    result: "Node"


@dataclass(eq=False)
class Node:
    """An array of the recording: the value it had, and the node whose memory a view shows."""

    value: Array
    base: "Node | None" = None
    last_use: int = -1

    @property
    def owner(self) -> "Node":
        """The node that has the memory."""
        return self if self.base is None else self.base.owner


@dataclass
class Tape:
    """The operations of one run, in their order."""

    xp: Namespace
    operations: list[Operation] = field(default_factory=list)

    def note(self, name: str, *arguments: Any, **options: Any) -> "Recorded":
        """Carry out an operation, note it, and return its result."""
        nodes = tuple(_node_of(argument) for argument in arguments)
        values = [_value_of(node) for node in nodes]
        value = self.xp.asarray(_function(self.xp, name)(*values, **options))
        if name in CONSTANTS:
            return Recorded(Node(value), self)
        viewed = nodes[0] if name in VIEWS and isinstance(nodes[0], Node) else None
        if name in VIEWS and viewed is None:
            raise NotRecordable(f"{name} of a constant")
        node = Node(value, base=viewed)
        self.operations.append(Operation(name, nodes, options, node))
        return Recorded(node, self)


def _node_of(argument: Any) -> Any:
    if isinstance(argument, Recorded):
        return argument.node
    if isinstance(argument, list | tuple):
        return tuple(_node_of(item) for item in argument)
    return argument


def _value_of(argument: Any) -> Any:
    return map_tree(lambda leaf: leaf.value if isinstance(leaf, Node) else leaf, argument)


def _function(xp: Namespace, name: str) -> Callable[..., Any]:
    if name == "getitem":
        return lambda array, key: array[key]
    function: Callable[..., Any] = getattr(xp, name)
    return function


class Recorded:
    """An array that notes what is done with it; it has the operators that the step uses."""

    __array_ufunc__ = None

    def __init__(self, node: Node, tape: Tape) -> None:
        self.node, self.tape = node, tape
        self.shape, self.dtype, self.ndim = node.value.shape, node.value.dtype, node.value.ndim

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise NotRecordable("an array of the step is used outside the recorded operations")

    def __bool__(self) -> bool:
        raise NotRecordable("the step depends on a value")

    def __getitem__(self, key: Any) -> "Recorded":
        return self.tape.note("getitem", self, key)


def _operator(name: str, reflected: bool = False) -> Callable[[Any, Any], Any]:
    def operate(self: Recorded, other: Any) -> Recorded:
        pair = (other, self) if reflected else (self, other)
        return self.tape.note(name, *pair)

    return operate


for _symbol, _name in {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
}.items():
    setattr(Recorded, f"__{_symbol}__", _operator(_name))
    setattr(Recorded, f"__r{_symbol}__", _operator(_name, reflected=True))
for _symbol, _name in {"lt": "less", "gt": "greater", "eq": "equal"}.items():
    setattr(Recorded, f"__{_symbol}__", _operator(_name))
setattr(Recorded, "__neg__", lambda self: self.tape.note("negative", self))  # noqa: B010


class RecordingNamespace:
    """The namespace with which a step is recorded: functions of arrays note themselves."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape

    def __getattr__(self, name: str) -> Any:
        known = getattr(self.tape.xp, name)
        if name in RECORDED:
            return lambda *arguments, **options: self.tape.note(name, *arguments, **options)
        if isinstance(known, type) or not callable(known):
            return known

        def without_arrays(*arguments: Any, **options: Any) -> Any:
            if any(isinstance(argument, Recorded) for argument in (*arguments, *options.values())):
                raise NotRecordable(f"{name} is not among the recorded operations")
            return known(*arguments, **options)

        return without_arrays


class Plan:
    """A recorded step on arrays of its own, which it overwrites with each replay.

    state, batch, hyper: what a replay reads; it leaves the new state in `state`, and what else
    the step returned in `metrics`.
    """

    def __init__(
        self,
        library: Any,
        xp: Namespace,
        make: Callable[[Namespace], Callable[..., Any]],
        state: Any,
        batch: Any,
        hyper: Any,
    ) -> None:
        tape = Tape(xp)
        given = [
            map_tree(lambda leaf: Recorded(Node(leaf), tape), tree)
            for tree in (state, batch, hyper)
        ]
        try:
            state_out, metrics = make(RecordingNamespace(tape))(*given)
            old, new = ([leaf.node for leaf in leaves(tree)] for tree in (given[0], state_out))
            _check_results(tape.operations, old, new, metrics.node)
        except (TypeError, AttributeError, ValueError) as error:
            raise NotRecordable(str(error)) from error
        memory = _Memory(library, tape.operations, old, new, metrics.node)
        for leaf in leaves(given[1]):
            memory.give(leaf.node, leaf.node.value)
        for leaf in leaves((given[0], given[2])):
            memory.give(leaf.node, leaf.node.value.copy())
        self.calls = memory.plan()
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
        alone = after in own and new.count(after) == 1 and _form(after) == _form(before)
        if after is not before and not alone:
            raise NotRecordable("a part of the new state is no array of its own")
    if metrics not in own:
        raise NotRecordable("the metrics are no array of their own")


class _Memory:
    """Decides where each result goes, in the order of the operations.

    An element-wise operation writes over an operand that nothing reads any more; a new state
    goes over the old one where that is free; other results take memory that was freed.
    """

    def __init__(
        self,
        library: Any,
        operations: Sequence[Operation],
        old: Sequence[Node],
        new: Sequence[Node],
        metrics: Node,
    ) -> None:
        self.library, self.operations = library, operations
        self.homes = dict(zip(new, old, strict=True))
        self.places: dict[Node, Array] = {}
        self.inputs: set[Node] = set()
        self.free: dict[tuple[Any, Any], list[Array]] = {}
        for i, operation in enumerate(operations):
            for node in _nodes(operation.arguments):
                node.owner.last_use = i
        for node in (*new, metrics):
            node.owner.last_use = len(operations)

    def give(self, node: Node, place: Array) -> None:
        """Set where an input lies; nothing but a new state is ever written there."""
        self.places[node] = place
        self.inputs.add(node)

    def plan(self) -> list[Callable[[], Any]]:
        """Return the calls of a replay."""
        calls: list[Callable[[], Any]] = []
        for i, operation in enumerate(self.operations):
            arguments = [self._place(argument) for argument in operation.arguments]
            if operation.name in VIEWS:
                self._view(operation, arguments)
                continue
            out = self._choose(i, operation)
            self.places[operation.result] = out
            calls += _calls(self.library, operation, arguments, out)
            self._release(i, operation, out)
        for new, old in self.homes.items():
            if self.places[new] is not self.places[old]:
                calls.append(partial(self.library.copyto, self.places[old], self.places[new]))
        return calls

    def _place(self, argument: Any) -> Any:
        def place(leaf: Any) -> Any:
            return self.places.get(leaf, leaf.value) if isinstance(leaf, Node) else leaf

        return map_tree(place, argument)

    def _view(self, operation: Operation, arguments: list[Any]) -> None:
        view = _function(self.library, operation.name)(*arguments, **operation.options)
        if not self.library.may_share_memory(view, arguments[0]):
            raise NotRecordable(f"{operation.name} copies")
        self.places[operation.result] = view

    def _choose(self, i: int, operation: Operation) -> Array:
        result = operation.result
        form = (result.value.shape, result.value.dtype)
        if operation.name in ELEMENTWISE:
            home = self.homes.get(result)
            if home is not None and home.last_use <= i and _form(home) == form:
                return self.places[home]
            for node in _nodes(operation.arguments):
                dying = node.base is None and node.last_use == i and node in self.places
                if dying and node not in self.inputs and _form(node) == form:
                    return self.places[node]
        spare = self.free.get(form)
        return spare.pop() if spare else self.library.empty(*form)

    def _release(self, i: int, operation: Operation, out: Array) -> None:
        """Free the memory of what was read for the last time."""
        for owner in {node.owner for node in _nodes(operation.arguments)}:
            known = owner in self.places and owner not in self.inputs
            if known and owner.last_use == i and self.places[owner] is not out:
                self.free.setdefault(_form(owner), []).append(self.places[owner])


def _form(node: Node) -> tuple[Any, Any]:
    return node.value.shape, node.value.dtype


def _nodes(arguments: tuple[Any, ...]) -> list[Node]:
    return [leaf for leaf in leaves(arguments) if isinstance(leaf, Node)]


def _calls(
    library: Any, operation: Operation, arguments: list[Any], out: Array
) -> list[Callable[[], Any]]:
    """Return the calls that write an operation's result into `out`."""
    copy = library.copyto
    if operation.name == "astype":
        return [partial(copy, out, arguments[0], casting="unsafe")]
    if operation.name == "where":
        condition, yes, no = arguments
        return [partial(copy, out, no), partial(copy, out, yes, where=condition)]
    function = _function(library, operation.name)
    return [partial(function, *arguments, out=out, **operation.options)]
