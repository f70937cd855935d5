"""The command `python -m bench.tables`: table after table, all seeds, then the large one."""

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.results import make_folder
from bench.tables.problems import FITS, PROBLEMS, make_file
from xpmlp.commands import Parser, guarded, path
from xpmlp.console import show, warn
from xpmlp.errors import EXIT_INTERRUPTED, DataUnavailableError, InputError, unknown_name
from xpmlp.files import write_whole

PROGRAM = "python -m bench.tables"
LARGE = "large"
KIND = "tables"
JSON, PAGE = f"{KIND}.json", f"{KIND}.md"


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; it needs no array library, so that --help is quick."""
    parser = Parser(
        prog=PROGRAM,
        description="Train tables with default settings, and scikit-learn's nets in their usual "
        "pipeline on the same splits; then time a table of 1,000,000 rows. What was measured is "
        "saved after every fit.",
        epilog="exit codes: 0 done, 2 bad input, 130 interrupted (what was measured is saved)",
    )
    names = (*PROBLEMS, LARGE)
    parser.add_argument("--only", nargs="+", metavar="NAME", help=f"{', '.join(names)} [all]")
    parser.add_argument("--seeds", type=int, default=10, metavar="N", help="0 to N - 1 [10]")
    parser.add_argument(
        "--out", type=path, metavar="DIR", help="folder of the results [bench/results/TIME-tables]"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    arguments = make_parser().parse_args(argv)
    return guarded(PROGRAM, lambda: compare(arguments))


def compare(arguments: argparse.Namespace) -> int:
    """Measure what the flags ask for; return the exit code."""
    names = (*PROBLEMS, LARGE)
    for name in arguments.only or ():
        if name not in names:
            raise unknown_name("table", name, names)
    if arguments.seeds < 1:
        raise InputError(f"--seeds {arguments.seeds}: must be at least 1")
    folder = make_folder(arguments.out, KIND, JSON)
    figures = _begun(arguments.seeds)
    try:
        with TemporaryDirectory() as place:
            _measure(arguments.only or names, arguments.seeds, Path(place), figures, folder)
    except KeyboardInterrupt:
        warn(f"{PROGRAM}: interrupted; what was measured is in {folder}")
        return EXIT_INTERRUPTED
    show(f"results in {folder}", sys.stdout)
    return 0


def _begun(seeds: int) -> dict[str, Any]:
    import sklearn

    from bench.machine import describe_machine

    return {
        "finished": "",
        "seeds": f"0 to {seeds - 1}",
        "machine": describe_machine(),
        "scikit_learn": sklearn.__version__,
        "left_out": {},
        "rows": {},
    }


def _measure(
    names: Sequence[str], seeds: int, place: Path, figures: dict[str, Any], folder: Path
) -> None:
    for name in names:
        if name == LARGE:
            from bench.tables.large import measure

            figures[LARGE] = measure(place)
            _save(figures, folder)
            continue
        problem = PROBLEMS[name]
        try:
            file = make_file(problem, place)
        except DataUnavailableError as error:
            figures["left_out"][name] = str(error)
            continue
        row: dict[str, list[float]] = {who: [] for who in FITS}
        for seed in range(seeds):
            found = {who: fit(problem, file, seed) for who, fit in FITS.items()}
            for who, figure in found.items():
                row[who].append(figure)
            figures["rows"][name] = row
            warn(f"{name}, seed {seed}: " + ", ".join(f"{w} {f:.5g}" for w, f in found.items()))
            _save(figures, folder)


def _save(figures: dict[str, Any], folder: Path) -> None:
    from bench.tables.page import page

    figures["finished"] = f"{datetime.now().astimezone():%Y-%m-%dT%H:%M:%S%z}"
    write_whole(folder / JSON, json.dumps(figures, indent=2, allow_nan=False) + "\n")
    write_whole(folder / PAGE, page(figures))
