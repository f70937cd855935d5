"""`python -m xpmlp.export RUN --training-step FILE`: from the arguments to the file."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from xpmlp.console import warn
from xpmlp.errors import InputError

if TYPE_CHECKING:
    from xpmlp.onnx_export.exporting import Exported
    from xpmlp.training.config import Config
    from xpmlp.training.model import Model
    from xpmlp.types import Batch

RANDOM_ROWS = 1000


class TrainingRows(NamedTuple):
    """Rows to compare on, scaled, with their targets; and in words what they are."""

    rows: "Batch"
    origin: str


def export_training_step(arguments: argparse.Namespace) -> tuple["Exported", str]:
    """Export as the arguments say; return what was written, and what it was checked on.

    Raises XpmlpError with a line for people.
    """
    from xpmlp.onnx_export.exporting import require_packages
    from xpmlp.onnx_export.step_checking import STEPS
    from xpmlp.onnx_export.step_exporting import export_step
    from xpmlp.runs.directory import CONFIG, config_in, find_model
    from xpmlp.training.ensemble import Ensemble, open_model

    _refuse_options(arguments)
    require_packages()
    file = find_model(arguments.run)
    model, folder = open_model(file), file.parent
    if isinstance(model, Ensemble):
        raise InputError(f"{arguments.run} is {model.widths}; a training step is of one net")
    if not (folder / CONFIG).is_file():
        raise InputError(f"{folder} has no {CONFIG}, which says how the net is trained")
    if arguments.float32 and model.dtype == "float32":
        raise InputError("--float32: the net computes in float32 already; leave the option out")
    config = config_in(folder)
    rows, origin = find_training_rows(arguments.rows, model, config)
    exported = export_step(model, config, rows, arguments.training_step, float32=arguments.float32)
    return exported, f"{origin}, {STEPS} steps"


def _refuse_options(arguments: argparse.Namespace) -> None:
    if arguments.input_dtype is not None:
        raise InputError("--input-dtype goes with --onnx: a step takes x in the net's dtype")
    if arguments.label_names:
        raise InputError("--label-names goes with --onnx: a step predicts nothing")
    if arguments.rows not in (None, "dataset", "random"):
        raise InputError("--rows of a training step is dataset or random")


def find_training_rows(wanted: str | None, model: "Model", config: "Config") -> TrainingRows:
    """Return the rows that --rows names; without it the run's own, or else random ones.

    Raises InputError where the run's own are wanted and can't be had.
    """
    if wanted == "random":
        return random_training_rows(model)
    try:
        return own_training_rows(model, config)
    except InputError as error:
        if wanted == "dataset":
            raise
        warn(f"note: the rows of the run can't be had, so random ones are taken: {error}")
        return random_training_rows(model)


def own_training_rows(model: "Model", config: "Config") -> TrainingRows:
    """Return the training rows of a run, scaled as there."""
    from xpmlp.training.setup import load_for
    from xpmlp.training.targets import make_targets
    from xpmlp.types import Batch

    data = load_for(config)
    rows = data.train
    if rows.x.shape[1] != model.sizes[0]:
        raise InputError(
            f"{data.name} has {rows.x.shape[1]} features, and the model takes {model.sizes[0]}"
        )
    t = make_targets(model.loss, data, rows)
    whole = t.dtype.kind in "iu"  # of rows that stay on disk as narrow as they lie there
    batch = Batch(rows.x, t.astype("int64") if whole else t, rows.weights)
    return TrainingRows(batch, f"training rows of {Path(data.name).name}")


def random_training_rows(model: "Model") -> TrainingRows:
    """Return random rows with targets near what the net predicts, so that the steps stay small."""
    import numpy as np

    from xpmlp.types import Batch

    rng = np.random.default_rng(0)
    x = rng.standard_normal((RANDOM_ROWS, model.sizes[0])).astype(model.dtype)
    logits = model.scaled_logits(x)
    if model.loss == "softmax_cross_entropy":
        t = logits.argmax(axis=1)
    elif model.loss == "binary_cross_entropy":
        t = (logits > 0).astype(np.float64)
    elif model.loss == "poisson":
        t = np.rint(np.exp(np.minimum(logits, 10.0)))
    else:
        t = logits + 0.1 * rng.standard_normal(logits.shape)
    return TrainingRows(Batch(x, t), f"{RANDOM_ROWS:,} random rows")
