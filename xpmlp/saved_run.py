"""What `--resume` finds in the folder of a run, and the config with which it goes on."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from xpmlp.commands import config_values
from xpmlp.console import warn
from xpmlp.errors import InputError
from xpmlp.optim.schedules import TIMELESS
from xpmlp.runs.directory import CHECKPOINT, CONFIG, MODEL, RunDirectory
from xpmlp.training.checkpoint import Checkpoint
from xpmlp.training.config import RESUMABLE, Config
from xpmlp.training.members import Members


@dataclass(frozen=True)
class SavedRun:
    """The config of a run, and the checkpoint of each member that has one."""

    path: Path
    config: Config
    checkpoints: list[Checkpoint | None]

    @classmethod
    def find(cls, arguments: argparse.Namespace) -> "SavedRun":
        """Read the run in the folder of --resume.

        Raises InputError where there is none, or a damaged one, and for a flag that a run in
        progress can't take.
        """
        _refuse_fixed_flags(arguments)
        path: Path = arguments.resume
        if (path / CHECKPOINT).is_file():
            checkpoint = Checkpoint.load(path / CHECKPOINT)
            return cls(path, checkpoint.config, [checkpoint])
        config = Config.load(path / CONFIG) if (path / CONFIG).is_file() else None
        if config is None or not config.seeds:
            raise InputError(
                f"{path} holds no run to resume: neither {CHECKPOINT}, nor a {CONFIG} with seeds"
            )
        members = [member.path for member in RunDirectory(path, config).members]
        return cls(path, config, [_checkpoint(member) for member in members])

    def resume(self, members: Members) -> None:
        """Let the members go on from their checkpoints."""
        for trainer, checkpoint in zip(members.trainers, self.checkpoints, strict=True):
            seed = trainer.config.seed
            try:
                if checkpoint:
                    trainer.resume(checkpoint)
                else:
                    warn(f"note: seed {seed} has no checkpoint yet, so it starts anew")
            except InputError as error:
                raise InputError(f"{self.path}, seed {seed}: {error}") from error

    def config_with(self, arguments: argparse.Namespace) -> Config:
        """Return the config of the run with what the flags change of it.

        Raises InputError for a run that has all its epochs already or that stopped early.
        """
        config = self.config.replace(**config_values(arguments))
        longest = max(len(checkpoint.epochs) for checkpoint in self.checkpoints if checkpoint)
        if all(checkpoint and _is_complete(checkpoint, config) for checkpoint in self.checkpoints):
            self._refuse_complete(config)
        if longest > config.epochs:
            raise InputError(
                f"a seed of {self.path} has done {longest} epochs, more than {config.epochs}; ask "
                f"for at least {longest} with --epochs, or resume the others one by one"
            )
        if config.epochs != self.config.epochs and config.lr_schedule not in TIMELESS:
            warn(
                f"note: the {config.lr_schedule} schedule depends on the number of epochs; from "
                f"here on it is that of a run of {config.epochs} instead of {self.config.epochs}"
            )
        return config

    def _refuse_complete(self, config: Config) -> None:
        known = [checkpoint for checkpoint in self.checkpoints if checkpoint]
        shortest = min(known, key=lambda checkpoint: len(checkpoint.epochs))
        done = len(shortest.epochs)
        if done >= config.epochs:
            raise InputError(
                f"{self.path} has done {done} of {config.epochs} epochs, so there is nothing "
                "to train; ask for more with --epochs"
            )
        raise InputError(
            f"{self.path} stopped early after {done} epochs, the best of them "
            f"{shortest.best_epoch}; to go on, give a larger --early-stopping"
        )


def _refuse_fixed_flags(arguments: argparse.Namespace) -> None:
    given = [f"--{name.replace('_', '-')}" for name in config_values(arguments)]
    given += [f"--{name}" for name in ("config", "out") if getattr(arguments, name)]
    allowed = [f"--{name.replace('_', '-')}" for name in RESUMABLE]
    if wrong := [flag for flag in given if flag not in allowed]:
        raise InputError(
            f"--resume goes on with the run as it was, so {', '.join(wrong)} can't be given; "
            f"only {', '.join(allowed)} can"
        )


def _checkpoint(member: Path) -> Checkpoint | None:
    """Return a seed's checkpoint, None where it was interrupted before its first."""
    if (member / CHECKPOINT).is_file():
        return Checkpoint.load(member / CHECKPOINT)
    if (member / MODEL).exists():
        raise InputError(
            f"{member} holds {MODEL} but no {CHECKPOINT}, so it can't go on; move it away to let "
            "this seed start anew"
        )
    return None


def _is_complete(saved: Checkpoint, config: Config) -> bool:
    done = len(saved.epochs)
    patience = config.early_stopping
    stopped = saved.best_loss is not None and done - saved.best_epoch >= (patience or done)
    return stopped or done >= config.epochs
