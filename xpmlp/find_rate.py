"""`python -m xpmlp.find_rate`: which learning rate to begin with, from a test of rising rates."""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from xpmlp.commands import (
    Parser,
    add_config_flags,
    config_of,
    guarded,
    path,
    run_as_program,
)
from xpmlp.console import show, warn
from xpmlp.errors import InputError, RunError

if TYPE_CHECKING:
    from xpmlp.runs.range_test import RangeTest

PROGRAM = "xpmlp find_rate"
GROUPS = {
    "data": "data",
    "table": "tables of your own",
    "net": "net",
    "training": "training",
    "machine": "machine",
}


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; it needs no array library, so that --help is quick."""
    parser = Parser(
        prog=PROGRAM,
        usage="%(prog)s [options]",
        description="Train for an epoch at learning rates that rise from step to step, and "
        "suggest one to begin with. The options are those of train.",
        epilog="exit codes: 0 done, 1 the test failed, 2 bad input, 130 interrupted",
    )
    test = parser.add_argument_group("test")
    test.add_argument(
        "--from", type=float, dest="lowest", metavar="RATE", help="rate of the first step [1e-5]"
    )
    test.add_argument(
        "--to", type=float, dest="highest", metavar="RATE", help="rate of the last step [10]"
    )
    test.add_argument("--out", type=path, metavar="FILE.png", help="picture: loss against rate")
    test.add_argument(
        "--config", type=path, metavar="FILE", help="TOML file of options; flags override"
    )
    test.add_argument("--json", action="store_true", help="print one JSON object, nothing else")
    add_config_flags(parser, GROUPS)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    arguments = make_parser().parse_args(argv)
    return guarded(PROGRAM, lambda: run_command(arguments))


def run_command(arguments: argparse.Namespace) -> int:
    """Test what the arguments say. Raises XpmlpError with a line for people."""
    _check_picture(arguments.out)
    config = config_of(arguments)
    if config.seeds:
        raise InputError("a range test is of one net; give --seed, not --seeds")

    from xpmlp.runs.range_test import range_test
    from xpmlp.training.setup import load_for

    data = load_for(config)
    for note in data.note.splitlines():
        warn(f"note: {note}")
    ends = {name: getattr(arguments, name) for name in ("lowest", "highest")}
    found = range_test(config, data, **{n: end for n, end in ends.items() if end is not None})
    if arguments.out:
        _draw(found, arguments.out)
    if arguments.json:
        figures = found.as_dict() | {"picture": str(arguments.out) if arguments.out else None}
        if not show(json.dumps(figures, indent=2, allow_nan=False), sys.stdout):
            raise RunError("can't write the JSON to stdout")
        return 0
    show(found.text, sys.stdout)
    if arguments.out:
        show(f"picture in {arguments.out}", sys.stdout)
    return 0


def _check_picture(out: Path | None) -> None:
    if out and (out.suffix.lower() != ".png" or not out.parent.is_dir()):
        raise InputError(f"--out {out} must be a PNG file, as rates.png, in a folder that is there")


def _draw(found: "RangeTest", out: Path) -> None:
    from xpmlp.files import put_in_place
    from xpmlp.pictures.style import save

    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        with put_in_place(out) as unfinished:
            save(found.plot(), unfinished)
    except OSError as error:
        raise RunError(f"can't write {out}: {error.strerror}") from error


if __name__ == "__main__":
    run_as_program(main)
