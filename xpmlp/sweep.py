"""`python -m xpmlp.sweep`: train nets of many settings side by side, and find the best."""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from xpmlp.commands import (
    Parser,
    add_config_flags,
    config_values,
    given_options,
    guarded,
    path,
    run_as_program,
)
from xpmlp.console import show, warn
from xpmlp.errors import EXIT_INTERRUPTED, InputError, RunError
from xpmlp.train import GROUPS, SECONDS_BETWEEN_CHECKPOINTS, Occasion
from xpmlp.training.config import Config

if TYPE_CHECKING:
    from xpmlp.interrupt import StopRequest
    from xpmlp.runs.lock import FolderLock
    from xpmlp.search.planning import Wishes
    from xpmlp.search.progress import Progress
    from xpmlp.search.sweeping import Sweep
    from xpmlp.search.tried import Tried
    from xpmlp.training.history import EpochRecord

PROGRAM = "xpmlp sweep"
USUAL_WIDTH = 100


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; it needs no array library, so that --help is quick."""
    parser = Parser(
        prog=PROGRAM,
        usage="%(prog)s [options]",
        description="Train nets of many settings side by side, and find the best by the validation "
        "rows. Every option of train may have alternatives, as --hidden 64,128x128, or be a range, "
        "as --learning-rate 1e-4..1e-1.",
        epilog="exit codes: 0 done, 1 the sweep failed, 2 bad input, 130 interrupted (and saved)",
    )
    _add_search(parser.add_argument_group("search").add_argument)
    _add_results(parser.add_argument_group("results").add_argument)
    add_config_flags(parser, GROUPS)
    for action in parser._actions:  # their texts are read all together, as alternatives
        if action.dest in Config.names():
            action.type = str
    return parser


def _add_search(add: Any) -> None:
    add("--trials", type=int, metavar="N", help="so many, drawn; else the whole grid")
    add("--draw", choices=("sobol", "random"), help="how they are drawn [sobol]")
    add("--search-seed", type=int, metavar="N", help="seed of what is drawn [0]")
    add("--by", choices=("loss", "accuracy"), help="which validation figure decides [loss]")
    add(
        "--halving",
        choices=("sync", "async"),
        help="drop the worse trials on the way: all together at each rung, or each as it comes",
    )
    add("--eta", type=int, metavar="N", help="one in so many trials goes on from a rung [3]")
    add("--first-rung", type=int, metavar="N", help="epochs before the first trials are dropped")
    add("--at-once", type=int, metavar="N", help="nets that train at once [as many as fit]")


def _add_results(add: Any) -> None:
    add("--out", type=path, metavar="DIR", help="folder of the sweep [runs/sweep-DATASET-TIME]")
    add("--resume", type=path, metavar="DIR", help="go on with the sweep in this folder")
    add("--config", type=path, metavar="FILE", help="TOML file of options; flags override")
    add("--json", action="store_true", help="print one JSON object on stdout, and nothing else")
    add("--quiet", action="store_true", help="no header, progress or summary")
    add("--no-plots", action="store_true", help="draw no pictures, write no page")
    add("--no-fallback", action="store_true", help="fail where --device cuda can't be had")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    arguments = make_parser().parse_args(argv)
    return guarded(PROGRAM, lambda: run_command(arguments))


def run_command(arguments: argparse.Namespace) -> int:
    """Search as the arguments say. Raises XpmlpError with a line for people."""
    from xpmlp.runs.lock import FolderLock

    with FolderLock() as lock:
        make = _resumed if arguments.resume else _made
        return _run(arguments, make(arguments, lock))


def _made(arguments: argparse.Namespace, lock: "FolderLock") -> "Sweep":
    """Return a new sweep in a new folder."""
    from xpmlp.search.folder import create_folder
    from xpmlp.search.grounds import Grounds
    from xpmlp.search.memory import at_once_text
    from xpmlp.search.planning import make_plan
    from xpmlp.search.sweeping import Sweep

    grounds = Grounds(fallback=not arguments.no_fallback)
    plan, why = make_plan(given_options(arguments), _wishes(arguments), grounds)
    sweep = Sweep(plan, create_folder(arguments.out, plan, lock), lock, grounds)
    if not arguments.quiet:
        members = at_once_text(plan.at_once, len(sweep.members), why)
        show(_header(sweep, members), _stream(arguments))
    return sweep


def _resumed(arguments: argparse.Namespace, lock: "FolderLock") -> "Sweep":
    """Return the sweep in a folder as it stood when it was saved last."""
    from xpmlp.runs.directory import lock_run
    from xpmlp.search.grounds import Grounds
    from xpmlp.search.plan import Plan
    from xpmlp.search.planning import with_at_once
    from xpmlp.search.sweeping import Sweep

    _refuse_fixed_flags(arguments)
    Plan.load(arguments.resume)
    lock_run(lock, arguments.resume)
    plan, grounds = Plan.load(arguments.resume), Grounds(fallback=not arguments.no_fallback)
    before = plan.at_once
    plan = with_at_once(plan, arguments.at_once, grounds)
    if plan.at_once != before:
        plan.save(arguments.resume)
        warn(
            f"note: {plan.at_once} at once instead of {before}, so the last digits may differ from "
            "those of a sweep that never stopped"
        )
    sweep = Sweep(plan, arguments.resume, lock, grounds)
    sweep.restore()
    if not arguments.quiet:
        done = sum(len(member.records) for member in sweep.members)
        stream = _stream(arguments)
        show(_header(sweep, f"{len(sweep.members):,} nets, {done:,} epochs done"), stream)
    return sweep


def _wishes(arguments: argparse.Namespace) -> "Wishes":
    from xpmlp.search.planning import Wishes

    return Wishes(
        **{
            name: value
            for name in Wishes._fields
            if (value := getattr(arguments, name)) is not None
        }
    )


def _refuse_fixed_flags(arguments: argparse.Namespace) -> None:
    """Raise InputError for a flag that a sweep which goes on can't take."""
    from xpmlp.search.planning import Wishes

    names = [*config_values(arguments), "out", "config", *Wishes._fields]
    known = ("at_once",)
    given = [
        "--" + name.replace("_", "-")
        for name in names
        if name not in known and getattr(arguments, name, None) is not None
    ]
    if given:
        raise InputError(
            f"--resume goes on with the sweep as it was, so {', '.join(given)} can't be given; "
            "only --at-once can"
        )


