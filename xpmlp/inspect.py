"""`python -m xpmlp.inspect`: what a table of one's own is taken for, before a net is trained."""

import argparse
import json
import sys
from collections.abc import Sequence

from xpmlp.commands import Parser, add_config_flags, config_values, guarded, run_as_program
from xpmlp.console import show, warn
from xpmlp.errors import InputError, RunError
from xpmlp.training.config import Config

PROGRAM = "xpmlp inspect"


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; it needs no array library, so that --help is quick."""
    parser = Parser(
        prog=PROGRAM,
        usage="%(prog)s FILE [options]",
        description="Show what a table is taken for: each column's type, what is missing, its "
        "range or commonest values, and what train will do with it, given the same options.",
        epilog="exit codes: 0 done, 2 bad input, 130 interrupted",
    )
    parser.add_argument("file", metavar="FILE", help="a table, as train takes it")
    add_config_flags(parser, {"table": "what to take it for"})
    parser.add_argument("--json", action="store_true", help="print one JSON object, nothing else")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    arguments = make_parser().parse_args(argv)
    return guarded(PROGRAM, lambda: run_command(arguments))


def run_command(arguments: argparse.Namespace) -> int:
    """Describe the table. Raises XpmlpError with a line for people."""
    from xpmlp.data.registry import dataset_names
    from xpmlp.training.setup import load_for

    if arguments.file in dataset_names():
        raise InputError(f"{arguments.file} is a set that xpmlp knows; inspect takes a file")
    data = load_for(Config(dataset=arguments.file, **config_values(arguments)))
    if data.about is None:
        raise InputError(f"{arguments.file} holds arrays or images, which have no columns to show")
    if arguments.json:
        figures = data.about.figures() | {"notes": data.note.splitlines()}
        if not show(json.dumps(figures, indent=2, allow_nan=False), sys.stdout):
            raise RunError("can't write the JSON to stdout")
        return 0
    show(data.about.text(), sys.stdout)
    for note in data.note.splitlines():
        warn(f"note: {note}")
    return 0


if __name__ == "__main__":
    run_as_program(main)
