"""A model as an ONNX graph that takes raw features, checked against the model before it is kept.

The scaling, the layers, the activations and the loss's prediction are standard operators of
opset 13, which runtimes know since 2020; each activation is the formula of xpmlp.nn.activations.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from xpmlp import __version__
from xpmlp.backends.registry import DTYPES, pip_install
from xpmlp.data.dataset import Scaling
from xpmlp.errors import InputError, RunError, unknown_name
from xpmlp.files import write_whole
from xpmlp.leaves import map_leaves
from xpmlp.nn.activations import GELU_CUBIC, GELU_SCALE, LEAKY_RELU_SLOPE
from xpmlp.training.model import Model

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET = 13
IR_VERSION = 7
TOLERANCE = 1e-5
LARGEST_FILE = 2**31 - 1
TOO_FINE = "; the features are too fine for float32: choose --input-dtype float64"
INPUT, PROBABILITIES, VALUES, LABEL = "x", "probabilities", "values", "label"


class Tensor(NamedTuple):
    """An input or output of the graph; its shape has "N" for the number of rows, which is free."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


class Check(NamedTuple):
    """The largest difference of the graph's answers from the model's, and what is allowed."""

    difference: float
    allowed: float


@dataclass(frozen=True)
class Exported:
    """What `export` wrote, and how the check went."""

    path: Path
    bytes: int
    inputs: list[Tensor]
    outputs: list[Tensor]
    check: Check


def export(model: Model, path: Path, rows: np.ndarray, input_dtype: str = "float32") -> Exported:
    """Write a model as an ONNX file in one piece, once onnxruntime gives the model's answers.

    rows: raw features (N, D), float, to try it on; the rest as for `to_onnx` and `check`.
    Raises InputError where a package is missing or the model can't be exported, RunError where
    the check fails, OSError where the file can't be written; the file is then left as it was.
    """
    require_packages()
    content = to_onnx(model, input_dtype).SerializeToString()
    checked = check(content, model, rows, input_dtype)
    write_whole(path, content)
    return Exported(path, len(content), *_interface(model, input_dtype), checked)


def require_packages() -> None:
    """Raise InputError, with the pip line, where onnx or onnxruntime can't be imported."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        reason = f"{error.name} is not installed" if error.name else str(error)
        raise InputError(
            f"ONNX files need onnx and onnxruntime ({reason}); "
            f"install them with: {pip_install('onnx onnxruntime')}"
        ) from error


class Graph:
    """Nodes and constants of a graph under construction; `dtype` is that of its arithmetic."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        from onnx.helper import make_node

        name = output or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(make_node(operator, inputs, [name], **attributes))
        return name

    def constant(self, name: str, array: np.ndarray) -> str:
        """Add an array and return its name."""
        self.constants[name] = np.ascontiguousarray(array)
        return name

    def number(self, value: float) -> str:
        """Return the name of a scalar, which is added when it is first asked for."""
        return self.constant(f"{value:.17g}", np.array(value, dtype=self.dtype).reshape(()))

    def cast(self, value: str, old: str, new: str) -> str:
        """Return the name of a value in another dtype, or of itself where that is its own."""
        return value if old == new else self.add("Cast", value, to=_tensor_type(new))


def _tensor_type(dtype: str) -> int:
    from onnx.helper import np_dtype_to_tensor_dtype

    number: int = np_dtype_to_tensor_dtype(np.dtype(dtype))
    return number


def _operator(name: str) -> Callable[[Graph, str], str]:
    return lambda graph, z: graph.add(name, z)


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


def to_onnx(model: Model, input_dtype: str = "float32") -> "ModelProto":
    """Return the ONNX model: raw features in, what the model predicts out.

    Input `x` (N, D), of `input_dtype`, with N free: features as they are before any scaling; an
    image is one row of its pixels. Outputs, of the model's dtype, which all arithmetic has:
    `probabilities` (N, C) under a cross-entropy, else `values` (N, C), and where there are
    classes `label` (N,), int64, the index of the class. Two classes on a single output node
    become two columns. The metadata names classes, features and origin, as JSON.

    Raises InputError for what ONNX files or this module can't hold.
    """
    from onnx import helper, numpy_helper

    _refuse_unknown(model, input_dtype)
    graph = Graph(_dtype(model))
    x = _add_scaling(graph, model, input_dtype)
    _add_outputs(graph, model, _add_layers(graph, model, x))
    inputs, outputs = _interface(model, input_dtype)
    proto = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "mlp",
            list(map(_declare, inputs)),
            list(map(_declare, outputs)),
            [numpy_helper.from_array(array, name) for name, array in graph.constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="xpmlp",
        producer_version=__version__,
        doc_string=_description(model),
    )
    helper.set_model_props(proto, _metadata(model))
    return proto


