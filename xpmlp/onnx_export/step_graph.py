"""A training step as an ONNX graph: forward, the hand-derived backward, and the update.

It is traced from the text that every backend runs, `xpmlp.training.step`.
"""

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from xpmlp import __version__
from xpmlp.errors import InputError
from xpmlp.nn.losses import LOSSES
from xpmlp.nn.network import propagate
from xpmlp.onnx_export.inputs import Tensor
from xpmlp.onnx_export.nodes import tensor_type
from xpmlp.onnx_export.operations import NAMESPACE
from xpmlp.onnx_export.tracing import NotTraceable, Shape, Size, Trace
from xpmlp.optim import OPTIMIZERS
from xpmlp.training.step import Objective, TrainState, initial_state, make_step, metric_names
from xpmlp.training.tensors import Tensors, pack
from xpmlp.types import Affine, Batch, Hyper, Params

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET, IR_VERSION = 18, 8
NEW = "new."
SOFTMAX = "softmax_cross_entropy"
MOMENTUM = ("momentum", "nesterov", "muon")


class Kind(NamedTuple):
    """What a step is of: widths from inputs to outputs, each a number or free, and its dtype.

    weighted: whether the rows of a batch have weights.
    """

    objective: Objective
    sizes: tuple[Any, ...]
    dtype: str
    weighted: bool = False


def state_names(state: TrainState) -> Tensors:
    """Return what a state holds by the names that it has in a checkpoint file."""
    tensors = pack("params", state.params)
    for i, moment in enumerate(state.moments):
        tensors |= pack(f"moments.{i}", moment)
    return {**tensors, "step": state.step}


def batch_names(batch: Batch) -> dict[str, Any]:
    """Return the arrays of a batch by their names, without those that it lacks."""
    return {name: array for name, array in batch._asdict().items() if array is not None}


def hyper_names(objective: Objective, hyper: Hyper) -> dict[str, Any]:
    """Return those numbers of a step by their names that it reads."""
    decoupled = OPTIMIZERS[objective.optimizer].decoupled_l2
    used = {
        "learning_rate": True,
        "l2": objective.l2 or decoupled,
        "l1": objective.l1,
        "momentum": objective.optimizer in MOMENTUM,
        "seed": bool(objective.dropout),
    }
    return {name: getattr(hyper, name) for name in used if used[name]}


def step_graph(kind: Kind, about: dict[str, Any]) -> "ModelProto":
    """Return the ONNX model of a whole training step.

    Inputs: those of `state_names`, `batch_names` and `hyper_names`: what a checkpoint file has,
    x (N, D) scaled, t (N,) class indices, int64, or (N, C), and the numbers of the step, 0-d.
    Outputs: the new state, each under its name behind `new.`, without what the step leaves as it
    is, and `loss`, before the update, 0-d; where a penalty is part of what is minimised,
    `penalty`. about: goes into the metadata, as JSON.
    Raises InputError for a step that has no ONNX nodes.
    """
    objective = kind.objective._replace(gradient_norms=False)
    trace = Trace(kind.dtype)
    try:
        state, batch, hyper = _arguments(trace, kind._replace(objective=objective))
        given = state_names(state) | batch_names(batch) | hyper_names(objective, hyper)
        after, metrics = make_step(NAMESPACE, objective)(state, batch, hyper)
        names = metric_names(objective, len(state.params))
        results = {name: metrics[i] for i, name in enumerate(names)}
    except NotTraceable as reason:
        raise InputError(f"this training step can't be an ONNX graph: {reason}") from reason
    before, new = state_names(state), state_names(after)
    changed = {NEW + name: new[name] for name in new if new[name] is not before[name]}
    return _model(trace, "training_step", given, changed | results, about)


def net_graph(kind: Kind) -> "ModelProto":
    """Return the ONNX model of the net alone, its weights among the inputs: what it predicts.

    Inputs: `params…` and `x`; output: `outputs` (N, C), probabilities or values.
    """
    trace = Trace(kind.dtype)
    state, batch, _ = _arguments(trace, kind)
    given = pack("params", state.params) | {"x": batch.x}
    logits, _ = propagate(NAMESPACE, state.params, batch.x, kind.objective.activations)
    outputs = LOSSES[kind.objective.loss].predict(NAMESPACE, logits)
    return _model(trace, "net", given, {"outputs": outputs}, {})


def _arguments(trace: Trace, kind: Kind) -> tuple[TrainState, Batch, Hyper]:
    """Return the inputs of the graph, in the trees that the step takes."""
    objective, dtype = kind.objective, kind.dtype

    def layers(prefix: str, first: int = 0) -> Params:
        shapes = list(pairwise(kind.sizes))[first:]
        return tuple(
            Affine(
                trace.argument(f"{prefix}.{i}.W", (d, h), dtype),
                trace.argument(f"{prefix}.{i}.b", (h,), dtype),
            )
            for i, (d, h) in enumerate(shapes)
        )

    rows = Size("N")
    x = trace.argument("x", (rows, kind.sizes[0]), dtype)
    indices = objective.loss == SOFTMAX
    t_shape: Shape = (rows,) if indices else (rows, kind.sizes[-1])
    t = trace.argument("t", t_shape, "int64" if indices else dtype)
    weights = trace.argument("weights", (rows,), dtype) if kind.weighted else None
    params = layers("params")
    moments = tuple(layers(f"moments.{i}", objective.frozen) for i in range(_moments(objective)))
    state = TrainState(params, moments, trace.argument("step", (), "int64"))
    rate, l2, l1, momentum = (trace.argument(name, (), dtype) for name in Hyper._fields[:4])
    seed = trace.argument("seed", (), "int32") if objective.dropout else None
    return state, Batch(x, t, weights), Hyper(rate, l2, l1, momentum, seed)


def _moments(objective: Objective) -> int:
    """Return how many trees of moments an optimiser has."""
    one = (Affine(np.zeros((1, 1)), np.zeros(1)),) * (objective.frozen + 1)
    return len(initial_state(np, objective, one, np.int64(0)).moments)


def _model(
    trace: Trace,
    name: str,
    given: dict[str, Any],
    results: dict[str, Any],
    about: dict[str, Any],
) -> "ModelProto":
    """Return the model of a traced graph, with the nodes that its outputs need."""
    from onnx import helper, numpy_helper

    for output, array in results.items():
        trace.add("Identity", array.name, output=output)
    nodes, needed = _needed(trace.nodes, results)
    constants = {k: array for k, array in trace.constants.items() if k in needed}
    proto = helper.make_model(
        helper.make_graph(
            nodes,
            name,
            [_declared(Tensor(k, str(v.dtype), v.shape)) for k, v in given.items()],
            [_declared(Tensor(k, str(v.dtype), v.shape)) for k, v in results.items()],
            [numpy_helper.from_array(array, k) for k, array in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="xpmlp",
        producer_version=__version__,
    )
    helper.set_model_props(proto, {key: json.dumps(value) for key, value in about.items()})
    return proto


def _declared(tensor: Tensor) -> Any:
    from onnx.helper import make_tensor_value_info

    shape = [size if isinstance(size, int) else str(size) for size in tensor.shape]
    return make_tensor_value_info(tensor.name, tensor_type(tensor.dtype), shape)


def _needed(nodes: Sequence[Any], outputs: Any) -> tuple[list[Any], set[str]]:
    """Return the nodes that outputs need, in their order, and the names of all values that do."""
    needed, kept = {*outputs}, []
    for node in reversed(nodes):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    return kept[::-1], needed
