"""`python -m xpmlp.train`: train a net, show it learning, and keep what came of it."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from xpmlp.commands import (
    EXIT_INTERRUPTED,
    Parser,
    add_config_flags,
    config_values,
    guarded,
    run_as_program,
)
from xpmlp.errors import InputError, RunError
from xpmlp.training.config import Config, read_toml

if TYPE_CHECKING:
    from xpmlp.backends.registry import Selection
    from xpmlp.data.dataset import Dataset
    from xpmlp.reporting.run_directory import RunDirectory
    from xpmlp.training.trainer import Run, Trainer

PROGRAM = "xpmlp train"
SECONDS_BETWEEN_CHECKPOINTS = 10.0
RESUMABLE = ("epochs", "device", "backend", "data_dir", "early_stopping")
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
    results.add_argument("--out", metavar="DIR", help="folder of the run [runs/DATASET-TIME]")
    results.add_argument("--resume", metavar="DIR", help="go on with the run in this folder")
    results.add_argument("--config", metavar="FILE", help="TOML file of options; flags override")
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
    config = resolve_config(arguments)

    from xpmlp.backends.registry import select_backend
    from xpmlp.data.registry import load_dataset

    selection = select_backend(
        config.backend, config.device, config.dtype, fallback=not arguments.no_fallback
    )
    if selection.fallback_reason:
        _say(
            f"warning: no CUDA: {selection.fallback_reason}; "
            f"training on the CPU with {selection.backend.name}"
        )
    data = load_dataset(
        config.dataset,
        data_dir=config.data_dir,
        validation=config.validation,
        scale=config.scale,
        seed=config.data_seed,
        dtype=config.dtype,
    )
    if data.note:
        _say(f"note: {data.note}")
    return _train(arguments, _resolved(config, selection, data), selection, data)


def resolve_config(arguments: argparse.Namespace) -> Config:
    """Return the config of the flags, over that of --config or of the run to --resume."""
    flags = config_values(arguments)
    if not arguments.resume:
        base = read_toml(arguments.config) if arguments.config else {}
        return Config.from_dict(base | flags, arguments.config or "the command line")
    fixed = [name for name in flags if name not in RESUMABLE]
    if fixed or arguments.config or arguments.out:
        wrong = [f"--{name.replace('_', '-')}" for name in fixed] or ["--config", "--out"]
        raise InputError(
            f"--resume goes on with the run as it was, so {', '.join(wrong)} can't be given; "
            f"only --{', --'.join(name.replace('_', '-') for name in RESUMABLE)} can"
        )
    path = Path(arguments.resume) / "config.toml"
    if not path.exists():
        raise InputError(f"{arguments.resume} holds no run to resume ({path} is missing)")
    return Config.from_dict(read_toml(path) | flags, str(path))


def _resolved(config: Config, selection: "Selection", data: "Dataset") -> Config:
    """Return the config with every `auto` replaced by what it came to, and absolute paths."""
    from xpmlp.training.targets import resolve_loss

    is_file = Path(config.dataset).is_file()
    return config.replace(
        dataset=str(Path(config.dataset).resolve()) if is_file else data.name,
        data_dir=str(Path(config.data_dir).resolve()) if config.data_dir else None,
        loss=resolve_loss(config.loss, data),
        scale=data.scale,
        backend=selection.backend.name,
        device=selection.backend.device,
    )


def _train(
    arguments: argparse.Namespace, config: Config, selection: "Selection", data: "Dataset"
) -> int:
    from xpmlp.reporting.run_directory import CHECKPOINT, RunDirectory
    from xpmlp.reporting.summary import header
    from xpmlp.training.checkpoint import Checkpoint
    from xpmlp.training.trainer import Trainer

    stream = sys.stderr if arguments.json else sys.stdout
    trainer = Trainer(config, data, selection.backend)
    if arguments.resume:
        trainer.resume(Checkpoint.load(Path(arguments.resume) / CHECKPOINT))
        directory = RunDirectory(Path(arguments.resume))
    else:
        directory = RunDirectory.create(arguments.out, data.name)
    directory.save_config(config)
    if not arguments.quiet:
        print(header(trainer), file=stream, flush=True)
    interrupted, failure = False, None
    try:
        interrupted = _run_epochs(trainer, directory, quiet=arguments.quiet, stream=stream)
    except RunError as error:
        failure = error
    finally:
        directory.save_checkpoint(trainer)
    code = _report(arguments, trainer, selection, directory, interrupted=interrupted)
    if failure:
        raise failure
    return code


def _run_epochs(
    trainer: "Trainer", directory: "RunDirectory", *, quiet: bool, stream: TextIO
) -> bool:
    """Train to the end or to Ctrl-C; return whether it was interrupted."""
    from xpmlp.interrupt import graceful_interrupt
    from xpmlp.reporting.progress import make_progress

    done = len(trainer.history.epochs)
    progress = make_progress(trainer.config.epochs, done, quiet=quiet, stream=stream)
    saved = time.monotonic()
    try:
        with graceful_interrupt() as stop:
            for record in trainer.epochs():
                progress.show(record)
                if stop.requested:
                    return True
                if time.monotonic() - saved > SECONDS_BETWEEN_CHECKPOINTS:
                    directory.save_checkpoint(trainer)
                    saved = time.monotonic()
    except KeyboardInterrupt:
        return True
    finally:
        progress.close()
    return False


def _report(
    arguments: argparse.Namespace,
    trainer: "Trainer",
    selection: "Selection",
    directory: "RunDirectory",
    *,
    interrupted: bool,
) -> int:
    from xpmlp.reporting.summary import summarize, summary_text
    from xpmlp.training.trainer import finish

    run: Run = finish(trainer)
    figures = summarize(run, selection, str(directory.path), interrupted=interrupted)
    directory.save_results(run, figures)
    if arguments.json:
        print(json.dumps(figures, indent=2))
    elif not arguments.quiet:
        print(summary_text(run, figures))
    if interrupted:
        _say(f"{PROGRAM}: interrupted and saved; go on with --resume {directory.path}")
        return EXIT_INTERRUPTED
    if not arguments.no_plots:
        directory.save_pictures(run)
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    run_as_program(main)