def _declare(tensor: Tensor) -> Any:
    from onnx.helper import make_tensor_value_info

    return make_tensor_value_info(tensor.name, _tensor_type(tensor.dtype), tensor.shape)


def _refuse_unknown(model: Model, input_dtype: str) -> None:
    if input_dtype not in DTYPES:
        raise unknown_name("input dtype", input_dtype, DTYPES)
    for name in (*model.activations, model.loss):
        if name not in ACTIVATION_NODES | PREDICTIONS:
            raise InputError(f"{name} can't be written as ONNX nodes yet")
    if model.n_parameters * model.params[0].W.itemsize > LARGEST_FILE:
        raise InputError(f"{model.n_parameters:,} parameters are more than the 2 GiB of ONNX files")


def _add_scaling(graph: Graph, model: Model, input_dtype: str) -> str:
    """Add (x - shift) / width, so that it comes out as Model.scale_inputs computes it."""
    if model.scaling is None or _steps(model.scaling) == 0:
        return graph.cast(INPUT, input_dtype, graph.dtype)
    dtype = _scaling_dtype(model.scaling, input_dtype, graph.dtype)
    x = graph.cast(INPUT, input_dtype, dtype)
    if model.scaling.shift.any():
        x = graph.add("Sub", x, graph.constant("inputs.shift", model.scaling.shift.astype(dtype)))
    if (model.scaling.width != 1.0).any():
        x = graph.add("Div", x, graph.constant("inputs.width", model.scaling.width.astype(dtype)))
    return graph.cast(x, dtype, graph.dtype)


def _steps(scaling: Scaling) -> int:
    return int(scaling.shift.any()) + int((scaling.width != 1.0).any())


def _scaling_dtype(scaling: Scaling, *dtypes: str) -> str:
    """Return float32 where one step in it rounds as float64 and a cast do, such as pixels / 255."""
    with np.errstate(over="ignore"):
        exact = all((part == part.astype(np.float32)).all() for part in scaling)
    one_step = set(dtypes) == {"float32"} and _steps(scaling) == 1
    return "float32" if exact and one_step else "float64"


def _add_layers(graph: Graph, model: Model, x: str) -> str:
    """Add the affine layers with their activations; return the name of the logits."""
    for i, layer in enumerate(model.params):
        W, b = (graph.constant(f"layers.{i}.{n}", getattr(layer, n)) for n in ("W", "b"))
        x = graph.add("Gemm", x, W, b)
        if i < len(model.activations):
            x = ACTIVATION_NODES[model.activations[i]](graph, x)
    return x


def _add_outputs(graph: Graph, model: Model, z: str) -> None:
    """Add prediction and label; σ(z) of a lone node for two classes is softmax(-z/2, z/2)."""
    output, operator = PREDICTIONS[model.loss]
    if _is_one_sided(model):
        half = graph.add("Mul", graph.number(0.5), z)
        z, operator = graph.add("Concat", graph.add("Neg", half), half, axis=1), "Softmax"
    graph.add(operator, z, output=output)
    if model.class_names:
        graph.add("ArgMax", z, axis=1, keepdims=0, output=LABEL)


def _interface(model: Model, input_dtype: str) -> tuple[list[Tensor], list[Tensor]]:
    """Return the inputs and the outputs of the graph."""
    columns = 2 if _is_one_sided(model) else model.sizes[-1]
    outputs = [Tensor(PREDICTIONS[model.loss][0], _dtype(model), ("N", columns))]
    if model.class_names:
        outputs.append(Tensor(LABEL, "int64", ("N",)))
    return [Tensor(INPUT, input_dtype, ("N", model.sizes[0]))], outputs


def _is_one_sided(model: Model) -> bool:
    return bool(model.class_names) and model.sizes[-1] == 1


def _dtype(model: Model) -> str:
    return str(model.params[0].W.dtype)


