"""The command `python -m bench.gpu`: part after part, within a budget of time."""

import argparse
import json
import math
import sys
import time
import traceback
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.cases import mnist_files
from bench.gpu import parts
from bench.gpu.hardware import describe_hardware
from bench.gpu.page import page
from bench.gpu.parts import FAILED, SKIPPED, STOPPED, Outcome, Task
from bench.gpu.runner import Runner
from bench.results import make_folder
from xpmlp.backends.cuda_driver import query_driver
from xpmlp.commands import Parser, guarded, path
from xpmlp.console import show, warn
from xpmlp.data.places import places
from xpmlp.errors import EXIT_INTERRUPTED, EXIT_RUN_FAILED, InputError, unknown_name
from xpmlp.files import write_whole
from xpmlp.interrupt import StopRequest, graceful_interrupt

PROGRAM = "python -m bench.gpu"
BUDGET = 520.0
LEAST = 5.0
NO_MNIST = "MNIST is not on this machine; name its folder: XPMLP_DATA_DIR=DIR, for DIR/mnist/…"
JSON, LOG, PAGE = "gpu-check.json", "gpu-check.log", "gpu-check.md"


def make_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    names = ", ".join(parts.PARTS)
    parser = Parser(
        prog=PROGRAM,
        description="Run the tests that need a GPU, time epochs beside other libraries, train on "
        "MNIST and profile an epoch. What was measured is saved after every part.",
        epilog="exit codes: 0 done, or stopped at the budget, 1 a part failed, 2 bad input or no "
        "GPU, 130 interrupted (what was measured is saved)",
    )
    parser.add_argument("--parts", metavar="NAMES", help=f"some of {names}, with commas [all]")
    parser.add_argument(
        "--out", type=path, metavar="DIR", help="folder of the results [bench/results/TIME-gpu]"
    )
    parser.add_argument(
        "--budget",
        type=float,
        default=BUDGET,
        metavar="SECONDS",
        help=f"shared out among the parts, which are stopped at their limits [{BUDGET:.0f}]",
    )
    parser.add_argument("--quick", action="store_true", help="few rows, rounds, epochs and tests")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    arguments = make_parser().parse_args(argv)
    return guarded(PROGRAM, lambda: check(arguments))


def check(arguments: argparse.Namespace) -> int:
    """Run the parts that are asked for; return the exit code."""
    start = time.monotonic()
    names = chosen_parts(arguments.parts)
    if not arguments.budget > 0:
        raise InputError(f"--budget {arguments.budget:g}: seconds must be more than 0")
    driver = query_driver()
    if driver.problem:
        raise InputError(f"there is no GPU to check: {driver.problem}")
    places(None)
    return Check(arguments, names, make_folder(arguments.out, "gpu", JSON).resolve(), start).run()


def chosen_parts(text: str | None) -> list[str]:
    """Return the names of the parts, in their order. Raises InputError for an unknown one."""
    if text is None:
        return list(parts.PARTS)
    asked = [name.strip() for name in text.split(",")]
    for name in asked:
        if name not in parts.PARTS:
            raise unknown_name("part", name, parts.PARTS)
    return [name for name in parts.PARTS if name in asked]


class Check:
    """A check in progress, and its figures so far."""

    def __init__(
        self, arguments: argparse.Namespace, names: Sequence[str], folder: Path, start: float
    ) -> None:
        self.arguments, self.names, self.folder = arguments, names, folder
        self.end: float = start + arguments.budget
        self.has_mnist = any(mnist_files())
        self.figures: dict[str, Any] = {
            "started": f"{datetime.now().astimezone():%Y-%m-%dT%H:%M:%S%z}",
            "budget_seconds": arguments.budget,
            "quick": arguments.quick,
            "interrupted": False,
            "data": "MNIST" if self.has_mnist else f"random rows: {NO_MNIST}",
            "hardware": None,
            "parts": [],
        }

    def run(self) -> int:
        """Run part after part, saving after each; return the exit code."""
        with graceful_interrupt() as stop:
            try:
                self.figures["hardware"] = describe_hardware()
                self._save()
                for i, name in enumerate(self.names):
                    self._run_part(name, self._limit(i), stop)
            except KeyboardInterrupt:
                stop.requested = True
            stop.saving = True
            self.figures["interrupted"] = stop.requested
            self._save()
        return self._finish()

    def _limit(self, i: int) -> float:
        """Return the seconds of a part: its share of what is left, for it and those after it."""
        shares = [parts.SHARES[name] if self._can_run(name) else 0 for name in self.names[i:]]
        return (self.end - time.monotonic()) * shares[0] / max(sum(shares), 1)

    def _can_run(self, name: str) -> bool:
        return self.has_mnist or name not in parts.OF_MNIST

    def _run_part(self, name: str, limit: float, stop: StopRequest) -> None:
        start = time.monotonic()
        show(f"{name}: up to {max(limit, 0):.0f} s", sys.stderr)
        if stop.requested:
            outcome = Outcome(SKIPPED, "interrupted before")
        elif not self._can_run(name):
            outcome = Outcome(SKIPPED, NO_MNIST)
        elif limit < LEAST:
            outcome = Outcome(SKIPPED, "no time was left")
        else:
            outcome = self._outcome(name, limit, stop)
        if stop.requested and outcome.status == STOPPED:
            outcome.reason = "interrupted"
        self.figures["parts"].append(
            {
                "name": name,
                "status": outcome.status,
                "reason": outcome.reason,
                "seconds": time.monotonic() - start,
                "limit_seconds": limit,
                "figures": outcome.figures,
            }
        )
        self._save()
        show(f"{name}: {outcome.status} {outcome.reason}".rstrip(), sys.stderr)

    def _outcome(self, name: str, limit: float, stop: StopRequest) -> Outcome:
        """Return what became of a part; an error in it is its failure alone."""
        task = Task(Runner(self.folder / LOG, stop), limit, self.folder, bool(self.arguments.quick))
        try:
            return parts.PARTS[name](task)
        except Exception as error:
            with (self.folder / LOG).open("a", encoding="utf-8") as log:
                log.write(f"\n{name}: {traceback.format_exc()}")
            return Outcome(FAILED, " ".join(f"{type(error).__name__}: {error}".split()))

    def _save(self) -> None:
        """Write the JSON, and the page as far as there is something for it."""
        text = json.dumps(finite(self.figures), indent=2, allow_nan=False)
        write_whole(self.folder / JSON, f"{text}\n")
        if self.figures["hardware"]:
            write_whole(self.folder / PAGE, self._page())

    def _page(self) -> str:
        try:
            return page(self.figures)
        except Exception as error:  # the figures are in the JSON all the same
            return f"The page could not be made: {type(error).__name__}: {error}\n"

    def _finish(self) -> int:
        if self.figures["hardware"]:
            show(f"\n{self._page()}\nresults in {self.folder}", sys.stdout)
        if self.figures["interrupted"]:
            warn(f"{PROGRAM}: interrupted; what was measured is in {self.folder}")
            return EXIT_INTERRUPTED
        failed = [part["name"] for part in self.figures["parts"] if part["status"] == FAILED]
        if failed:
            warn(f"{PROGRAM}: failed: {', '.join(failed)}")
        return EXIT_RUN_FAILED if failed else 0


def finite(tree: Any) -> Any:
    """Return the figures with None for what JSON can't say."""
    if isinstance(tree, dict):
        return {name: finite(item) for name, item in tree.items()}
    if isinstance(tree, list | tuple):
        return [finite(item) for item in tree]
    return None if isinstance(tree, float) and not math.isfinite(tree) else tree