def _stream(arguments: argparse.Namespace) -> Any:
    return sys.stderr if arguments.json else sys.stdout


def _header(sweep: "Sweep", members: str) -> str:
    """Return the lines that stand above a sweep."""
    from xpmlp.search.page import decided_text
    from xpmlp.training.texts import count, named_seeds

    plan = sweep.plan
    config = plan.trials[0].config
    data, selection = sweep.grounds.of(config)
    parts = {"training": data.train, "validation": data.validation}
    epochs = count(plan.epochs, "epoch")
    rows = ", ".join(f"{len(part):,} {name}" for name, part in parts.items())
    lines = {
        "data": f"{data.name}: {rows} rows; {data.n_features} inputs",
        "search": ", ".join(f"{name} {text}" for name, text in plan.swept.items()),
        "trials": f"{plan.drawn}; each with seed {named_seeds(plan.seeds)}, {epochs}",
        "decided": f"by the {decided_text(plan)}; test rows are looked at for the best alone",
        "dropped": plan.halving.text if plan.halving else "",
        "at once": members,
        "machine": f"{selection.backend.library} on {selection.backend.device}, {config.dtype}",
    }
    return "\n".join(f"{name:<9} {text}" for name, text in lines.items() if text)


class Watch:
    """Shows a sweep in progress, and saves it as often as training has paid for that."""

    def __init__(self, sweep: "Sweep", progress: "Progress", stop: "StopRequest") -> None:
        self.sweep, self.progress, self.stop = sweep, progress, stop
        self.occasion = Occasion(SECONDS_BETWEEN_CHECKPOINTS, lambda _: sweep.save_news())

    def show(self, wave: "Sequence[Tried]", records: "Sequence[EpochRecord]") -> None:
        """Show the epoch, if one has ended."""
        if records:
            self.progress.show(self.sweep, wave)

    def save(self) -> None:
        """Save the sweep if it is time."""
        self.occasion.save(())


def _run(arguments: argparse.Namespace, sweep: "Sweep") -> int:
    """Train to the end, to Ctrl-C or to a failure, and save whatever was learnt."""
    from xpmlp.interrupt import graceful_interrupt
    from xpmlp.search.progress import make_progress

    progress = make_progress(sweep, quiet=arguments.quiet, stream=_stream(arguments))
    with graceful_interrupt() as stop:
        complete, problems = False, list[str]()
        try:
            complete = sweep.run(Watch(sweep, progress, stop))
        except KeyboardInterrupt:
            stop.requested = True
        finally:
            stop.saving = True
            progress.close()
            problems += sweep.save_news()
        if not complete:
            return _interrupted(sweep, problems)
        return _finish(arguments, sweep, stop)


def _interrupted(sweep: "Sweep", problems: Sequence[str]) -> int:
    for problem in dict.fromkeys(problems):
        warn(f"{PROGRAM}: can't write {problem}")
    saved = "" if problems else " and saved"
    warn(f"{PROGRAM}: interrupted{saved}; go on with --resume {sweep.path}")
    return EXIT_INTERRUPTED


def _finish(arguments: argparse.Namespace, sweep: "Sweep", stop: "StopRequest") -> int:
    """Complete the best run, write the results, draw; return the exit code."""
    from xpmlp.search.finishing import complete_best, draw_sweep
    from xpmlp.search.page import best_sentence
    from xpmlp.search.results import counts_text, results_text, write_results

    stop.requested = False
    best, runs, of_run = complete_best(sweep)
    figures = write_results(sweep.plan, sweep.trials, sweep.path, best)
    if arguments.json:
        if not show(json.dumps(figures, indent=2, allow_nan=False), sys.stdout):
            raise RunError("can't write the JSON to stdout")
    elif not arguments.quiet:
        columns = shutil.get_terminal_size((USUAL_WIDTH, 24)).columns
        show(f"{counts_text(sweep.trials)}\n\n{results_text(figures, columns)}\n", sys.stdout)
        show(f"the best is {best_sentence(figures, sweep.plan.by)}", sys.stdout)
        show(f"results in {sweep.path}, the best run in {sweep.path / best['folder']}", sys.stdout)
    if arguments.no_plots:
        return 0
    try:
        stop.at_once, stop.saving = True, False
        if not stop.requested:
            for problem in draw_sweep(sweep, figures, runs, of_run):
                warn(f"warning: {problem}")
        stop.saving = True
    except KeyboardInterrupt:
        pass
    if stop.requested:
        warn(
            f"{PROGRAM}: stopped before all pictures were drawn; the results are saved, and "
            f"--resume {sweep.path} draws them"
        )
        return EXIT_INTERRUPTED
    return 0


if __name__ == "__main__":
    run_as_program(main)
