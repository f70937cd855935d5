"""`python -m xpmlp.train`: train a net, show it learning, and keep what came of it."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from xpmlp.commands import (
    Parser,
    add_config_flags,
    config_of,
    guarded,
    path,
    run_as_program,
)
from xpmlp.console import show, warn, warnings_as_notes
from xpmlp.distributed.starting import in_ranks
from xpmlp.errors import EXIT_INTERRUPTED, InputError, RunError

if TYPE_CHECKING:
    from xpmlp.backends.registry import Selection
    from xpmlp.distributed.ranks import Ranks
    from xpmlp.interrupt import StopRequest
    from xpmlp.runs.directory import RunDirectory
    from xpmlp.runs.lock import FolderLock
    from xpmlp.runs.progress import Progress
    from xpmlp.runs.run import Run
    from xpmlp.training.members import Members
    from xpmlp.training.trainer import Trainer

PROGRAM = "xpmlp train"
SECONDS_BETWEEN_CHECKPOINTS, LEAST_SHARE = 10.0, 10.0  # of training, to one of saving
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
        description="Train a multilayer perceptron by hand-derived backpropagation.",
        epilog="exit codes: 0 done, 1 the run failed, 2 bad input, 130 interrupted (and saved)",
    )
    add_config_flags(parser, GROUPS)
    machine = parser._action_groups[-1]
    machine.add_argument(
        "--no-fallback", action="store_true", help="fail where --device cuda can't be had"
    )
    results = parser.add_argument_group("results")
    results.add_argument(
        "--out", type=path, metavar="DIR", help="folder of the run [runs/DATASET-TIME]"
    )
    results.add_argument(
        "--ensemble",
        type=int,
        metavar="N",
        help="train N nets of drawn options; the best are averaged",
    )
    results.add_argument(
        "--resume",
        type=path,
        metavar="DIR",
        help="go on with the run in this folder, or complete its results",
    )
    results.add_argument(
        "--config", type=path, metavar="FILE", help="TOML file of options; flags override"
    )
    results.add_argument(
        "--json", action="store_true", help="print one JSON object on stdout, and nothing else"
    )
    results.add_argument("--quiet", action="store_true", help="no header, progress or summary")
    results.add_argument("--no-plots", action="store_true", help="draw no pictures, no report")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, as one of several ranks where MPI started it; return its exit code."""

    def run(ranks: "Ranks") -> int:
        arguments = make_parser().parse_args(argv)
        return guarded(PROGRAM, lambda: run_command(arguments, ranks))

    return in_ranks(PROGRAM, run)


def run_command(arguments: argparse.Namespace, ranks: "Ranks") -> int:
    """Train as the arguments say. Raises XpmlpError with a line for people."""
    from xpmlp.runs.lock import FolderLock

    with FolderLock() as lock:
        return _run_in_folder(arguments, lock, ranks)


