"""The command `python -m bench.estimators`: data set after data set, both solvers, all seeds."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.estimators.problems import PROBLEMS, RATES, Problem, chosen_problems
from bench.results import make_folder
from xpmlp.commands import Parser, guarded, path
from xpmlp.console import show, warn
from xpmlp.data.places import places
from xpmlp.errors import EXIT_INTERRUPTED, DataUnavailableError, InputError
from xpmlp.files import write_whole
from xpmlp.interrupt import StopRequest, graceful_interrupt

PROGRAM = "python -m bench.estimators"
SEEDS = 10
DTYPES = ("float64", "float32")
KIND = "estimators"
JSON, PAGE = f"{KIND}.json", f"{KIND}.md"


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; it needs no array library, so that --help is quick."""
    parser = Parser(
        prog=PROGRAM,
        description="Fit xpmlp's MLPClassifier and scikit-learn's with the same settings, rows and "
        "seeds, by turns, and compare accuracy and seconds. MNIST takes part where it is on this "
        "machine. What was measured is saved after every line of the table.",
        epilog="exit codes: 0 done, 1 a fit failed, 2 bad input, 130 interrupted (what was "
        "measured is saved)",
    )
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help=f"data sets: {', '.join(PROBLEMS)} [all]"
    )
    parser.add_argument(
        "--seeds", type=int, default=SEEDS, metavar="N", help=f"seeds 0 to N - 1 [{SEEDS}]"
    )
    parser.add_argument(
        "--epochs", type=int, metavar="N", help="at most so many [200; 10 for mnist]"
    )
    parser.add_argument(
        "--dtype", choices=DTYPES, default=DTYPES[0], help=f"of the rows [{DTYPES[0]}]"
    )
    parser.add_argument("--backend", default="auto", metavar="NAME", help="of xpmlp [auto]")
    parser.add_argument("--device", default="cpu", metavar="NAME", help="of xpmlp [cpu]")
    parser.add_argument(
        "--out",
        type=path,
        metavar="DIR",
        help="folder of the results [bench/results/TIME-estimators]",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    arguments = make_parser().parse_args(argv)
    return guarded(PROGRAM, lambda: compare(arguments))


def compare(arguments: argparse.Namespace) -> int:
    """Measure what the flags ask for; return the exit code."""
    from xpmlp.backends.registry import select_backend

    for name in ("seeds", "epochs"):
        number = getattr(arguments, name)
        if number is not None and number < 1:
            raise InputError(f"--{name} {number}: must be at least 1")
    problems = chosen_problems(arguments.only, arguments.epochs)
    places(None)
    select_backend(arguments.backend, arguments.device, arguments.dtype, fallback=False)
    return Comparison(arguments, problems, make_folder(arguments.out, KIND, JSON)).run()


class Comparison:
    """A comparison in progress, and its figures so far."""

    def __init__(
        self, arguments: argparse.Namespace, problems: Sequence[Problem], folder: Path
    ) -> None:
        from bench.machine import PREFIXES, describe_machine

        self.arguments, self.problems, self.folder = arguments, problems, folder
        self.place = {"backend": arguments.backend, "device": arguments.device}
        self.figures: dict[str, Any] = {
            "finished": None,
            "interrupted": False,
            "seeds": arguments.seeds,
            "dtype": arguments.dtype,
            **self.place,
            "machine": describe_machine(),
            "environment": {
                name: value
                for name, value in sorted(os.environ.items())
                if name.startswith(PREFIXES)
            },
            "thread_pools": [],
            "left_out": {},
            "rows": [],
        }

    def run(self) -> int:
        """Measure everything, saving after each row; return the exit code."""
        self._save()
        with graceful_interrupt() as stop:
            try:
                for problem in self.problems:
                    self._measure(problem, stop)
            except KeyboardInterrupt:
                self.figures["interrupted"] = True
            finally:
                stop.saving = True
                self._save()
        return self._finish()

    def _measure(self, problem: Problem, stop: StopRequest) -> None:
        """Measure both solvers on a data set; leave it out where it is not to be had."""
        from tqdm import tqdm

        from bench.estimators.pairs import Pairing
        from bench.estimators.problems import make_parts

        try:
            parts = make_parts(problem, self.arguments.dtype)
        except DataUnavailableError as error:
            self.figures["left_out"][problem.name] = str(error)
            return
        fits = 2 * len(RATES) * self.arguments.seeds
        with tqdm(total=fits, desc=problem.name, unit="fit", leave=False, disable=None) as bar:
            for solver in RATES:
                pairing = Pairing(problem, solver, self.place, stop, bar.update)
                try:
                    pairing.warm_up(parts(0))
                    for seed in range(self.arguments.seeds):
                        pairing.add(seed, parts(seed))
                finally:
                    self._keep(pairing, parts(0))

    def _keep(self, pairing: Any, parts: Any) -> None:
        from bench.estimators.figures import row_figures
        from bench.worker import thread_pools

        self.figures["thread_pools"] = thread_pools()
        if pairing.pairs:
            row = row_figures(pairing.problem, pairing.solver, parts, pairing.pairs)
            self.figures["rows"].append(row)
            self._save()

    def _save(self) -> None:
        from bench.estimators.page import page

        self.figures["finished"] = f"{datetime.now().astimezone():%Y-%m-%dT%H:%M:%S%z}"
        text = json.dumps(self.figures, indent=2, allow_nan=False)
        write_whole(self.folder / JSON, f"{text}\n")
        write_whole(self.folder / PAGE, page(self.figures))

    def _finish(self) -> int:
        from bench.estimators.page import LEGEND, table

        show(f"{table(self.figures)}\n\n{LEGEND}\nresults in {self.folder}", sys.stdout)
        if self.figures["interrupted"]:
            warn(f"{PROGRAM}: interrupted; what was measured is in {self.folder}")
            return EXIT_INTERRUPTED
        return 0
