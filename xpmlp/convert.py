"""`python -m xpmlp.convert`: a file as a folder of shards, which training reads from the disk."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from xpmlp.commands import Parser, guarded, path, run_as_program
from xpmlp.console import warn
from xpmlp.errors import RunError

PROGRAM = "xpmlp convert"


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; it needs no array library, so that --help is quick."""
    parser = Parser(
        prog=PROGRAM,
        usage="%(prog)s FILE DIR [options]",
        description="Turn a file into a folder of shards, block by block, so that it may be larger "
        "than memory: train then reads its rows from the disk (--dataset DIR). Stopped, it goes on "
        "when it is called again.",
        epilog="exit codes: 0 done, 1 writing failed, 2 bad input, 130 interrupted",
    )
    add = parser.add_argument
    add(
        "file",
        type=path,
        metavar="FILE",
        help="images in an IDX file with their labels beside, .npz, or a table (text, Parquet, "
        "Arrow)",
    )
    add("folder", type=path, metavar="DIR", help="folder of the shards, new or begun before")
    add("--label", metavar="NAME", help="of a table: the column to learn [told from it]")
    add("--task", choices=("classification", "regression"), help="[told from the labels]")
    add("--drop", nargs="+", default=(), metavar="NAME", help="of a table: columns to leave out")
    add("--header", choices=("yes", "no"), help="has the first line of a text names? [told]")
    add(
        "--first",
        type=int,
        metavar="N",
        help="rows by which the columns of a table are typed [200000]",
    )
    add("--quiet", action="store_true", help="no progress, no summary")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    arguments = make_parser().parse_args(argv)
    return guarded(PROGRAM, lambda: run_command(arguments))


def run_command(arguments: argparse.Namespace) -> int:
    """Convert as the arguments say. Raises XpmlpError with a line for people."""
    from tqdm import tqdm

    from xpmlp.data.converting import FIRST_ROWS, conversion_of, write_shards
    from xpmlp.data.wishes import Wishes

    header = None if arguments.header is None else arguments.header == "yes"
    wishes = Wishes(arguments.label, arguments.task, (), tuple(arguments.drop), header)
    first = FIRST_ROWS if arguments.first is None else max(1, arguments.first)
    conversion = conversion_of(arguments.file, wishes, first)
    for note in conversion.notes:
        warn(f"note: {note}")
    disable = True if arguments.quiet else None
    try:
        with tqdm(total=conversion.total, unit=" rows", leave=False, disable=disable) as bar:
            shards = write_shards(
                conversion,
                arguments.folder,
                _origin(arguments.file, repr((wishes, first))),
                bar.update,
            )
    except OSError as error:
        raise RunError(f"can't write {arguments.folder}: {error.strerror or error}") from error
    if not arguments.quiet:
        count = sum(map(len, shards.parts.values()))
        warn(
            f"{count:,} shard{'s' * (count > 1)} in {arguments.folder}; train with --dataset of it"
        )
    return 0


def _origin(file: Path, options: str) -> dict[str, str | int]:
    """Return by what a conversion that was begun is known again."""
    stat = os.stat(file)
    return {
        "file": str(file.resolve()),
        "size": stat.st_size,
        "changed": stat.st_mtime_ns,
        "options": options,
    }


if __name__ == "__main__":
    run_as_program(main)
