"""A graph under construction, and the nodes of each activation and of each loss's prediction.

All are standard operators of opset 13, which runtimes know since 2020; each activation is the
formula of xpmlp.nn.activations.
"""

from collections.abc import Callable, Container, Iterable
from typing import Any

import numpy as np

from xpmlp.nn.activations import GELU_CUBIC, GELU_SCALE, LEAKY_RELU_SLOPE

PROBABILITIES, VALUES, LABEL = OUTPUTS = "probabilities", "values", "label"


class Graph:
    """Nodes and constants of a graph under construction.

    dtype: that of its arithmetic. inputs: their names, which nothing else may have.
    """

    def __init__(self, dtype: str, inputs: Iterable[str] = ()) -> None:
        self.dtype, self.inputs = dtype, set(inputs)
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        from onnx.helper import make_node

        name = output or free_name(f"{operator.lower()}_{len(self.nodes)}", self.inputs)
        self.nodes.append(make_node(operator, inputs, [name], **attributes))
        return name

    def constant(self, name: str, array: np.ndarray) -> str:
        """Add an array and return its name."""
        name = free_name(name, self.inputs)
        self.constants[name] = np.ascontiguousarray(array)
        return name

    def number(self, value: float) -> str:
        """Return the name of a scalar, which is added when it is first asked for."""
        return self.constant(f"{value:.17g}", np.array(value, dtype=self.dtype).reshape(()))

    def cast(self, value: str, old: str, new: str) -> str:
        """Return the name of a value in another dtype, or of itself where that is its own."""
        return value if old == new else self.add("Cast", value, to=tensor_type(new))


def free_name(name: str, taken: Container[str]) -> str:
    """Return a name, with a _ or more at its end where others are taken."""
    while name in taken:
        name += "_"
    return name


def tensor_type(dtype: str) -> int:
    """Return ONNX's number of a dtype, or of "string"."""
    from onnx.helper import np_dtype_to_tensor_dtype

    number: int = np_dtype_to_tensor_dtype(np.dtype(object if dtype == "string" else dtype))
    return number


def _operator(name: str) -> Callable[[Graph, str], str]:
    return lambda graph, z: graph.add(name, z)


def add_sigmoid(graph: Graph, z: str, output: str = "") -> str:
    """Add 1 / (1 + e⁻ᶻ) by its formula: onnxruntime's Sigmoid is exactly 0 from z = -18 down."""
    e = graph.add("Exp", graph.add("Neg", z))
    one = graph.number(1.0)
    return graph.add("Div", one, graph.add("Add", one, e), output=output)


def _leaky_relu(graph: Graph, z: str) -> str:
    return graph.add("Max", z, graph.add("Mul", graph.number(LEAKY_RELU_SLOPE), z))


def _elu(graph: Graph, z: str) -> str:
    e = graph.add("Exp", graph.add("Min", z, graph.number(0.0)))
    return graph.add("Add", graph.add("Relu", z), graph.add("Sub", e, graph.number(1.0)))


def _softplus(graph: Graph, z: str) -> str:
    e = graph.add("Exp", graph.add("Neg", graph.add("Abs", z)))
    log = graph.add("Log", graph.add("Add", graph.number(1.0), e))
    return graph.add("Add", graph.add("Relu", z), log)


def _gelu(graph: Graph, z: str) -> str:
    cubic = graph.add("Mul", graph.number(GELU_CUBIC), graph.add("Mul", z, z))
    factor = graph.add("Add", graph.number(1.0), cubic)
    line = graph.add("Mul", graph.number(2.0 * GELU_SCALE), z)
    return graph.add("Mul", z, graph.add("Sigmoid", graph.add("Mul", line, factor)))


def _silu(graph: Graph, z: str) -> str:
    e = graph.add("Exp", graph.add("Neg", z))
    return graph.add("Div", z, graph.add("Add", graph.number(1.0), e))


# In float64 onnxruntime has no LeakyRelu, Elu and Softplus of opset 13, and old releases fuse
# z σ(z) into a node that they lack there as well; hence their formulas, and silu's as a quotient.
ACTIVATION_NODES: dict[str, Callable[[Graph, str], str]] = {
    "identity": lambda _, z: z,
    "sigmoid": _operator("Sigmoid"),
    "tanh": _operator("Tanh"),
    "relu": _operator("Relu"),
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "softplus": _softplus,
    "gelu": _gelu,
    "silu": _silu,
}


PREDICTIONS = {  # the output that the logits become, and the operator that does it
    "softmax_cross_entropy": (PROBABILITIES, "Softmax"),
    "binary_cross_entropy": (PROBABILITIES, "Sigmoid"),
    "mean_squared_error": (VALUES, "Identity"),
    "mean_absolute_error": (VALUES, "Identity"),
    "huber": (VALUES, "Identity"),
    "poisson": (VALUES, "Exp"),
}
