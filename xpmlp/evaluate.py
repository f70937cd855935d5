"""`python -m xpmlp.evaluate`: what a trained net makes of rows, its own test rows or others."""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from xpmlp.commands import Parser, guarded, path, run_as_program
from xpmlp.console import show, warn
from xpmlp.errors import InputError, RunError

if TYPE_CHECKING:
    from xpmlp.evaluation.evaluating import SeedReports
    from xpmlp.evaluation.reports import Report
    from xpmlp.runs.opened import OpenedRun

PROGRAM = "xpmlp evaluate"


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; it needs no array library, so that --help is quick."""
    parser = Parser(
        prog=PROGRAM,
        description="Evaluate a trained net: loss, accuracy with a 95 % interval, a report per "
        "class, the most frequent confusions and the worst mistakes.",
        epilog="exit codes: 0 done, 1 failed, 2 bad input, 130 interrupted",
    )
    parser.add_argument(
        "run", type=path, metavar="RUN", help="folder of a run, or a model.safetensors"
    )
    parser.add_argument(
        "--dataset",
        metavar="NAME|FILE",
        help="other rows than those of the training, scaled as these were [the run's]",
    )
    parser.add_argument(
        "--data-dir", type=path, metavar="DIR", help="folder with data sets, before the cache"
    )
    parser.add_argument(
        "--max-unpacked",
        type=float,
        metavar="GIB",
        help="GiB to unpack at most, above 20 times the size [the run's]",
    )
    parser.add_argument(
        "--part",
        choices=("test", "validation", "train"),
        help="which rows [test; of another file: all]",
    )
    parser.add_argument(
        "--out",
        type=path,
        metavar="DIR",
        help="folder for the pictures [evaluation-DATASET-PART in that of the run]",
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object on stdout, and nothing else"
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing")
    parser.add_argument("--no-plots", action="store_true", help="draw no pictures")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    arguments = make_parser().parse_args(argv)
    return guarded(PROGRAM, lambda: run_command(arguments))


def run_command(arguments: argparse.Namespace) -> int:
    """Evaluate as the arguments say. Raises XpmlpError with a line for people."""
    report = _evaluated(arguments)
    for note in report.source.data.note.splitlines():
        warn(f"note: {note}")
    if arguments.json:
        figures = {"run": str(arguments.run), **report.figures()}
        if not show(json.dumps(figures, indent=2, allow_nan=False), sys.stdout):
            raise RunError("can't write the JSON to stdout")
    elif not arguments.quiet:
        show(report.text(), sys.stdout)
    if not arguments.no_plots:
        out = _draw(report, arguments)
        if not (arguments.json or arguments.quiet):
            show(f"\npictures in {out}", sys.stdout)
    return 0


def _evaluated(arguments: argparse.Namespace) -> "Report | SeedReports":
    from xpmlp.evaluation.evaluating import evaluate, evaluate_seeds
    from xpmlp.runs.opened import open_runs
    from xpmlp.training.ensemble import open_model

    names = ("dataset", "part", "data_dir", "max_unpacked")
    options = {name: getattr(arguments, name) for name in names}
    if arguments.run.is_file():
        return evaluate(open_model(arguments.run), **options)
    runs = open_runs(arguments.run)
    _tell_untrained(runs)
    of_seeds = runs[0].path != arguments.run
    return evaluate_seeds(runs, **options) if of_seeds else evaluate(runs[0], **options)


def _tell_untrained(runs: "list[OpenedRun]") -> None:
    """Say so where the weights to evaluate are those that a run began with."""
    for run in runs:
        if run.summary.get("epochs") == 0:
            began = f"from {run.config.initial}" if run.config.initial else "drawn at random"
            warn(
                f"note: no epoch of {run.path} was trained to its end, so its weights are those "
                f"that it began with, {began}"
            )


def _draw(report: "Report | SeedReports", arguments: argparse.Namespace) -> Path:
    """Write the pictures, those of each seed in a folder of its own; return the folder."""
    from xpmlp.evaluation.drawing import OUTCOMES
    from xpmlp.pictures.writing import write_figures

    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    folder = arguments.run.parent if arguments.run.is_file() else arguments.run
    named = f"evaluation-{Path(report.source.data.name).stem}-{report.source.part}"
    out: Path = arguments.out or folder / named
    try:
        for name, single in report.by_folder.items():
            written = write_figures(single.pictures(), out / name)
            for stale in {f"{outcome}.png" for outcome in OUTCOMES} - {p.name for p in written}:
                (out / name / stale).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"can't write pictures to {out}: {error.strerror}; choose another --out, or --no-plots"
        ) from error
    return out


if __name__ == "__main__":
    run_as_program(main)
