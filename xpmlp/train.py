"""`python -m xpmlp.train`: train a net, show it learning, and keep what came of it."""

import argparse
import json
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from xpmlp.commands import (
    EXIT_INTERRUPTED,
    Parser,
    add_config_flags,
    config_values,
    guarded,
    path,
    run_as_program,
)
from xpmlp.console import show, warn
from xpmlp.errors import InputError, RunError
from xpmlp.optim.schedules import TIMELESS
from xpmlp.training.config import RESUMABLE, Config, read_toml

if TYPE_CHECKING:
    from xpmlp.backends.registry import Selection
    from xpmlp.data.dataset import Dataset
    from xpmlp.interrupt import StopRequest
    from xpmlp.reporting.progress import Progress
    from xpmlp.reporting.run_directory import RunDirectory
    from xpmlp.training.checkpoint import Checkpoint
    from xpmlp.training.fitting import Run
    from xpmlp.training.trainer import Trainer

PROGRAM = "xpmlp train"
SECONDS_BETWEEN_CHECKPOINTS = 10.0
GROUPS = {
    "data": "data",
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
        "--resume", type=path, metavar="DIR", help="go on with the run in this folder"
    )
    results.add_argument(
        "--config", type=path, metavar="FILE", help="TOML file of options; flags override"
    )
    results.add_argument(
        "--json", action="store_true", help="print one JSON object on stdout, and nothing else"
    )
    results.add_argument("--quiet", action="store_true", help="no header, progress or summary")
    results.add_argument("--no-plots", action="store_true", help="draw no pictures")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    arguments = make_parser().parse_args(argv)
    return guarded(PROGRAM, lambda: run_command(arguments))


def run_command(arguments: argparse.Namespace) -> int:
    """Train as the arguments say. Raises XpmlpError with a line for people."""
    saved = _saved_run(arguments)
    config = resolve_config(arguments, saved)

    from xpmlp.backends.registry import select_backend
    from xpmlp.reporting.run_directory import RunDirectory
    from xpmlp.training.fitting import load_for
    from xpmlp.training.trainer import Trainer

    selection = select_backend(
        config.backend, config.device, config.dtype, fallback=not arguments.no_fallback
    )
    if selection.fallback_reason:
        warn(
            f"warning: no CUDA: {selection.fallback_reason}; "
            f"training on the CPU with {selection.backend.name}"
        )
    data = load_for(config)
    if data.note:
        warn(f"note: {data.note}")
    config = _resolved(config, selection, data)
    trainer = Trainer(config, data, selection.backend)
    if saved:
        trainer.resume(saved)
        directory = RunDirectory(arguments.resume)
        directory.save_config(config)
    else:
        directory = RunDirectory.create(arguments.out, config)
    return _train(arguments, trainer, selection, directory)


def _saved_run(arguments: argparse.Namespace) -> "Checkpoint | None":
    """Return the checkpoint of the run to --resume."""
    if not arguments.resume:
        return None
    fixed = [f"--{name.replace('_', '-')}" for name in config_values(arguments)]
    fixed += [f"--{name}" for name in ("config", "out") if getattr(arguments, name)]
    allowed = [f"--{name.replace('_', '-')}" for name in RESUMABLE]
    if wrong := [flag for flag in fixed if flag not in allowed]:
        raise InputError(
            f"--resume goes on with the run as it was, so {', '.join(wrong)} can't be given; "
            f"only {', '.join(allowed)} can"
        )
    from xpmlp.reporting.run_directory import CHECKPOINT
    from xpmlp.training.checkpoint import Checkpoint

    path = arguments.resume / CHECKPOINT
    if not path.is_file():
        raise InputError(f"{arguments.resume} holds no run to resume ({path} is missing)")
    return Checkpoint.load(path)


