"""The command `python -m bench.members`: case after case, then the memory."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.harness import Row
from bench.members.contenders import OWN
from bench.members.packs import PACKS, Pack, PackMeasurement, make_pack_problem
from bench.processes import Setup
from bench.results import make_folder
from xpmlp.commands import Parser, guarded, path
from xpmlp.console import show, warn
from xpmlp.errors import EXIT_INTERRUPTED, InputError, RunError, unknown_name
from xpmlp.files import write_whole
from xpmlp.interrupt import StopRequest, graceful_interrupt

PROGRAM = "python -m bench.members"
KIND = "members"
JSON, PAGE = f"{KIND}.json", f"{KIND}.md"
MEMORY = "memory"
MEMORY_PACKS = tuple(PACKS)[:2]
TABLE = "bench.members.contenders"
THREADS = 2


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; it needs no array library, so that --help is quick."""
    parser = Parser(
        prog=PROGRAM,
        description="Train many nets at once, beside other ways to train as many, by turns on two "
        "cores, each in a process of its own; then measure memory. What was measured is saved "
        "after every case.",
        epilog="exit codes: 0 done, 2 bad input, 130 interrupted (what was measured is saved)",
    )
    names = (*PACKS, MEMORY)
    parser.add_argument("--only", nargs="+", metavar="NAME", help=f"{', '.join(names)} [all]")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="of each row [5]")
    parser.add_argument(
        "--members", type=int, metavar="K", help="nets [64, and 256 of which memory is measured]"
    )
    parser.add_argument("--rows", type=int, metavar="N", help="so many rows at most [all]")
    parser.add_argument(
        "--tabpack", default="", metavar="DIR", help="a checkout of yandex-research/tabpack"
    )
    parser.add_argument(
        "--out", type=path, metavar="DIR", help="folder of the results [bench/results/TIME-members]"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    arguments = make_parser().parse_args(argv)
    return guarded(PROGRAM, lambda: compare(arguments))


def compare(arguments: argparse.Namespace) -> int:
    """Measure what the flags ask for; return the exit code."""
    chosen = list(dict.fromkeys(arguments.only or (*PACKS, MEMORY)))
    for name in chosen:
        if name not in (*PACKS, MEMORY):
            raise unknown_name("case", name, (*PACKS, MEMORY))
    for flag, least in (("rounds", 1), ("members", 2), ("rows", 1)):
        number = getattr(arguments, flag)
        if number is not None and number < least:
            raise InputError(f"--{flag} {number}: must be at least {least}")
    if arguments.tabpack and not Path(arguments.tabpack, "src").is_dir():
        raise InputError(f"--tabpack {arguments.tabpack}: no such checkout, it has no folder src")
    return Comparison(arguments, make_folder(arguments.out, KIND, JSON)).run(chosen)


class Comparison:
    """A comparison in progress, and its figures so far."""

    def __init__(self, arguments: argparse.Namespace, folder: Path) -> None:
        from bench.machine import describe_machine, environment

        self.arguments, self.folder = arguments, folder
        self.setup = Setup(THREADS, table=TABLE)
        self.figures: dict[str, Any] = {
            "finished": None,
            "interrupted": False,
            "rounds": arguments.rounds,
            "threads": THREADS,
            "machine": describe_machine(),
            "environment": environment(self.setup),
            "cases": [],
            "memory": [],
        }

    def run(self, chosen: Sequence[str]) -> int:
        """Measure, saving after each case; return the exit code."""
        self._save()
        with graceful_interrupt() as stop:
            try:
                for name in chosen:
                    if name == MEMORY:
                        self._measure_memory(stop)
                    else:
                        self._measure(self._sized(PACKS[name], self.arguments.members), stop)
                    self._save()
            except KeyboardInterrupt:
                self.figures["interrupted"] = True
            finally:
                stop.saving = True
                self._save()
        from bench.members.page import table

        show(f"{table(self.figures)}\n\nresults in {self.folder}", sys.stdout)
        if self.figures["interrupted"]:
            warn(f"{PROGRAM}: interrupted; what was measured is in {self.folder}")
            return EXIT_INTERRUPTED
        return 0

    def _sized(self, pack: Pack, members: int | None) -> Pack:
        rows = min(pack.rows, self.arguments.rows or pack.rows)
        tabpack = os.path.abspath(self.arguments.tabpack) if self.arguments.tabpack else ""
        return replace(pack, members=members or pack.members, rows=rows, tabpack=tabpack)

    def _measure(self, pack: Pack, stop: StopRequest) -> None:
        """Measure all ways through a case; what is complete is kept, however it ends."""
        from tqdm import tqdm

        from bench.members.figures import case_figures

        problem = make_pack_problem(pack)
        rows = [Row(name, "cpu") for name in (*OWN, *(name for name, _ in pack.peers))]
        loads = [os.getloadavg()[0]]
        try:
            total = len(rows) * (self.arguments.rounds + 2)
            with tqdm(total=total, desc=pack.name, leave=False, disable=None) as bar:
                measurement = PackMeasurement(
                    pack, problem, rows, self.setup, stop, lambda _: bar.update()
                )
                measurement.run(self.arguments.rounds)
        finally:
            loads.append(os.getloadavg()[0])
            self.figures["cases"].append(case_figures(pack, problem.source, rows, loads))

    def _measure_memory(self, stop: StopRequest) -> None:
        from bench.members.memory import measured

        for name in MEMORY_PACKS:
            pack = self._sized(PACKS[name], self.arguments.members or 256)
            try:
                figures: dict[str, Any] = measured(pack)
            except RunError as error:
                figures = {"failed": str(error)}
            self.figures["memory"].append({"case": name, "members": pack.members, **figures})
            if stop.requested:
                raise KeyboardInterrupt

    def _save(self) -> None:
        from bench.members.page import page

        self.figures["finished"] = f"{datetime.now().astimezone():%Y-%m-%dT%H:%M:%S%z}"
        text = json.dumps(self.figures, indent=2, allow_nan=False)
        write_whole(self.folder / JSON, f"{text}\n")
        write_whole(self.folder / PAGE, page(self.figures))
