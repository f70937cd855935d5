"""A model as an ONNX graph that takes raw features: scaling, layers, prediction and label."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xpmlp import __version__
from xpmlp.backends.registry import DTYPES
from xpmlp.errors import InputError, unknown_name
from xpmlp.leaves import leaves, map_leaves
from xpmlp.onnx_export.inputs import TEXT, Tensor, inputs_of
from xpmlp.onnx_export.nodes import (
    ACTIVATION_NODES,
    LABEL,
    PREDICTIONS,
    Graph,
    add_sigmoid,
    tensor_type,
)
from xpmlp.onnx_export.preparing import add_inputs, scaling_steps
from xpmlp.training.model import Model

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET = 13
IR_VERSION = 7
LARGEST_FILE = 2**31 - 1
TEXTS = [("ai.onnx.ml", 2)]


@dataclass(frozen=True)
class Form:
    """What a user may choose of the graph.

    input_dtype: that of the features, float32 or float64; float32: all arithmetic but the
    scaling in float32, though the model is of float64; label_names: the classes as texts.
    """

    input_dtype: str = "float32"
    float32: bool = False
    label_names: bool = False


PLAIN = Form()


def to_onnx(model: Model, form: Form = PLAIN) -> "ModelProto":
    """Return the ONNX model: raw features in, what the model predicts out.

    Input `x` (N, D), of `form.input_dtype`, with N free: features as they are before any scaling;
    an image is one row of its pixels. Of a table `x` has its columns, and NaN where a number is
    missing; one with texts has an input (N, 1) for each column instead.
    Outputs, of the dtype of the arithmetic, which is that of the model or float32:
    `probabilities` (N, C) under a cross-entropy, else `values` (N, C), in their own units. Then
    `label`: where there are classes (N,), the index of the class, int64, or its name as text;
    where there are several labels a row, (N, C), int64, 0 or 1. Two classes on a single output
    node become two columns. The metadata names classes, features and origin, as JSON.

    Raises InputError for what ONNX files or this module can't hold, and for a form that makes no
    sense for the model.
    """
    from onnx import helper, numpy_helper

    _refuse_senseless(model, form)
    model = computed(model, form)
    _refuse_unknown(model)
    inputs, outputs = interface(model, form)
    graph = Graph(model.dtype, [tensor.name for tensor in inputs])
    x = add_inputs(graph, model, form.input_dtype)
    _add_outputs(graph, model, _add_layers(graph, model, x), form)
    domains = [("", OPSET), *TEXTS * any(tensor.dtype == TEXT for tensor in inputs)]
    proto = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "mlp",
            list(map(_declare, inputs)),
            list(map(_declare, outputs)),
            [numpy_helper.from_array(array, name) for name, array in graph.constants.items()],
        ),
        opset_imports=[helper.make_opsetid(*domain) for domain in domains],
        ir_version=IR_VERSION,
        producer_name="xpmlp",
        producer_version=__version__,
        doc_string=_description(model, form),
    )
    helper.set_model_props(proto, _metadata(model))
    return proto


def _declare(tensor: Tensor) -> Any:
    from onnx.helper import make_tensor_value_info

    return make_tensor_value_info(tensor.name, tensor_type(tensor.dtype), tensor.shape)


def computed(model: Model, form: Form) -> Model:
    """Return the model with the dtype that the graph computes in."""
    return in_dtype(model, "float32") if form.float32 else model


def in_dtype(model: Model, dtype: str) -> Model:
    """Return the model with its parameters in another dtype; too large ones become infinite."""
    with np.errstate(over="ignore"):
        return replace(model, params=map_leaves(lambda leaf: leaf.astype(dtype), model.params))


def _refuse_unknown(model: Model) -> None:
    for name in (*model.activations, model.loss):
        if name not in ACTIVATION_NODES | PREDICTIONS:
            raise InputError(f"{name} can't be written as ONNX nodes yet")
    if model.n_parameters * model.params[0].W.itemsize > LARGEST_FILE:
        raise InputError(f"{model.n_parameters:,} parameters are more than the 2 GiB of ONNX files")


def _refuse_senseless(model: Model, form: Form) -> None:
    if form.input_dtype not in DTYPES:
        raise unknown_name("input dtype", form.input_dtype, DTYPES)
    if form.float32 and model.dtype == "float32":
        raise InputError("--float32: the net computes in float32 already; leave the option out")
    if form.float32 and any(np.isinf(leaf).any() for leaf in leaves(computed(model, form).params)):
        raise InputError("--float32: some parameters are larger than float32 holds")
    if form.float32 and form.input_dtype == "float64" and not scaling_steps(model.scaling):
        raise InputError(
            "--float32 with --input-dtype float64: the graph scales nothing, so it would round "
            "the features to float32 at once; choose one of the two"
        )
    if form.label_names and len(set(model.class_names)) < len(model.class_names):
        raise InputError("--label-names: two classes have the same name; leave the option out")
    if form.label_names and not model.class_names:
        raise InputError(
            "--label-names: the net has no classes, and so no names of them; leave the option out"
        )


def _add_layers(graph: Graph, model: Model, x: str) -> str:
    """Add the affine layers with their activations; return the name of the logits."""
    for i, layer in enumerate(model.params):
        W, b = (graph.constant(f"layers.{i}.{n}", getattr(layer, n)) for n in ("W", "b"))
        x = graph.add("Gemm", x, W, b)
        if i < len(model.activations):
            x = ACTIVATION_NODES[model.activations[i]](graph, x)
    return x


def _add_outputs(graph: Graph, model: Model, z: str, form: Form) -> None:
    """Add prediction and label; σ(z) of a lone node for two classes is softmax(-z/2, z/2)."""
    output, operator = PREDICTIONS[model.loss]
    if model.target is not None:
        shift, width = (
            graph.constant(f"target.{name}", getattr(model.target, name).astype(graph.dtype))
            for name in ("shift", "width")
        )
        z = graph.add("Add", graph.add("Mul", z, width), shift)
    if is_one_sided(model):
        half = graph.add("Mul", graph.number(0.5), z)
        z, operator = graph.add("Concat", graph.add("Neg", half), half, axis=1), "Softmax"
    if operator == "Sigmoid":
        add_sigmoid(graph, z, output)
    else:
        graph.add(operator, z, output=output)
    if has_several_labels(model):
        _add_several_labels(graph, z)
    elif model.class_names:
        _add_label(graph, z, model.class_names if form.label_names else ())


def _add_several_labels(graph: Graph, z: str) -> None:
    """Add 1 where z > 0, else 0; tract 0.23 hands no int64 out that a Cast made, hence Where."""
    digits = [graph.constant(f"label.{n}", np.array([n], dtype=np.int64)) for n in (1, 0)]
    graph.add("Where", graph.add("Greater", z, graph.number(0.0)), *digits, output=LABEL)


def _add_label(graph: Graph, z: str, names: tuple[str, ...]) -> None:
    """Add the index of the largest z, or its name.

    OpenCV 4 gives wrong values for an ArgMax that drops its axis, hence the Squeeze.
    """
    column = graph.add("ArgMax", z, axis=1, keepdims=1)
    axis = graph.constant("columns", np.array([1], dtype=np.int64))
    index = graph.add("Squeeze", column, axis, output="" if names else LABEL)
    if names:
        classes = graph.constant("class_names", np.array(names, dtype=object))
        graph.add("Gather", classes, index, output=LABEL)


def interface(model: Model, form: Form) -> tuple[list[Tensor], list[Tensor]]:
    """Return the inputs and the outputs of the graph."""
    columns = 2 if is_one_sided(model) else model.sizes[-1]
    outputs = [Tensor(PREDICTIONS[model.loss][0], computed(model, form).dtype, ("N", columns))]
    if has_several_labels(model):
        outputs.append(Tensor(LABEL, "int64", ("N", columns)))
    elif model.class_names:
        outputs.append(Tensor(LABEL, "string" if form.label_names else "int64", ("N",)))
    return inputs_of(model, form.input_dtype), outputs


def is_one_sided(model: Model) -> bool:
    """Tell whether two classes share an output node."""
    return bool(model.class_names) and model.sizes[-1] == 1


def has_several_labels(model: Model) -> bool:
    """Tell whether each row has any number of labels, each with a column of its own."""
    return PREDICTIONS[model.loss][1] == "Sigmoid" and not model.class_names


def _description(model: Model, form: Form) -> str:
    label = f"; label: {meaning}" if (meaning := _meaning_of_label(model, form)) else ""
    return (
        f"Multilayer perceptron {'-'.join(map(str, model.sizes))}. {_meaning_of_inputs(model)} "
        f"not scaled, as the graph scales them{label}."
    )


def _meaning_of_inputs(model: Model) -> str:
    width, image = model.sizes[0], model.image_shape
    if image:
        rows = f"images of {image[0]}x{image[1]} raw pixels, each flattened to a row of {width}"
        return f"x: any number of {rows}, finite and"
    if not model.columns:
        return f"x: any number of rows of {width} raw features, finite and"
    if len(inputs_of(model, "float32")) == 1:
        return f"x: any number of rows of {len(model.columns)} columns, NaN where missing, and"
    return (
        "Each column of a table: any number of rows of texts, empty where missing, or numbers, NaN "
        "where missing, dates as days since 1970-01-01, and"
    )


def _meaning_of_label(model: Model, form: Form) -> str:
    if has_several_labels(model):
        return "1 for each label that the row has, else 0"
    if not model.class_names:
        return ""
    return "name of the class" if form.label_names else "index into the class_names of the metadata"


def _metadata(model: Model) -> dict[str, str]:
    return {
        "class_names": json.dumps(model.class_names),
        "feature_names": json.dumps(model.feature_names),
        "columns": json.dumps([rule.to_dict() for rule in model.columns]),
        "target_names": json.dumps(model.label),
        "image_shape": json.dumps(model.image_shape),
        "activations": json.dumps(model.activations),
        "loss": model.loss,
        "scale": model.scale,
        "dataset": Path(model.dataset).name,
        "xpmlp_version": __version__,
    }
