"""Recording a pure step: it runs once on arrays that note every operation."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from xpmlp.leaves import leaves, map_tree
from xpmlp.types import Array, Namespace

ELEMENTWISE = (
    *("add", "subtract", "multiply", "divide", "negative", "abs", "sign", "sqrt", "exp", "expm1"),
    *("log", "log1p", "tanh", "maximum", "minimum", "greater", "less", "equal"),
    *("bitwise_and", "bitwise_xor", "bitwise_right_shift"),
)
FUSED = ("addcmul", "with_product")  # element-wise in what they write, made by rewriting alone
ACCUMULATE = "accumulate"  # αab + βx, which is written over x
DESCEND = "descend"  # βx - ηab with numbers η and, where given, β; which is written over x
INTO = (ACCUMULATE, DESCEND)  # products that are added to something
REDUCTIONS = ("sum", "mean", "max")
PRODUCTS = ("matmul", "vecdot")
VIEWS = ("reshape", "matrix_transpose", "getitem")
CONSTANTS = ("zeros_like", "ones_like")
ACROSS = "mean_across"  # over the parts of a step that several processes have
RECORDED = (
    *(*ELEMENTWISE, *REDUCTIONS, *PRODUCTS, *VIEWS, *CONSTANTS),
    *("astype", "where", "stack", "argmax", ACROSS),
)


Form = tuple[tuple[int, ...], Any]
VALUE, NODE = "value", "node"


class NotRecordable(Exception):
    """The step does something that a plan can't repeat."""


@dataclass(frozen=True, eq=False)
class Operation:
    """One call: its name, positional arguments (nodes, constants or tuples), options, result.

    others: further results, of operations that were made from several.
    """

    name: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    result: "Node"
    others: tuple["Node", ...] = ()

    @property
    def results(self) -> tuple["Node", ...]:
        """All results."""
        return (self.result, *self.others)


@dataclass(eq=False)
class Node:
    """An array of the recording, without its numbers, so that these die as the step's locals do.

    form: shape and dtype, what memory must have to hold it. base: the node whose memory a view
    shows; in_order: whether it shows all entries in the same order. constant: the array itself,
    where it is the same in every step.
    """

    form: Form
    base: "Node | None" = None
    in_order: bool = False
    constant: Array | None = None
    last_use: int = -1

    @property
    def owner(self) -> "Node":
        """The node that has the memory."""
        return self if self.base is None else self.base.owner

    @property
    def straight(self) -> bool:
        """Whether the node shows its owner's entries in the owner's order."""
        return self.base is None or (self.in_order and self.base.straight)


@dataclass
class Tape:
    """The operations of one run, in their order."""

    xp: Namespace
    operations: list[Operation] = field(default_factory=list)

    def note(self, name: str, *arguments: Any, **options: Any) -> "Recorded":
        """Carry out an operation, note it, and return its result."""
        arguments = tuple(tuple(a) if isinstance(a, list) else a for a in arguments)
        value = self.xp.asarray(_function(self.xp, name)(*_over(VALUE, arguments), **options))
        if name in CONSTANTS:
            return Recorded(value, self, Node(form_of(value), constant=value))
        nodes = map_tree(_as_node, _over(NODE, arguments))
        viewed = nodes[0] if name in VIEWS and isinstance(nodes[0], Node) else None
        if name in VIEWS and (viewed is None or viewed.constant is not None):
            raise NotRecordable(f"{name} of a constant")
        node = Node(form_of(value), base=viewed, in_order=_keeps_order(name, arguments))
        self.operations.append(Operation(name, nodes, options, node))
        return Recorded(value, self, node)


def form_of(array: Array) -> Form:
    """Return shape and dtype."""
    return tuple(array.shape), array.dtype


def _as_node(leaf: Any) -> Any:
    """Return a node for an array that is not recorded: it is the same in every step."""
    is_array = hasattr(leaf, "dtype") and hasattr(leaf, "ndim") and not isinstance(leaf, type)
    return Node(form_of(leaf), constant=leaf) if is_array else leaf


def _keeps_order(name: str, arguments: tuple[Any, ...]) -> bool:
    """Tell whether a view shows all entries of its array in their order."""
    if name != "getitem":
        return name == "reshape"
    keys = arguments[1] if isinstance(arguments[1], tuple) else (arguments[1],)
    return all(key is None or key is ... or key == slice(None) for key in keys)


def _over(part: str, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the arguments with a part of each recorded array in its place."""

    def part_of(leaf: Any) -> Any:
        return getattr(leaf, part) if isinstance(leaf, Recorded) else leaf

    taken: tuple[Any, ...] = map_tree(part_of, arguments)
    return taken


def _function(xp: Namespace, name: str) -> Callable[..., Any]:
    if name == "getitem":
        return lambda array, key: array[key]
    function: Callable[..., Any] = getattr(xp, name)
    return function


def nodes_of(arguments: Any) -> list[Node]:
    """Return the nodes among arguments."""
    return [leaf for leaf in leaves(arguments) if isinstance(leaf, Node)]


class Recorded:
    """An array that notes what is done with it; it has the operators that the step uses."""

    __array_ufunc__ = None

    def __init__(self, value: Array, tape: Tape, node: Node | None = None) -> None:
        self.value, self.tape, self.node = value, tape, node or Node(form_of(value))
        self.shape, self.dtype, self.ndim = value.shape, value.dtype, value.ndim
        self.device = getattr(value, "device", None)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise NotRecordable("an array of the step is used outside the recorded operations")

    def __bool__(self) -> bool:
        raise NotRecordable("the step depends on a value")

    def __getitem__(self, key: Any) -> "Recorded":
        keys = key if isinstance(key, tuple) else (key,)
        if not all(k is None or k is ... or isinstance(k, int | slice) for k in keys):
            raise NotRecordable("an array of the step is indexed by more than numbers and slices")
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
    "and": "bitwise_and",
    "xor": "bitwise_xor",
    "rshift": "bitwise_right_shift",
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
