"""One run of the benchmark: case after case, saved and shown as they end."""

import argparse
import json
import logging
import sys
from datetime import datetime
from pathlib import Path

from bench.busy import busy_processes
from bench.cases import Case, Problem, make_problem
from bench.choices import chosen_cases, chosen_rows, chosen_setups
from bench.harness import Measurement, Row
from bench.machine import describe_machine, environment
from bench.processes import Setup
from bench.report import LEGEND, case_text, header, label_of, markdown
from bench.results import FORMAT, Figures, case_figures, make_folder, save
from xpmlp.console import show, warn
from xpmlp.data.places import places
from xpmlp.errors import EXIT_INTERRUPTED, EXIT_RUN_FAILED
from xpmlp.interrupt import StopRequest, graceful_interrupt

PROGRAM = "python -m bench"
REPORT = "report.md"
BAD = ("failed", "invalid")
REFUSED = ("unavailable", *BAD)


class Benchmark:
    """What the flags ask for, and the figures so far.

    Raises InputError for flags that can't be used, before anything is measured.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        places(None)
        self.arguments = arguments
        self.cases, self.setups = chosen_cases(arguments), chosen_setups(arguments)
        flags = [name for name in ("tf32", "variants") if getattr(arguments, name)]
        self.names = chosen_rows(arguments.device, arguments.only, flags)
        self.folder = make_folder(arguments.out)
        self.figures: Figures = {
            "benchmark": FORMAT,
            "finished": None,
            "interrupted": False,
            "sweep": arguments.sweep,
            "rounds": arguments.rounds,
            "threads": self.setups[0].threads,
            "busy": arguments.busy,
            "machine": describe_machine(),
            "environment": environment(self.setups[0]),
            "cases": [],
        }

    def run(self) -> int:
        """Measure, save and show everything; return the exit code."""
        self._save()
        self._say(header(self.figures))
        with graceful_interrupt() as stop:
            try:
                for case in self.cases:
                    problem = make_problem(case)
                    for setup in self.setups:
                        self._measure(case, problem, setup, stop)
            except KeyboardInterrupt:
                self.figures["interrupted"] = True
            stop.saving = True
            self._finish()
        return self._exit_code()

    def _measure(self, case: Case, problem: Problem, setup: Setup, stop: StopRequest) -> None:
        """Measure one case; what is complete is kept, however it ends."""
        from tqdm import tqdm

        rounds, rows = self.arguments.rounds, [Row(*name) for name in self.names]
        hidden = True if self.arguments.quiet else None
        try:
            with tqdm(total=len(rows) * (rounds + 2), leave=False, disable=hidden) as bar:

                def tick(name: str) -> None:
                    bar.set_description(f"{case.name}, {name}", refresh=False)
                    bar.update()

                with busy_processes(setup.busy, setup.threads):
                    Measurement(case, problem, rows, setup, stop, tick).run(rounds)
        finally:
            if any(row.first_epochs or row.status in REFUSED for row in rows):
                self._keep(case_figures(case, problem.source, setup, rows))

    def _keep(self, case: Figures) -> None:
        self.figures["cases"].append(case)
        self._save()
        self._say(f"\n{case_text(case)}")

    def _save(self) -> None:
        self.figures["finished"] = f"{datetime.now().astimezone():%Y-%m-%dT%H:%M:%S%z}"
        save(self.figures, self.folder)
        self._write_page([])

    def _finish(self) -> None:
        """Draw the pictures, write the page, and say where they are."""
        self._save()
        if not self.arguments.no_plots:
            self._write_page(self._draw())
        if self.arguments.json:
            show(json.dumps(self.figures, indent=2, allow_nan=False), sys.stdout)
        self._say(f"\n{LEGEND}\nresults in {self.folder}")

    def _draw(self) -> list[Path]:
        from bench.plots import write_pictures

        logging.getLogger("matplotlib").setLevel(logging.ERROR)
        try:
            return write_pictures(self.figures, self.folder)
        except Exception as error:
            warn(f"warning: the pictures could not be drawn: {type(error).__name__}: {error}")
            return []

    def _write_page(self, pictures: list[Path]) -> None:
        page = markdown(self.figures, pictures)
        (self.folder / REPORT).write_text(page, encoding="utf-8")

    def _exit_code(self) -> int:
        if self.figures["interrupted"]:
            warn(f"{PROGRAM}: interrupted; what was measured is in {self.folder}")
            return EXIT_INTERRUPTED
        bad = [
            f"{case['case']} {label_of(entry)}"
            for case in self.figures["cases"]
            for entry in case["entries"]
            if entry["status"] in BAD
        ]
        if bad:
            warn(f"{PROGRAM}: failed or ended at another loss: {', '.join(dict.fromkeys(bad))}")
        return EXIT_RUN_FAILED if bad else 0

    def _say(self, text: str) -> None:
        if not self.arguments.quiet:
            show(text, sys.stderr if self.arguments.json else sys.stdout)
