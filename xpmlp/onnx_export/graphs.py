"""A model as an ONNX graph that takes raw features: scaling, layers, prediction and label."""

import json
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xpmlp import __version__
from xpmlp.backends.registry import DTYPES
from xpmlp.errors import InputError, unknown_name
from xpmlp.leaves import leaves
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
from xpmlp.training.ensemble import Ensemble
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
    if isinstance(model, Ensemble):
        _add_mean(graph, model, x, form)
    else:
        _add_outputs(graph, model, add_layers(graph, model, x), form)
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
    return model.astype("float32") if form.float32 else model


def _refuse_unknown(model: Model) -> None:
    for name in (*(name for net in _nets(model) for name in net.activations), model.loss):
        if name not in ACTIVATION_NODES | PREDICTIONS:
            raise InputError(f"{name} can't be written as ONNX nodes yet")
    if model.n_parameters * model.params[0].W.itemsize > LARGEST_FILE:
        raise InputError(f"{model.n_parameters:,} parameters are more than the 2 GiB of ONNX files")


def _nets(model: Model) -> tuple[Model, ...]:
    return model.nets if isinstance(model, Ensemble) else (model,)


def _overflows(model: Model) -> bool:
    """Tell whether a parameter is infinite."""
    return any(np.isinf(leaf).any() for net in _nets(model) for leaf in leaves(net.params))


def _refuse_senseless(model: Model, form: Form) -> None:
    if form.input_dtype not in DTYPES:
        raise unknown_name("input dtype", form.input_dtype, DTYPES)
    if form.float32 and model.dtype == "float32":
        raise InputError("--float32: the net computes in float32 already; leave the option out")
    if form.float32 and _overflows(computed(model, form)):
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


def add_layers(graph: Graph, model: Model, x: str, prefix: str = "layers") -> str:
    """Add the affine layers with their activations; return the name of the logits."""
    for i, layer in enumerate(model.params):
        W, b = (graph.constant(f"{prefix}.{i}.{n}", getattr(layer, n)) for n in ("W", "b"))
        x = graph.add("Gemm", x, W, b)
        if i < len(model.activations):
            x = ACTIVATION_NODES[model.activations[i]](graph, x)
    return x


def _add_outputs(graph: Graph, model: Model, z: str, form: Form) -> None:
    """Add prediction and label; σ(z) of a lone node for two classes is softmax(-z/2, z/2)."""
    output, operator = PREDICTIONS[model.loss]
    z = _in_units(graph, model, z)
    if is_one_sided(model):
        half = graph.add("Mul", graph.number(0.5), z)
        z, operator = graph.add("Concat", graph.add("Neg", half), half, axis=1), "Softmax"
    if operator == "Sigmoid":
        add_sigmoid(graph, z, output)
    else:
        graph.add(operator, z, output=output)
    _add_decision(graph, model, z, 0.0, form)


def _add_mean(graph: Graph, model: Ensemble, x: str, form: Form) -> None:
    """Add the nets, the mean of their predictions, and the label that goes by it."""
    output, operator = PREDICTIONS[model.loss]
    terms = []
    for k, (net, share) in enumerate(zip(model.nets, model.shares, strict=True)):
        z = add_layers(graph, net, x, f"nets.{k}")
        if operator == "Sigmoid":
            z = add_sigmoid(graph, z)
        elif operator != "Identity":
            z = graph.add(operator, z)
        weight = graph.constant(f"nets.{k}.share", np.array(share, dtype=graph.dtype))
        terms.append(graph.add("Mul", weight, z))
    mean = reduce(lambda total, term: graph.add("Add", total, term), terms)
    mean = _in_units(graph, model, mean)
    if is_one_sided(model):
        mean = graph.add("Concat", graph.add("Sub", graph.number(1.0), mean), mean, axis=1)
    graph.add("Identity", mean, output=output)
    _add_decision(graph, model, mean, 0.5, form)


def _in_units(graph: Graph, model: Model, z: str) -> str:
    """Add what gives values their own units, where these were scaled."""
    if model.target is None:
        return z
    shift, width = (
        graph.constant(f"target.{name}", getattr(model.target, name).astype(graph.dtype))
        for name in ("shift", "width")
    )
    return graph.add("Add", graph.add("Mul", z, width), shift)


def _add_decision(graph: Graph, model: Model, z: str, least: float, form: Form) -> None:
    """Add the label, where there are any, by logits or probabilities z.

    least: above which one of several labels is there.
    """
    if has_several_labels(model):
        _add_several_labels(graph, z, least)
    elif model.class_names:
        _add_label(graph, z, model.class_names if form.label_names else ())


def _add_several_labels(graph: Graph, z: str, least: float) -> None:
    """Add 1 where z > least, else 0.

    tract 0.23 hands no int64 out that a Cast made, hence Where.
    """
    digits = [graph.constant(f"label.{n}", np.array([n], dtype=np.int64)) for n in (1, 0)]
    graph.add("Where", graph.add("Greater", z, graph.number(least)), *digits, output=LABEL)


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
    net = f"Multilayer perceptron {'-'.join(map(str, model.sizes))}"
    if isinstance(model, Ensemble):
        net = f"The mean of {len(model.nets)} multilayer perceptrons"
    return f"{net}. {_meaning_of_inputs(model)} not scaled, as the graph scales them{label}."


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
        "activations": json.dumps([net.activations for net in _nets(model)])
        if isinstance(model, Ensemble)
        else json.dumps(model.activations),
        "loss": model.loss,
        "scale": model.scale,
        "dataset": Path(model.dataset).name,
        "xpmlp_version": __version__,
    }
