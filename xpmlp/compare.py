"""`python -m xpmlp.compare`: several runs beside each other, as tables and as curves."""

import argparse
import json
import logging
import shutil
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from xpmlp.commands import Parser, guarded, path, run_as_program
from xpmlp.console import show, warn
from xpmlp.errors import InputError

if TYPE_CHECKING:
    from xpmlp.runs.comparing import Comparison

PROGRAM = "xpmlp compare"
PICTURE = "compare.png"
USUAL_WIDTH = 100


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; it needs no array library, so that --help is quick."""
    parser = Parser(
        prog=PROGRAM,
        usage="%(prog)s RUN RUN ... [options]",
        description="Compare runs: their results, the settings in which they differ, and their "
        "curves in one picture. A run of several seeds is one column.",
        epilog="exit codes: 0 done, 2 bad input, 130 interrupted",
    )
    add = parser.add_argument
    add("runs", nargs="+", type=path, metavar="RUN", help="folder of a run")
    add("--out", type=path, metavar="DIR", help=f"folder of {PICTURE} [comparisons/TIME]")
    add("--json", action="store_true", help="print one JSON object on stdout, and nothing else")
    add("--no-plots", action="store_true", help="draw no picture, write nothing")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    arguments = make_parser().parse_args(argv)
    return guarded(PROGRAM, lambda: run_command(arguments))


def run_command(arguments: argparse.Namespace) -> int:
    """Compare what the arguments name. Raises XpmlpError with a line for people."""
    if arguments.out and arguments.no_plots:
        raise InputError(f"--out is where {PICTURE} goes, and --no-plots draws none")

    from xpmlp.runs.comparing import compare_runs

    comparison = compare_runs(arguments.runs)
    picture = None if arguments.no_plots else _draw(comparison, arguments.out)
    if arguments.json:
        figures = comparison.as_dict() | {"picture": str(picture) if picture else None}
        show(json.dumps(figures, indent=2, allow_nan=False), sys.stdout)
        return 0
    columns = shutil.get_terminal_size((USUAL_WIDTH, 24)).columns
    show(comparison.text(columns), sys.stdout)
    if picture:
        show(f"\ncurves in {picture}", sys.stdout)
    return 0


def _draw(comparison: "Comparison", out: Path | None) -> Path | None:
    """Draw the curves; runs without any cost a note. Raises InputError for a bad folder."""
    from xpmlp.pictures.style import save

    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    if not comparison.has_curves:
        warn("note: no run has an epoch, so there are no curves to draw")
        return None
    return save(comparison.plot(), _make_folder(out) / PICTURE)


def _make_folder(out: Path | None) -> Path:
    """Make and return the folder; an older picture in it is left as it is."""
    folder = out or Path("comparisons") / f"{datetime.now():%Y%m%d-%H%M%S}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"can't write {PICTURE} to {error.filename}: {error.strerror}; choose another --out"
        ) from error
    if (folder / PICTURE).exists():
        raise InputError(f"{folder} already holds {PICTURE}; choose another --out")
    return folder


if __name__ == "__main__":
    run_as_program(main)
