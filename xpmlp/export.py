"""`python -m xpmlp.export`: write a net, or its training step, as an ONNX file, checked."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from xpmlp.backends.registry import DTYPES
from xpmlp.commands import Parser, guarded, path, run_as_program
from xpmlp.console import show, warn
from xpmlp.errors import InputError
from xpmlp.export_step import export_training_step

if TYPE_CHECKING:
    import numpy as np

    from xpmlp.data.tables.columns import Column
    from xpmlp.onnx_export.exporting import Exported
    from xpmlp.onnx_export.inputs import Raw
    from xpmlp.training.model import Model

PROGRAM = "xpmlp export"
MOST_ROWS = 10_000
RANDOM_ROWS = 1000
RANDOM_MISSING = 0.1


class RawRows(NamedTuple):
    """Rows to check on.

    raw: features (N, D), float; the columns of a table of a model that takes these. n: how many.
    origin: in words what they are.
    """

    raw: "Raw"
    n: int
    origin: str


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; it needs no array library, so that --help is quick."""
    parser = Parser(
        prog=PROGRAM,
        usage="%(prog)s RUN (--onnx FILE | --training-step FILE) [options]",
        description="Write a trained net, scaling included, as an ONNX file, once onnxruntime "
        "gives the net's own answers on real rows; or the step that trained it (forward, backward, "
        "update), once onnxruntime's weights are NumPy's after 50 steps.",
        epilog="OpenVINO computes in bfloat16 by default where the processor has it; compiled with "
        "INFERENCE_PRECISION_HINT f32 it gives the answers that were checked. exit codes: 0 done, "
        "1 the check failed and nothing was written, 2 bad input, 130 interrupted",
    )
    add = parser.add_argument
    add("run", type=path, metavar="RUN", help="folder of a run, or its model.safetensors")
    files = parser.add_mutually_exclusive_group(required=True)
    files.add_argument("--onnx", type=path, metavar="FILE", help="the net's file to write, .onnx")
    files.add_argument(
        "--training-step",
        type=path,
        metavar="FILE",
        help="the file to write, .onnx, of one training step: from weights, moments, count of "
        "steps, batch and rate to the new ones and the loss",
    )
    add("--force", action="store_true", help="replace the file where it exists")
    add(
        "--rows",
        metavar="ROWS",
        help="rows to check on: dataset (the run's own), random, or, for --onnx, a table FILE like "
        "those one trains on [dataset, or random where it can't be had]",
    )
    add(
        "--input-dtype",
        choices=DTYPES,
        help="dtype of the features that the graph takes; OpenVINO and OpenCV 4 scale float64 ones "
        "in float32 all the same [float32]",
    )
    add(
        "--float32",
        action="store_true",
        help="write a net of float64, or its step, as a graph that computes in float32, for "
        "readers that take no float64",
    )
    add(
        "--label-names",
        action="store_true",
        help="give the label as the name of the class, a text, in place of its index",
    )
    add("--json", action="store_true", help="print one JSON object on stdout, and nothing else")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    arguments = make_parser().parse_args(argv)
    return guarded(PROGRAM, lambda: run_command(arguments))


def run_command(arguments: argparse.Namespace) -> int:
    """Export as the arguments say. Raises XpmlpError with a line for people."""
    if arguments.training_step:
        _refuse_target("--training-step", arguments.training_step, force=arguments.force)
        exported, checked_on = export_training_step(arguments)
        figures = step_figures(exported, checked_on)
    else:
        _refuse_target("--onnx", arguments.onnx, force=arguments.force)
        exported, rows = export_net(arguments)
        checked_on, figures = rows.origin, net_figures(exported, rows)
    if arguments.json:
        show(json.dumps(figures, indent=2, allow_nan=False), sys.stdout)
    else:
        show(summary(exported, checked_on, raw=bool(arguments.onnx)), sys.stdout)
    return 0


def export_net(arguments: argparse.Namespace) -> tuple["Exported", RawRows]:
    """Write the net; return what was written, and the rows that it was checked on."""
    from xpmlp.onnx_export.exporting import export, require_packages
    from xpmlp.onnx_export.graphs import Form
    from xpmlp.runs.directory import find_model
    from xpmlp.training.ensemble import open_model

    require_packages()
    file = find_model(arguments.run)
    model = open_model(file)
    rows = find_rows(arguments.rows, model, file.parent)
    form = Form(arguments.input_dtype or "float32", arguments.float32, arguments.label_names)
    return export(model, arguments.onnx, rows.raw, form), rows


def _refuse_target(flag: str, target: Path, *, force: bool) -> None:
    if target.suffix.lower() != ".onnx":
        raise InputError(f"{flag} {target}: the name must end in .onnx")
    if not target.parent.is_dir():
        raise InputError(f"{flag} {target}: there is no folder {target.parent}")
    if target.is_dir():
        raise InputError(f"{flag} {target}: this is a folder")
    if target.exists() and not force:
        raise InputError(f"{target} exists already; choose another {flag}, or give --force")


def find_rows(wanted: str | None, model: "Model", folder: Path) -> RawRows:
    """Return the rows to check on, as --rows says; without it, those of the run or random ones.

    Raises InputError for rows that can't be read or don't fit the model.
    """
    if wanted == "random":
        return random_rows(model)
    if wanted == "dataset":
        return run_rows(folder, model)
    if wanted:
        return file_rows(Path(wanted).expanduser(), model)
    try:
        return run_rows(folder, model)
    except InputError as error:
        warn(f"note: the rows of the run can't be had, so random ones are taken: {error}")
        return random_rows(model)


