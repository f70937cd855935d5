"""The command `python -m bench.examples FOLDER`: script after script, with both libraries."""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.examples.differences import DIFFERS, OURS, THEIRS, differences
from bench.examples.pictures import Pictures, own_share
from bench.examples.runs import Ran, run_script
from bench.examples.scripts import Script, find_scripts
from bench.examples.stage import FAILED, NUDGED
from bench.results import make_folder
from xpmlp.commands import Parser, guarded, path
from xpmlp.console import show, warn
from xpmlp.data.places import places
from xpmlp.errors import EXIT_INTERRUPTED, EXIT_RUN_FAILED, InputError
from xpmlp.files import write_whole
from xpmlp.interrupt import StopRequest, graceful_interrupt

PROGRAM = "python -m bench.examples"
LIMIT = 900.0
KIND = "examples"
JSON, PAGE = f"{KIND}.json", f"{KIND}.md"


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; it needs no array library, so that --help is quick."""
    parser = Parser(
        prog=PROGRAM,
        description="Run the scripts of a folder that import scikit-learn's MLPClassifier or "
        "MLPRegressor: as they are, and with that import taken from xpmlp. Compare their figures "
        "and what they print. MNIST is taken from this machine where a script fetches it.",
        epilog="exit codes: 0 all the same, or their data not to be had, 1 a script failed or "
        "drew another picture, 2 bad input, 130 interrupted (what was compared is saved)",
    )
    parser.add_argument(
        "folder",
        type=path,
        metavar="FOLDER",
        help="such as `examples` of scikit-learn's source distribution",
    )
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="scripts whose names hold these"
    )
    parser.add_argument(
        "--limit",
        type=float,
        default=LIMIT,
        metavar="SECONDS",
        help=f"a script is stopped after so long [{LIMIT:.0f}]",
    )
    parser.add_argument(
        "--out",
        type=path,
        metavar="DIR",
        help="folder of the results [bench/results/TIME-examples]",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    arguments = make_parser().parse_args(argv)
    return guarded(PROGRAM, lambda: run_examples(arguments))


def run_examples(arguments: argparse.Namespace) -> int:
    """Run and compare the scripts that are asked for; return the exit code."""
    if not arguments.limit > 0:
        raise InputError(f"--limit {arguments.limit:g}: seconds must be more than 0")
    places(None)
    scripts = chosen_scripts(find_scripts(arguments.folder), arguments.only)
    return Examples(scripts, arguments.limit, make_folder(arguments.out, KIND, JSON)).run()


def chosen_scripts(scripts: Sequence[Script], only: Sequence[str]) -> list[Script]:
    """Return the scripts whose names hold one of some parts. Raises InputError for none."""
    chosen = [s for s in scripts if not only or any(part in s.name for part in only)]
    if not chosen:
        names = ", ".join(script.name for script in scripts)
        raise InputError(f"no script is named {' or '.join(only)}; there are {names}")
    return chosen


class Examples:
    """The scripts, and the figures so far."""

    def __init__(self, scripts: Sequence[Script], limit: float, folder: Path) -> None:
        from bench.machine import describe_machine

        self.scripts, self.limit, self.folder = scripts, limit, folder
        self.figures: dict[str, Any] = {
            "finished": None,
            "interrupted": False,
            "machine": describe_machine(),
            "scripts": [],
        }

    def run(self) -> int:
        """Run and compare all scripts, saving after each; return the exit code."""
        from tqdm import tqdm

        self._save()
        with graceful_interrupt() as stop:
            try:
                with tqdm(total=len(self.scripts), leave=False, disable=None) as bar:
                    for script in self.scripts:
                        bar.set_description(script.name)
                        self._keep(self._compare(script, stop))
                        bar.update()
            except KeyboardInterrupt:
                self.figures["interrupted"] = True
            stop.saving = True
            self._save()
        return self._finish()

    def _compare(self, script: Script, stop: StopRequest) -> dict[str, Any]:
        """Run a script with both libraries and return how the two compare.

        What scikit-learn's run had, xpmlp's can't lack: that would be a failure.
        """
        about = {"name": script.name, "diff": script.diff}
        ran: dict[str, Ran] = {}
        with tempfile.TemporaryDirectory() as name:
            room = Path(name)
            for side, text in {THEIRS: script.text, OURS: script.changed}.items():
                ran[side] = run_script(text, script.path, room / side, self.limit, stop)
                if status := ran[side].status:
                    reason = f"{side}: {ran[side].reason}"
                    outcome = status if side == THEIRS else FAILED
                    return about | {"outcome": outcome, "reason": reason}
            pictures = Pictures(script.name.replace("/", "-"), self.folder)
            shares = pictures.compare(ran[THEIRS].pictures, ran[OURS].pictures)
            own = None
            if any(shares):
                nudged = room / NUDGED
                again = run_script(script.text, script.path, nudged, self.limit, stop, NUDGED)
                own = own_share(ran[THEIRS].pictures, again.pictures)
        return (
            about | differences(ran[THEIRS], ran[OURS], shares, own) | {"pictures": pictures.names}
        )

    def _keep(self, script: dict[str, Any]) -> None:
        self.figures["scripts"].append(script)
        self._save()
        lines = [script["name"], *(f"  {line}" for line in script["diff"])]
        show("\n".join(lines), sys.stdout)

    def _save(self) -> None:
        from bench.examples.page import page

        self.figures["finished"] = f"{datetime.now().astimezone():%Y-%m-%dT%H:%M:%S%z}"
        text = json.dumps(self.figures, indent=2, allow_nan=False)
        write_whole(self.folder / JSON, f"{text}\n")
        write_whole(self.folder / PAGE, page(self.figures))

    def _finish(self) -> int:
        from bench.examples.page import LEGEND, table

        show(f"\n{table(self.figures)}\n\n{LEGEND}\nresults in {self.folder}", sys.stdout)
        if self.figures["interrupted"]:
            warn(f"{PROGRAM}: interrupted; what was compared is in {self.folder}")
            return EXIT_INTERRUPTED
        scripts = self.figures["scripts"]
        bad = [script["name"] for script in scripts if script["outcome"] in (FAILED, DIFFERS)]
        if bad:
            warn(f"{PROGRAM}: failed or drew another picture: {', '.join(bad)}")
        return EXIT_RUN_FAILED if bad else 0
