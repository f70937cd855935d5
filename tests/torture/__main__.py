"""`python -m tests.torture`: kill, fill, stop and load trainings, and look for lost results."""

import argparse
import json
import math
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from tests.torture.campaign import KINDS, Figures, Outcome, run_all, run_case
from tests.torture.library import build_library
from tests.torture.report import as_json, table, told
from tests.torture.setups import BACKENDS
from tests.torture.shop import Shop
from xpmlp.commands import Parser, guarded, path, run_as_program
from xpmlp.console import show, warn
from xpmlp.errors import InputError
from xpmlp.files import write_whole

SECONDS_OF_QUICK = 75.0  # without making .venv, and the cases in progress then


def make_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="torture",
        usage="%(prog)s [options]",
        description="Kill, fill, stop and load trainings in thousands of ways. After each: what "
        "was announced is there, the words and the exit code are right, and --resume ends, to the "
        "bit, where the uninterrupted run does.",
        epilog="exit codes: 0 no promise was broken, 1 some were, 2 bad input, 130 interrupted",
    )
    parser.add_argument("--quick", action="store_true", help="few of each, two minutes at most")
    parser.add_argument("--only", metavar="KINDS", help=f"of {','.join(KINDS)} [all]")
    for name, kind in KINDS.items():
        parser.add_argument(
            f"--{name}", type=int, metavar="N", help=f"{kind.what} [{kind.many}; quick {kind.few}]"
        )
    parser.add_argument("--repeat", metavar="KIND:N", help="run that one case, and tell it")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the cases [0]")
    parser.add_argument(
        "--backends", metavar="NAMES", help=f"of {','.join(BACKENDS)} [all there are; quick numpy]"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument("--out", type=path, metavar="FILE", help="write all figures as JSON")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the campaign; return its exit code."""
    arguments = make_parser().parse_args(argv)
    return guarded("torture", lambda: run_command(arguments))


def run_command(arguments: argparse.Namespace) -> int:
    counts, backends = _counts(arguments), _backends(arguments)
    root = Path(tempfile.mkdtemp(prefix="xpmlp-torture-"))
    library, why_not = build_library(root)
    shop = Shop(root, library, why_not, arguments.seed, backends)
    broken: list[tuple[Outcome, str]] = []
    try:
        if arguments.repeat:
            return _repeat(shop, arguments.repeat, broken)
        return _run(shop, counts, arguments, broken)
    finally:
        shop.close()
        if not any(outcome.kept for outcome, _ in broken):
            shutil.rmtree(root, ignore_errors=True)


def _run(
    shop: Shop,
    counts: dict[str, int],
    arguments: argparse.Namespace,
    broken: list[tuple[Outcome, str]],
) -> int:
    """Run all cases, and show what came of them, also where Ctrl-C ends them."""
    figures, begun = {kind: Figures() for kind in counts}, time.monotonic()
    date, done, all_of_them = datetime.now(UTC), 0, sum(counts.values())
    interrupted = False
    seconds = SECONDS_OF_QUICK if arguments.quick else math.inf
    try:
        for outcome in run_all(shop, counts, arguments.jobs, seconds):
            figures[outcome.kind].add(outcome)
            done += 1
            if outcome.tale.broken:
                broken.append((outcome, _again(shop, outcome.name)))
                warn(told(*broken[-1]))
            if done % max(1, all_of_them // 20) == 0:
                spent = time.monotonic() - begun
                warn(f"{done:,} of {all_of_them:,} cases, {len(broken)} broken, {spent:.0f} s")
    except KeyboardInterrupt:
        interrupted = True
    spent = time.monotonic() - begun
    show(table(figures, counts, spent), sys.stdout)
    if arguments.out:
        campaign = {
            "date": date.isoformat(timespec="seconds"),
            "seconds": spent,
            "seed": shop.seed,
            "backends": shop.backends,
            "library": shop.no_library or "preloaded",
        }
        text = json.dumps(as_json(figures, broken, campaign), indent=2, default=str)
        write_whole(arguments.out, text + "\n")
    if interrupted:
        raise KeyboardInterrupt
    return 1 if broken else 0


def _repeat(shop: Shop, name: str, broken: list[tuple[Outcome, str]]) -> int:
    kind, _, number = name.partition(":")
    if kind not in KINDS or not number.isdigit():
        raise InputError(f"--repeat is {name!r}; it is a kind and a number, as in kills:1234")
    outcome = run_case(shop, kind, int(number))
    if outcome.tale.broken:
        broken.append((outcome, _again(shop, name)))
        show(told(*broken[-1]), sys.stdout)
        return 1
    tale = outcome.tale
    show(
        f"{name} {'skipped: ' + tale.skipped if tale.skipped else 'well'}  {tale.what}", sys.stdout
    )
    for line in tale.noted:
        show(f"    noted: {line}", sys.stdout)
    return 0


def _again(shop: Shop, name: str) -> str:
    return (
        f"scripts/torture --seed {shop.seed} --backends {','.join(shop.backends)} --repeat {name}"
    )


def _counts(arguments: argparse.Namespace) -> dict[str, int]:
    """Return how many cases of each kind there are to be."""
    chosen = arguments.only.split(",") if arguments.only else list(KINDS)
    if unknown := [name for name in chosen if name not in KINDS]:
        raise InputError(f"--only {','.join(unknown)}: the kinds are {','.join(KINDS)}")
    counts = {}
    for name in chosen:
        usual = KINDS[name].few if arguments.quick else KINDS[name].many
        given = getattr(arguments, name)
        counts[name] = usual if given is None else given
    return {name: count for name, count in counts.items() if count}


def _backends(arguments: argparse.Namespace) -> tuple[str, ...]:
    """Return those that are asked for, which must be installed, or all that are."""
    if arguments.backends:
        asked = tuple(arguments.backends.split(","))
        if missing := [name for name in asked if name not in BACKENDS or not find_spec(name)]:
            raise InputError(
                f"--backends {','.join(missing)}: not installed, or none of {BACKENDS}"
            )
        return asked
    return ("numpy",) if arguments.quick else tuple(filter(find_spec, BACKENDS))


if __name__ == "__main__":
    run_as_program(main)