def run_rows(folder: Path, model: "Model") -> RawRows:
    """Return the test rows, or else the training rows, of the data set of a run's config.

    They come in float64; pixels, which float32 holds as well, in float32.
    """
    from xpmlp.runs.directory import CONFIG
    from xpmlp.training.config import Config
    from xpmlp.training.setup import load_for

    if not (folder / CONFIG).is_file():
        raise InputError(f"{folder} has no {CONFIG} that names a data set")
    config = Config.load(folder / CONFIG)
    if model.columns:
        return file_rows(Path(config.dataset), model)
    dtype = "float32" if model.image_shape else "float64"
    data = load_for(config.replace(scale="none", dtype=dtype, matmul_precision="full"))
    part, rows = ("test", data.test) if len(data.test) else ("training", data.train)
    return _first(rows.x, f"{part} rows of {Path(data.name).name}", model)


def file_rows(file: Path, model: "Model") -> RawRows:
    """Return the first rows of a file: the columns of a table, or features as one trains on."""
    import numpy as np

    from xpmlp.data.tables.endings import is_table
    from xpmlp.data.tables.known import stream_known
    from xpmlp.data.tables.loading import load_table
    from xpmlp.data.wishes import Wishes
    from xpmlp.training.inputs import known_of
    from xpmlp.training.predicting import ignore

    if not is_table(file):
        return _first(load_table(file, Wishes()).x, f"rows of {file.name}", model)
    columns = next(stream_known(file, known_of(model), MOST_ROWS, ignore)).columns
    if not model.columns:
        x = np.stack([column.values for column in columns], axis=1)
        return _first(x, f"rows of {file.name}", model)
    rows = len(columns[0])
    return RawRows(columns, rows, f"{rows:,} rows of {file.name}")


def _first(x: "np.ndarray", what: str, model: "Model") -> RawRows:
    x = x[:MOST_ROWS]
    origin = f"{len(x):,} {what}"
    if x.shape[1] != model.sizes[0]:
        raise InputError(
            f"{origin} have {x.shape[1]} features, and the model takes {model.sizes[0]}"
        )
    return RawRows(x, len(x), origin)


def random_rows(model: "Model") -> RawRows:
    """Return random rows within the range of those trained on, as far as the scaling tells it.

    Of a table with texts each comes, unknown ones too, and a tenth of the numbers is missing.
    """
    import numpy as np

    rng, shape = np.random.default_rng(0), (RANDOM_ROWS, model.sizes[0])
    x = rng.random(shape) if model.scale == "unit" else rng.standard_normal(shape)
    if model.scaling is not None:
        x = model.scaling.undo(x)
    raw = _random_columns(model, x, rng) if model.columns else x
    return RawRows(raw, RANDOM_ROWS, f"{RANDOM_ROWS:,} random rows")


def _random_columns(model: "Model", x: "np.ndarray", rng: "np.random.Generator") -> "list[Column]":
    """Return columns of a table, with the numbers of a matrix (N, D)."""
    import numpy as np

    from xpmlp.data.tables.columns import Column

    columns, place = [], 0
    for rule in model.columns:
        values = rng.integers(-2, len(rule.levels), len(x))
        if rule.kind != "category":
            numbers = x[:, place] if rule.is_number else rng.integers(0, 2, len(x))
            values = np.where(rng.random(len(x)) < RANDOM_MISSING, np.nan, numbers)
        columns.append(Column(rule.name, rule.kind, values, rule.levels, rule.notation))
        place += len(rule.names)
    return columns


def figures(exported: "Exported") -> dict[str, Any]:
    """Return what --json prints of any file; a free dimension is "N"."""
    import onnxruntime

    return {
        "file": str(exported.path),
        "bytes": exported.bytes,
        "opset": exported.opset,
        "inputs": [tensor._asdict() for tensor in exported.inputs],
        "outputs": [tensor._asdict() for tensor in exported.outputs],
        "largest_difference": exported.check.difference,
        "allowed_difference": exported.check.allowed,
        "onnxruntime": onnxruntime.__version__,
    }


def net_figures(exported: "Exported", rows: RawRows) -> dict[str, Any]:
    """Return what --json prints of a net."""
    return {**figures(exported), "rows": rows.n, "rows_from": rows.origin}


def step_figures(exported: "Exported", checked_on: str) -> dict[str, Any]:
    """Return what --json prints of a training step."""
    return {**figures(exported), "checked_on": checked_on}


def summary(exported: "Exported", checked_on: str, *, raw: bool) -> str:
    """Return the lines for people. raw: whether the inputs are rows before any scaling."""
    import onnxruntime

    lines = [f"file      {exported.path}: {exported.bytes:,} bytes, opset {exported.opset}"]
    kinds = ("input", exported.inputs, ", raw rows" * raw), ("output", exported.outputs, "")
    for kind, values, what in kinds:
        for name, dtype, shape in values:
            lines.append(f"{kind:<10}{name}: {dtype} ({', '.join(map(str, shape))}){what}")
    lines.append(
        f"checked   on {checked_on} with onnxruntime {onnxruntime.__version__}: "
        f"largest difference {exported.check.difference:.1e}, allowed {exported.check.allowed:.1e}"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    run_as_program(main)