def _description(model: Model) -> str:
    width, image = model.sizes[0], model.image_shape
    rows = f"rows of {width} raw features"
    if image:
        rows = f"images of {image[0]}x{image[1]} raw pixels, each flattened to a row of {width}"
    label = "; label: index into the class_names of the metadata" if model.class_names else ""
    return (
        f"Multilayer perceptron {'-'.join(map(str, model.sizes))}. x: any number of {rows}, "
        f"finite and not scaled, as the graph scales them{label}."
    )


def _metadata(model: Model) -> dict[str, str]:
    return {
        "class_names": json.dumps(model.class_names),
        "feature_names": json.dumps(model.feature_names),
        "image_shape": json.dumps(model.image_shape),
        "activations": json.dumps(model.activations),
        "loss": model.loss,
        "scale": model.scale,
        "dataset": Path(model.dataset).name,
        "xpmlp_version": __version__,
    }


def check(content: bytes, model: Model, rows: np.ndarray, input_dtype: str = "float32") -> Check:
    """Compare the answers of onnxruntime with those of the model, and return how they differ.

    content: a serialised ONNX model of `to_onnx`; rows: raw features (N, D), float, N ≥ 1, which
    the graph gets in its input's dtype. Allowed is 1e-5, for values times the largest of them
    where that is above one; or four times the rounding error of the model itself, measured
    against its float64 form, where that is more. A label may differ where two classes come
    equally close. Raises RunError for more, and for a graph that does not run.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        given = rows.astype(input_dtype)
        expected = _expected(model, rows)
        actual, labels = _answers(content, given)
        difference = _largest_difference(actual, expected)
        allowed = max(TOLERANCE * _unit(model, expected), 4.0 * _rounding(model, rows, expected))
        if not difference <= allowed:
            rounded = _largest_difference(_expected(model, given), expected) > allowed
            raise RunError(
                f"onnxruntime's answers differ from the model's by up to {difference:.1e}, and "
                f"{allowed:.1e} is allowed, so nothing was written" + rounded * TOO_FINE
            )
    if labels is not None and _wrong_labels(labels, expected, 2 * allowed):
        raise RunError("onnxruntime gives other labels than the model, so nothing was written")
    return Check(difference, allowed)


def _unit(model: Model, expected: np.ndarray) -> float:
    """Return 1 for probabilities; for values the largest finite one, where that is above 1."""
    if PREDICTIONS[model.loss][0] == PROBABILITIES:
        return 1.0
    return max(1.0, float(np.abs(expected).max(initial=0.0, where=np.isfinite(expected))))


def _rounding(model: Model, rows: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest finite error of the model's answers against those of float64."""
    in_float64 = map_leaves(lambda leaf: leaf.astype(np.float64), model.params)
    error = np.abs(expected - _expected(replace(model, params=in_float64), rows))
    return float(error.max(initial=0.0, where=np.isfinite(error)))


def _expected(model: Model, rows: np.ndarray) -> np.ndarray:
    """Return the answers of the model itself, in two columns where the graph has two."""
    outputs = model.predict_outputs(model.scale_inputs(rows))
    return np.hstack([1.0 - outputs, outputs]) if _is_one_sided(model) else outputs


def _answers(content: bytes, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the first output (N, C) and the labels (N,), from one row alone and then the rest."""
    import onnx
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        onnx.checker.check_model(content, full_check=True)
        session = InferenceSession(content, options, providers=["CPUExecutionProvider"])
        pieces = [session.run(None, {INPUT: piece}) for piece in (rows[:1], rows[1:]) if len(piece)]
    except Exception as error:  # both packages raise classes of their own for anything wrong
        reason = shorten(str(error), 200, placeholder=" …")
        raise RunError(f"the ONNX graph does not run, so nothing was written: {reason}") from error
    outputs = [np.concatenate(parts) for parts in zip(*pieces, strict=True)]
    return outputs[0], outputs[1] if len(outputs) > 1 else None


def _largest_difference(actual: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest |actual - expected|, which is 0 where both are the same infinity."""
    return float(np.where(actual == expected, 0.0, np.abs(actual - expected)).max(initial=0.0))


def _wrong_labels(labels: np.ndarray, expected: np.ndarray, margin: float) -> bool:
    """Tell whether a label names a class that falls behind the model's by more than a margin."""
    chosen = np.take_along_axis(expected, labels[:, None], axis=1)[:, 0]
    return bool((expected.max(axis=1) - chosen > margin).any())
