"""Arrays without numbers: what is done with them becomes the nodes of an ONNX graph.

The mathematics runs once, on arrays that have a shape and a dtype and are else a name in the
graph. A dimension may be a `Size`, which nobody knows before the graph runs, so that one graph
takes batches of any number of rows. What has no such array among its arguments, such as the hashes
of a layer's units, is computed by NumPy there and then, and is a constant of the graph.
"""

from collections.abc import Callable, Iterable
from math import prod
from typing import Any, NoReturn

import array_api_compat.numpy as xnp
import numpy as np

from xpmlp.leaves import leaves
from xpmlp.onnx_export.nodes import Graph, tensor_type

Shape = tuple[Any, ...]
NUMBERS = bool | int | float


class NotTraceable(Exception):
    """The step does something that a graph has no nodes for here."""


class Trace(Graph):
    """A graph in which the same node stands only once."""

    def __init__(self, dtype: str) -> None:
        super().__init__(dtype)
        self.known: dict[Any, str] = {}

    def argument(self, name: str, shape: Shape, dtype: str) -> "Traced":
        """Return an input of the graph; each `Size` of its shape is read off the first that has it.

        A shape's entries are numbers or, where they are free, instances of `Size`.
        """
        self.inputs.add(name)
        for axis, size in enumerate(shape):
            if isinstance(size, Size) and size.source is None:
                size.graph, size.source = self, (name, axis)
        return Traced(self, name, shape, np.dtype(dtype))

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Return the name of a node's output; the node is added unless it is there already."""
        key = operator, inputs, repr(sorted(attributes.items()))
        if key not in self.known:
            self.known[key] = self.add(operator, *inputs, **attributes)
        return self.known[key]

    def value(self, array: Any, dtype: Any = None) -> str:
        """Return the name of a constant."""
        array = np.asarray(array, dtype, order="C")
        key = array.dtype.str, array.shape, array.tobytes()
        if key not in self.known:
            self.known[key] = f"constant_{len(self.constants)}"
            self.constants[self.known[key]] = array
        return self.known[key]


class Size:
    """A dimension that isn't known before the graph runs; it divides, and can be an arange's end.

    source: the input, and its axis, that it is read off.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.graph: Trace | None = None
        self.source: tuple[str, int] | None = None

    def __repr__(self) -> str:
        return self.name

    def read(self) -> str:
        """Return the name of its value, a scalar int64."""
        if self.graph is None or self.source is None:
            raise NotTraceable(f"the size {self.name} is needed as a number")
        name, axis = self.source
        shape = self.graph.node("Shape", name)
        return self.graph.node("Gather", shape, self.graph.value(axis, "int64"), axis=0)

    def _refuse(self, *_: Any) -> NoReturn:
        raise NotTraceable(f"the step depends on the size {self.name}, which is left free")

    __int__ = __bool__ = __index__ = __lt__ = __gt__ = __le__ = __ge__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _refuse
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = _refuse


class Traced:
    """An array of the graph: its name there, its shape, its dtype, and the operators of arrays."""

    __array_ufunc__ = None
    device = None

    def __init__(self, graph: Trace, name: str, shape: Shape, dtype: Any) -> None:
        self.graph, self.name = graph, name
        self.shape, self.dtype, self.ndim = tuple(shape), np.dtype(dtype), len(shape)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise NotTraceable("an array of the step is used outside the namespace's operations")

    def __bool__(self) -> bool:
        raise NotTraceable("the step depends on a value")

    def node(
        self, operator: str, shape: Shape, *more: str, dtype: Any = None, **attributes: Any
    ) -> "Traced":
        """Return the result of a node whose first input this is; dtype: None for its own."""
        name = self.graph.node(operator, self.name, *more, **attributes)
        return Traced(self.graph, name, shape, self.dtype if dtype is None else dtype)

    def cast(self, dtype: Any) -> "Traced":
        """Return the array in another dtype."""
        dtype = np.dtype(dtype)
        if dtype == self.dtype:
            return self
        return self.node("Cast", self.shape, dtype=dtype, to=tensor_type(str(dtype)))


def together(*arguments: Any) -> tuple[Trace, Any, list["Traced"]]:
    """Return the graph of the arguments, their common dtype, and each of them as an array of it."""
    graph = next(a.graph for a in arguments if isinstance(a, Traced))
    weak = [a for a in arguments if isinstance(a, NUMBERS | Size)]
    strong = [a.dtype for a in arguments if not isinstance(a, NUMBERS | Size)]
    dtype = np.result_type(*strong, *(0 if isinstance(a, Size) else a for a in weak))
    return graph, dtype, [of_graph(graph, a, dtype) for a in arguments]


def of_graph(graph: Trace, value: Any, dtype: Any) -> Traced:
    """Return a value as an array of the graph, in that dtype."""
    if isinstance(value, Size):
        return Traced(graph, value.read(), (), np.int64).cast(dtype)
    if isinstance(value, Traced):
        return value.cast(dtype)
    array = np.asarray(value, dtype)
    return Traced(graph, graph.value(array), array.shape, dtype)


def broadcast(shapes: Iterable[Shape]) -> Shape:
    """Return the shape to which shapes broadcast; sizes that are free are the same or are 1."""
    shapes = list(shapes)
    ndim = max(map(len, shapes))
    aligned = [(1,) * (ndim - len(shape)) + tuple(shape) for shape in shapes]
    result = []
    for sizes in zip(*aligned, strict=True):
        different = [size for size in dict.fromkeys(sizes) if size != 1]
        if len(different) > 1:
            raise NotTraceable(f"shapes {shapes} don't broadcast")
        result.append(different[0] if different else 1)
    return tuple(result)


def count(shape: Shape) -> Any:
    """Return the number of entries, or a size without a source where that is not known."""
    known = all(isinstance(size, int) for size in shape)
    return prod(shape) if known else Size("*".join(map(str, shape)))


class TracingNamespace:
    """The namespace that the mathematics is traced with.

    operations: by their names, functions of arguments among which there is an array of the graph.
    """

    def __init__(self, operations: dict[str, Callable[..., Any]]) -> None:
        self.operations = operations

    def __getattr__(self, name: str) -> Any:
        known = getattr(xnp, name)
        if isinstance(known, type) or not callable(known):
            return known

        def apply(*arguments: Any, **options: Any) -> Any:
            arguments = tuple(tuple(a) if isinstance(a, list) else a for a in arguments)
            given = leaves((*arguments, *options.values()))
            if not any(isinstance(leaf, Traced | Size) for leaf in given):
                return known(*arguments, **{k: v for k, v in options.items() if k != "device"})
            if name not in self.operations:
                raise NotTraceable(f"there are no ONNX nodes for {name} here")
            return self.operations[name](*arguments, **options)

        return apply