def resolve_config(arguments: argparse.Namespace, saved: "Checkpoint | None" = None) -> Config:
    """Return the config of the flags, over that of --config or of the run that goes on.

    Raises InputError for a run that has all its epochs already, or that stopped early.
    """
    flags = config_values(arguments)
    if saved is None:
        base = read_toml(arguments.config) if arguments.config else {}
        return Config.from_dict(base | flags, str(arguments.config or "the command line"))
    config, done = saved.config.replace(**flags), len(saved.epochs)
    if config.epochs <= done:
        raise InputError(
            f"{arguments.resume} has done {done} of {config.epochs} epochs, so there is nothing "
            f"to train; ask for more with --epochs"
        )
    if saved.best_loss is not None and done - saved.best_epoch >= (config.early_stopping or done):
        raise InputError(
            f"{arguments.resume} stopped early after {done} epochs, the best of them "
            f"{saved.best_epoch}; to go on, give a larger --early-stopping"
        )
    if config.epochs != saved.config.epochs and config.lr_schedule not in TIMELESS:
        warn(
            f"note: the {config.lr_schedule} schedule depends on the number of epochs; from here "
            f"on it is that of a run of {config.epochs} instead of {saved.config.epochs}"
        )
    return config


def _resolved(config: Config, selection: "Selection", data: "Dataset") -> Config:
    """Return the config with every `auto` replaced by what it came to, and absolute paths."""
    from xpmlp.data.places import places
    from xpmlp.data.registry import dataset_names
    from xpmlp.training.targets import resolve_loss

    named = config.dataset in dataset_names()
    folder = places(config.data_dir).data_dir
    return config.replace(
        dataset=data.name if named else str(Path(config.dataset).expanduser().resolve()),
        data_dir=str(folder.resolve()) if folder else None,
        loss=resolve_loss(config.loss, data),
        scale=data.scale,
        backend=selection.backend.name,
        device=selection.backend.device,
    )


def _train(
    arguments: argparse.Namespace,
    trainer: "Trainer",
    selection: "Selection",
    directory: "RunDirectory",
) -> int:
    """Train to the end, to Ctrl-C or to a failure, and save whatever was learnt."""
    from xpmlp.interrupt import graceful_interrupt
    from xpmlp.reporting.progress import make_progress
    from xpmlp.reporting.summary import header, summarize, summary_text
    from xpmlp.training.fitting import finish

    stream = sys.stderr if arguments.json else sys.stdout
    if not arguments.quiet:
        show(header(trainer), stream)
    progress = make_progress(trainer, quiet=arguments.quiet, stream=stream)
    failure: RunError | None = None
    problems: list[str] = []
    with graceful_interrupt() as stop:
        try:
            _run_epochs(trainer, directory, progress, stop)
        except KeyboardInterrupt:
            stop.requested = True
        except RunError as error:
            failure = error
        finally:
            stop.saving = True
            progress.close()
            problems += directory.save_checkpoint(trainer)
        run = finish(trainer)
        figures = summarize(run, selection, str(directory.path), stop.requested, failure)
        problems += directory.save_results(run, figures)
        if arguments.json:
            show(json.dumps(figures, indent=2, allow_nan=False), sys.stdout)
        elif not arguments.quiet:
            show(summary_text(run, figures), stream)
        if not (failure or problems or stop.requested or arguments.no_plots):
            _draw(run, directory)
    if failure:
        raise failure
    if problems:
        raise RunError(f"can't write {'; '.join(problems)}")
    if stop.requested:
        warn(f"{PROGRAM}: interrupted and saved; go on with --resume {directory.path}")
        return EXIT_INTERRUPTED
    return 0


def _run_epochs(
    trainer: "Trainer", directory: "RunDirectory", progress: "Progress", stop: "StopRequest"
) -> None:
    """Train until the end or a wish to stop; save after the first epoch and now and then."""
    next_save = 0.0
    for record in trainer.epochs():
        progress.show(record)
        if stop.requested:
            return
        if time.monotonic() >= next_save:
            for problem in directory.save_checkpoint(trainer):
                warn(f"warning: can't write {problem}")
            next_save = time.monotonic() + SECONDS_BETWEEN_CHECKPOINTS


def _draw(run: "Run", directory: "RunDirectory") -> None:
    """Draw the pictures; one that fails costs a warning, not the run."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        directory.save_pictures(run)
    except Exception as error:
        warn(f"warning: the pictures could not be drawn: {type(error).__name__}: {error}")


if __name__ == "__main__":
    run_as_program(main)