def _run_in_folder(arguments: argparse.Namespace, lock: "FolderLock", ranks: "Ranks") -> int:
    from xpmlp.distributed.backend import over_ranks
    from xpmlp.distributed.following import check_alike, follow
    from xpmlp.distributed.ranks import first_then_others, of_first, only_first
    from xpmlp.distributed.spreading import SpreadMembers
    from xpmlp.saved_run import SavedRun

    if arguments.resume and arguments.ensemble is not None:
        raise InputError("--ensemble and --resume can't both be given")
    if arguments.ensemble is not None and ranks.size > 1:
        raise InputError("--ensemble trains in one process; leave mpiexec away")
    saved = of_first(ranks, lambda: SavedRun.find(arguments, lock)) if arguments.resume else None
    config = asked = saved.config_with(arguments) if saved else config_of(arguments)

    from xpmlp.backends.registry import select_backend
    from xpmlp.runs.directory import RunDirectory
    from xpmlp.runs.run import Trainer
    from xpmlp.runs.saving import resolved
    from xpmlp.training.compiling import decided
    from xpmlp.training.rates import plans_text
    from xpmlp.training.setup import load_for, make_members

    if arguments.ensemble is not None:
        from xpmlp.ensemble_command import EnsembleRun, check_ensemble

        check_ensemble(arguments, config)
    selection = select_backend(
        config.backend,
        config.device,
        config.dtype,
        fallback=not arguments.no_fallback,
        matmul_precision=config.matmul_precision,
    )
    spread = bool(config.seeds) and ranks.size > 1
    if not spread:
        selection = replace(selection, backend=over_ranks(selection.backend, ranks))
    if selection.fallback_reason:
        warn(
            f"warning: no CUDA: {selection.fallback_reason}; "
            f"training on the CPU with {selection.backend.name}"
        )
    if selection.backend.matmul_precision != config.matmul_precision:
        warn("note: TF32 needs a GPU; the matrix products of this run are in full float32")
    config = saved.config_on(selection.backend, config) if saved else config
    data = first_then_others(ranks, lambda: load_for(config))
    for note in data.note.splitlines():
        warn(f"note: {note}")
    config = resolved(config, selection.backend, data)
    assumed = data.about.text() if data.about else ""
    if arguments.ensemble is not None:
        return EnsembleRun(arguments, asked, config, data, selection).run(lock, assumed)
    with warnings_as_notes():
        members = make_members(
            config.members(),
            data,
            selection.backend,
            initials=saved.initials if saved else (),
            kind=Trainer,
        )
    config = decided(config, members.trainers[0].problem.decision)
    check_alike(members, ranks)
    if saved:
        saved.tell_change(config)
        saved.resume(members)

    def claimed() -> RunDirectory:
        if not saved:
            return RunDirectory.create(arguments.out, config, lock, assumed)
        rates = plans_text(members.trainers[0].plans)
        directory = RunDirectory(saved.path, config, lock, f"{assumed}\n{rates}".strip())
        if config.seeds:  # whose config is read from its file, a single net's from its checkpoint
            directory.save_config()
        for problem in directory.save_checkpoints(members.trainers):
            warn(f"warning: can't write {problem}")
        directory.save_config()
        return directory

    directory = only_first(ranks, claimed)
    members = SpreadMembers(members, ranks) if spread else members
    if directory is None:
        return follow(members, ranks)
    return _train(arguments, members, selection, directory, ranks)


def _train(
    arguments: argparse.Namespace,
    members: "Members",
    selection: "Selection",
    directory: "RunDirectory",
    ranks: "Ranks",
) -> int:
    """Train to the end, to Ctrl-C or to a failure, and save whatever was learnt."""
    from xpmlp.distributed.following import ranks_line
    from xpmlp.interrupt import graceful_interrupt
    from xpmlp.runs.progress import make_progress
    from xpmlp.runs.run import finish
    from xpmlp.runs.saving import save_results
    from xpmlp.runs.summary import header

    trainers = members.trainers
    stream = sys.stderr if arguments.json else sys.stdout
    if not arguments.quiet:
        show(header(trainers) + ranks_line(ranks), stream)
    progress = make_progress(trainers, quiet=arguments.quiet, stream=stream)
    failure: RunError | None = None
    problems: list[str] = []
    with graceful_interrupt() as stop:
        try:
            _run_epochs(members, directory, progress, stop, ranks)
        except KeyboardInterrupt:
            stop.requested = True
        except RunError as error:
            failure = error
        finally:
            stop.saving = True
            interrupted = stop.requested and not members.finished
            stop.requested = False  # that wish is met: the epochs are over
            progress.close()
            _tell_uncompiled(trainers)
            problems += directory.save_checkpoints(trainers)
        failures = [members.failures.get(i, failure) for i in range(len(trainers))]
        runs = [
            finish(trainer, interrupted=interrupted, failure=why)
            for trainer, why in zip(trainers, failures, strict=True)
        ]
        figures, text, unsaved = save_results(runs, selection, directory)
        problems += unsaved
        if arguments.json:
            if not show(json.dumps(figures, indent=2, allow_nan=False), sys.stdout):
                problems.append("the JSON to stdout")
        elif not arguments.quiet:
            show(text, stream)
        good = [run for run, reason in zip(runs, failures, strict=True) if not reason]
        cut_short = False
        if good and not (problems or interrupted or arguments.no_plots):
            cut_short = _draw_until_stopped(good, figures, directory, stop)
            if not directory.is_there():
                problems += directory.save_checkpoints(trainers)
                problems += save_results(runs, selection, directory)[2]
    failed = _joint_failure(failures, directory)
    where = next((f" after {t.place_text}" for t in trainers if t.unfinished), "")
    return _end(
        directory, failed, problems, interrupted=interrupted, where=where, cut_short=cut_short
    )


