"""`python -m bench`: time whole epochs of MNIST against what people would use instead."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.cases import ACTIVATIONS, CASES, FOR_GPUS_ALONE, RATES
from bench.choices import DEVICES, QUICK_CASE, QUICK_ROWS
from bench.sweep import SWEEPS
from xpmlp.commands import Parser, guarded, path, run_as_program
from xpmlp.console import show

PROGRAM = "python -m bench"
ROUNDS = 5


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; it needs no array library, so that --help is quick."""
    parser = Parser(
        prog=PROGRAM,
        usage="%(prog)s [options]\n       %(prog)s compare A.json B.json",
        description="Time whole epochs of batched MNIST: every xpmlp backend that is installed, "
        "what people would use instead, and the floor, which is the epoch's matrix products "
        "alone. All rows get the same data, order, initial weights, threads and variables, and "
        "have to end at the same loss. Without MNIST on this machine the data is random.",
        epilog="exit codes: 0 done, 1 a row failed or ended at another loss, 2 bad input, 130 "
        "interrupted (what was measured is saved)",
    )
    what = parser.add_argument_group("what is trained")
    what.add_argument(
        "--case",
        nargs="+",
        metavar="NAME",
        help=f"hidden widths/batch: {', '.join(CASES)} [all; {', '.join(FOR_GPUS_ALONE)} only with "
        "--device cuda]",
    )
    what.add_argument(
        "--sweep", metavar="NAME", help=f"how time grows with one thing: {', '.join(SWEEPS)}"
    )
    what.add_argument(
        "--activation",
        nargs="+",
        choices=ACTIVATIONS,
        default=[ACTIVATIONS[0]],
        help="relu, sigmoid, or both [relu]",
    )
    what.add_argument(
        "--optimizer",
        nargs="+",
        choices=tuple(RATES),
        help="sgd, momentum, adam, or several, for all cases [sgd; momentum for 1000/10000]",
    )
    what.add_argument(
        "--rows", type=at_least(1), metavar="N", help="rows of an epoch, for all cases"
    )
    how = parser.add_argument_group("how it is measured")
    how.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="rows whose names hold these"
    )
    how.add_argument(
        "--device",
        choices=DEVICES,
        default=DEVICES[0],
        help="cpu, cuda, or auto: the CPU, and the first GPU where there is one [auto]",
    )
    how.add_argument(
        "--rounds", type=at_least(1), default=ROUNDS, metavar="N", help=f"timed epochs [{ROUNDS}]"
    )
    how.add_argument(
        "--threads", type=int, metavar="N", help="threads of every row [all processors]"
    )
    how.add_argument(
        "--busy",
        type=at_least(0),
        default=0,
        metavar="N",
        help="other processes that spin on the rows' processors all the while [0]",
    )
    how.add_argument(
        "--tf32", action="store_true", help="on a GPU also rows with TF32 products, set apart"
    )
    how.add_argument(
        "--variants", action="store_true", help="on a GPU also other ways to run xpmlp's epochs"
    )
    how.add_argument(
        "--kernel-check",
        action="store_true",
        help="measure twice: with OpenBLAS's kernels as found, and with those for AVX-512",
    )
    how.add_argument(
        "--quick",
        action="store_true",
        help=f"only {QUICK_CASE} unless --case is given, and {QUICK_ROWS:,} rows",
    )
    results = parser.add_argument_group("results")
    results.add_argument(
        "--out", type=path, metavar="DIR", help="folder of the results [bench/results/TIME]"
    )
    results.add_argument(
        "--json", action="store_true", help="print one JSON object on stdout, and nothing else"
    )
    results.add_argument("--no-plots", action="store_true", help="draw no pictures")
    results.add_argument("--quiet", action="store_true", help="no header, progress or tables")
    return parser


def make_compare_parser() -> argparse.ArgumentParser:
    """Return the parser of `compare`."""
    parser = Parser(
        prog=f"{PROGRAM} compare",
        description="Say which rows became faster or slower from one run to another.",
    )
    parser.add_argument("a", type=path, metavar="A", help="results.json, or its folder")
    parser.add_argument("b", type=path, metavar="B", help="the same of another run")
    return parser


def at_least(least: int) -> Callable[[str], int]:
    """Return what reads a number of at least so much from a flag."""

    def number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} is less than {least}")
        return value

    return number


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["compare"]:
        files = make_compare_parser().parse_args(words[1:])
        return guarded(f"{PROGRAM} compare", lambda: compare_files(files.a, files.b))
    arguments = make_parser().parse_args(words)
    return guarded(PROGRAM, lambda: run_benchmark(arguments))


def run_benchmark(arguments: argparse.Namespace) -> int:
    """Measure what the flags ask for; return the exit code."""
    from bench.benchmark import Benchmark

    return Benchmark(arguments).run()


def compare_files(a: Path, b: Path) -> int:
    """Print how two runs differ."""
    from bench.compare import compare
    from bench.results import load

    show(compare(load(a), load(b)), sys.stdout)
    return 0


if __name__ == "__main__":
    run_as_program(main)
