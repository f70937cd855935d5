"""`python -m xpmlp.predict`: labels and probabilities, or values, for the rows of a file."""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from xpmlp.commands import Parser, guarded, path, run_as_program
from xpmlp.console import silence, warn
from xpmlp.errors import InputError
from xpmlp.evaluation.predictions import FORMATS, write_predictions
from xpmlp.files import whole_file

PROGRAM = "xpmlp predict"
ENDINGS = {".csv": "csv", ".jsonl": "jsonl", ".json": "jsonl"}


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; it needs no array library, so that --help is quick."""
    parser = Parser(
        prog=PROGRAM,
        usage="%(prog)s RUN FILE [options]",
        description="Predict the rows of a file with a trained net. The rows are scaled as those "
        "of the training were. A file larger than memory is no problem.",
        epilog="exit codes: 0 done, 1 writing failed, 2 bad input, 130 interrupted",
    )
    add = parser.add_argument
    add("run", type=path, metavar="RUN", help="folder of a run, or its model.safetensors")
    add(
        "file",
        type=path,
        metavar="FILE",
        help="rows: a table (text, Parquet, Arrow; - for text from standard input), svmlight, "
        ".npy, .npz with an array x or images, or images in an IDX file",
    )
    add(
        "--out",
        type=path,
        metavar="FILE",
        help="write to this file, as a whole, in place of an older one [stdout]",
    )
    add("--format", choices=FORMATS, help="csv or jsonl [by the ending of --out, else csv]")
    add(
        "--header", choices=("yes", "no"), help="has the first line of a text names? [told from it]"
    )
    add("--batch-rows", type=int, metavar="N", help="rows to read and predict at a time [1024]")
    add("--quiet", action="store_true", help="no summary")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    arguments = make_parser().parse_args(argv)
    return guarded(PROGRAM, lambda: run_command(arguments))


def run_command(arguments: argparse.Namespace) -> int:
    """Predict as the arguments say. Raises XpmlpError with a line for people."""
    _refuse_own_input(arguments.out, arguments.file)
    from xpmlp.runs.directory import find_model
    from xpmlp.training.ensemble import open_model
    from xpmlp.training.inputs import BLOCK
    from xpmlp.training.predicting import predict_file

    model = open_model(find_model(arguments.run))
    batch_rows = BLOCK if arguments.batch_rows is None else arguments.batch_rows
    predictions = predict_file(
        model,
        arguments.file,
        batch_rows=batch_rows,
        on_note=lambda note: warn(f"note: {note}"),
        header=None if arguments.header is None else arguments.header == "yes",
    )
    began = time.perf_counter()
    try:
        with _opened(arguments.out) as stream:
            rows = write_predictions(predictions, model, _format(arguments), stream)
    except BrokenPipeError:
        silence(sys.stdout)
        return 0
    if not arguments.quiet:
        warn(_summary(rows, time.perf_counter() - began, arguments.out))
    return 0


def _refuse_own_input(out: Path | None, file: Path) -> None:
    if out and out.exists() and file.exists() and out.samefile(file):
        raise InputError(f"--out {out} is the file to predict from; choose another name")


def _format(arguments: argparse.Namespace) -> str:
    """Return the format that was asked for, else that of the ending of --out, else CSV."""
    if arguments.format:
        return str(arguments.format)
    return ENDINGS.get(arguments.out.suffix.lower(), "csv") if arguments.out else "csv"


@contextmanager
def _opened(out: Path | None) -> Iterator[TextIO]:
    """Give the file of --out, or stdout."""
    if out is None:
        yield sys.stdout
        return
    with whole_file(out) as stream:
        yield stream


def _summary(rows: int, seconds: float, out: Path | None) -> str:
    line = f"{rows:,} row{'s' if rows > 1 else ''} in {seconds:.1f} s, {rows / seconds:,.0f} rows/s"
    return f"{line}, to {out}" if out else line


if __name__ == "__main__":
    run_as_program(main)