def _tell_uncompiled(trainers: "Sequence[Trainer]") -> None:
    """Say why steps that were to be compiled were not, where that showed in the epochs alone."""
    for reason in dict.fromkeys(trainer.problem.not_compiled for trainer in trainers):
        if reason:
            warn(f"note: the steps could not be compiled ({reason}), so they were replayed")


def _end(
    directory: "RunDirectory",
    failed: RunError | None,
    problems: list[str],
    *,
    interrupted: bool,
    where: str,
    cut_short: bool,
) -> int:
    """Return the exit code of a run that is saved as far as it can be, and say what to do.

    where: of an interrupt within an epoch, for people.
    Raises RunError where it failed, or where something could not be written.
    """
    unwritten = f"can't write {'; '.join(dict.fromkeys(problems))}" if problems else ""
    if interrupted:
        for line in filter(None, (failed, unwritten)):
            warn(f"{PROGRAM}: {line}")
        saved = "" if problems else " and saved"
        warn(f"{PROGRAM}: interrupted{where}{saved}; go on with --resume {directory.path}")
        return EXIT_INTERRUPTED
    if failed:
        raise failed
    if problems:
        raise RunError(unwritten)
    if cut_short:
        warn(
            f"{PROGRAM}: stopped before all pictures were drawn; the results are saved, and "
            f"--resume {directory.path} draws them"
        )
        return EXIT_INTERRUPTED
    return 0


def _run_epochs(
    members: "Members",
    directory: "RunDirectory",
    progress: "Progress",
    stop: "StopRequest",
    ranks: "Ranks",
) -> None:
    """Train until the end or a wish to stop; write what is learnt as it comes.

    The checkpoint after the first epoch and now and then, within a long epoch too; the tables after
    each epoch, or as often as that takes little time.
    """
    from xpmlp.distributed.ranks import any_of

    checkpoints = Occasion(SECONDS_BETWEEN_CHECKPOINTS, directory.save_checkpoints)
    tables = Occasion(0.0, directory.save_tables)
    stop.place = members.stopping_place
    with closing(members.epochs()) as epochs:
        for records in epochs:
            progress.show(records)
            if any_of(ranks, stop.requested):
                stop.requested = True
                return
            checkpoints.save(members.trainers)
            if records:
                tables.save(members.trainers)


class Occasion:
    """When something of a training is saved: at once, then each time that training has paid for it.

    What can't be written costs a warning, not the run, and is not tried again soon.
    """

    def __init__(
        self, seconds: float, save: "Callable[[Sequence[Trainer]], Sequence[str]]"
    ) -> None:
        self.seconds, self._save, self.next = seconds, save, 0.0

    def save(self, trainers: "Sequence[Trainer]") -> None:
        """Save if it is time."""
        begun = time.monotonic()
        if begun < self.next:
            return
        problems = self._save(trainers)
        for problem in problems:
            warn(f"warning: can't write {problem}")
        saved, least = time.monotonic(), SECONDS_BETWEEN_CHECKPOINTS if problems else self.seconds
        self.next = saved + max(least, LEAST_SHARE * (saved - begun))


def _joint_failure(failures: "list[RunError | None]", directory: "RunDirectory") -> RunError | None:
    """Return the failure of a run: that of its net, or of the first of its seeds that failed."""
    seeds = [config.seed for config in directory.config.members()]
    named = {seed: why for seed, why in zip(seeds, failures, strict=True) if why}
    if not named:
        return None
    first = next(iter(named.values()))
    if not directory.config.seeds or {str(why) for why in failures} == {str(first)}:
        return first
    failed = ", ".join(map(str, named))
    return RunError(f"{len(named)} of {len(seeds)} seeds failed ({failed}): {first}")


def _draw_until_stopped(
    runs: "list[Run]", figures: dict[str, Any], directory: "RunDirectory", stop: "StopRequest"
) -> bool:
    """Draw unless, or until, a stop is asked for; tell whether one was."""
    from xpmlp.runs.saving import draw

    try:
        stop.at_once, stop.saving = True, False
        if not stop.requested:
            for problem in draw(runs, figures, directory):
                warn(f"warning: {problem}")
        stop.saving = True
    except KeyboardInterrupt:
        pass
    return stop.requested


if __name__ == "__main__":
    run_as_program(main)
