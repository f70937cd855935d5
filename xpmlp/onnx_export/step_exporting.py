"""Writing the ONNX file of a run's training step, once it was checked."""

from pathlib import Path
from typing import Any

import numpy as np

from xpmlp.files import write_whole
from xpmlp.onnx_export.exporting import Exported, require_packages
from xpmlp.onnx_export.inputs import Tensor
from xpmlp.onnx_export.step_checking import Trial, batches_of, check_step
from xpmlp.onnx_export.step_graph import OPSET, Kind, hyper_names, step_graph
from xpmlp.training.config import Config
from xpmlp.training.model import Model
from xpmlp.training.own import step_numbers
from xpmlp.training.problem import objective_of
from xpmlp.training.step import Objective
from xpmlp.types import Batch, Hyper

MOST_ROWS = 1000  # of a batch that is compared on


def export_step(
    model: Model, config: Config, rows: Batch, path: Path, *, float32: bool = False
) -> Exported:
    """Write the training step of a net as an ONNX file in one piece, once it is NumPy's.

    config: that of its run, with nothing left to the data. rows: what it is compared on, x (N, D)
    scaled, with targets as `make_targets` has them, and weights where the run has any; the graph
    takes weights where they do. float32: in that dtype, whatever the net's is.
    Raises InputError where a package is missing or the step has no ONNX nodes, RunError where the
    check fails, OSError where the file can't be written; the file is then left as it was.
    """
    require_packages()
    objective = objective_of(config, model.loss)._replace(activations=model.activations)
    _, _, masks = np.random.SeedSequence(config.seed).spawn(3)
    hyper = step_numbers(config, objective, objective, masks)
    dtype = "float32" if float32 else model.dtype
    kind = Kind(objective, model.sizes, dtype, rows.weights is not None)
    proto = step_graph(kind, {"training_step": _about(objective, model, hyper)})
    content = proto.SerializeToString()
    batches = batches_of(rows, min(config.batch_size or MOST_ROWS, MOST_ROWS))
    checked = check_step(content, Trial(objective, model.params, batches, hyper), dtype)
    write_whole(path, content)
    return Exported(path, len(content), *_interface(proto), checked, OPSET)


def _about(objective: Objective, model: Model, hyper: Hyper) -> dict[str, Any]:
    """Return what the file tells of the net and of the numbers of the run's first step."""
    return {
        "sizes": model.sizes,
        "activations": objective.activations,
        "loss": objective.loss,
        "optimizer": objective.optimizer,
        "numbers": {name: value.item() for name, value in hyper_names(objective, hyper).items()},
    }


def _interface(proto: Any) -> tuple[list[Tensor], list[Tensor]]:
    """Return the inputs and the outputs of a graph; a free dimension is "N"."""
    from onnx.helper import tensor_dtype_to_np_dtype

    def tensor(value: Any) -> Tensor:
        kind = value.type.tensor_type
        shape = tuple(size.dim_param or size.dim_value for size in kind.shape.dim)
        return Tensor(value.name, str(tensor_dtype_to_np_dtype(kind.elem_type)), shape)

    graph = proto.graph
    return [tensor(value) for value in graph.input], [tensor(value) for value in graph.output]
