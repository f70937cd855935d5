"""What `--resume` finds in the folder of a run, and the config with which it goes on."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xpmlp.backends.base import Backend
from xpmlp.backends.registry import compiles
from xpmlp.commands import config_values
from xpmlp.console import warn
from xpmlp.errors import InputError
from xpmlp.optim.schedules import TIMELESS
from xpmlp.runs.directory import (
    CHECKPOINT,
    CONFIG,
    ENSEMBLE,
    MODEL,
    NEXT,
    SUMMARY,
    RunDirectory,
    config_in,
    is_run,
    lock_run,
    require_named_rows,
)
from xpmlp.runs.lock import FolderLock
from xpmlp.training.checkpoint import Checkpoint
from xpmlp.training.compiling import uncompiled
from xpmlp.training.config import RATE_OPTIONS, RESUMABLE, Config
from xpmlp.training.members import Members
from xpmlp.training.rates import same_rates
from xpmlp.training.texts import named_seeds


@dataclass(frozen=True)
class SavedRun:
    """The config of a run, and the checkpoint of each member that has one.

    replan: whether the rates of the epochs that are left are planned anew.
    """

    path: Path
    config: Config
    checkpoints: list[Checkpoint | None]
    replan: bool = False

    @classmethod
    def find(cls, arguments: argparse.Namespace, lock: FolderLock) -> "SavedRun":
        """Lock the folder of --resume and read the run in it.

        Raises InputError where there is none, or a damaged one, or one that another process
        goes on with, and for a flag that a run in progress can't take.
        """
        _refuse_fixed_flags(arguments)
        path: Path = arguments.resume
        if not is_run(path):
            raise InputError(
                f"{path} holds no run to resume: neither {CHECKPOINT} nor {CONFIG}; give the "
                "folder that xpmlp train wrote"
            )
        if (path / ENSEMBLE).is_file():
            raise InputError(f"{path} is of an ensemble, which can't go on; train another")
        lock_run(lock, path)
        replan = any(name in RATE_OPTIONS for name in config_values(arguments))
        (checkpoint,) = _saved_together([path])
        if checkpoint:
            return cls(path, checkpoint.config, [checkpoint], replan)
        config = config_in(path)
        members = [member.path for member in RunDirectory(path, config).members]
        checkpoints = _saved_together(members)
        for member, found in zip(members, checkpoints, strict=True):
            if not found:
                _refuse_results(member)
        return cls(path, config, checkpoints, replan)

    @property
    def initials(self) -> list[Any]:
        """The weights of each member that has them already, so that config.initial is not read."""
        given = self.config.initial is not None
        return [saved.state.params if saved and given else None for saved in self.checkpoints]

    def resume(self, members: Members) -> None:
        """Let the members go on from their checkpoints, and say which begin again."""
        anew = []
        for trainer, checkpoint in zip(members.trainers, self.checkpoints, strict=True):
            seed = trainer.config.seed
            try:
                if checkpoint:
                    trainer.resume(checkpoint, replan=self.replan)
                else:
                    anew.append(seed)
            except InputError as error:
                raise InputError(f"{self.path}, seed {seed}: {error}") from error
        if len(anew) == len(members.trainers):
            warn(f"note: {self.path} has no checkpoint yet, so it starts anew")
        elif len(anew) == 1:
            warn(f"note: seed {anew[0]} has no checkpoint yet, so it starts anew")
        elif anew:
            warn(f"note: seeds {named_seeds(anew)} have no checkpoint yet, so they start anew")

    def config_with(self, arguments: argparse.Namespace) -> Config:
        """Return the config of the run with what the flags change of it.

        Says so where nothing is left to train. Raises InputError for fewer epochs than were
        done.
        """
        require_named_rows(
            self.path,
            self.config,
            "it goes on in Python, by xpmlp.Trainer(checkpoint.config, …).resume(checkpoint)",
        )
        values = config_values(arguments)
        if values.get("compile") == "auto":  # as the run was
            del values["compile"]
        config = self._before(values).replace(**values)
        known = [checkpoint for checkpoint in self.checkpoints if checkpoint]
        longest = max((len(checkpoint.epochs) for checkpoint in known), default=0)
        if longest > config.epochs:
            raise InputError(self._too_few(longest, config))
        if all(checkpoint and _is_complete(checkpoint, config) for checkpoint in self.checkpoints):
            warn(f"note: {self._what_was_done(known, config)}")
        elif self.replan:
            warn(f"note: {_planned_anew(known, config)}")
        elif others := [c.config.seed for c in known if not same_rates(config, c.config)]:
            warn(
                f"note: the learning rate of seed {named_seeds(others)} was another; it is planned "
                f"anew: {config.learning_rate:g}, {config.lr_schedule}"
            )
        elif config.epochs != self.config.epochs and config.lr_schedule not in TIMELESS:
            warn(
                f"note: the {config.lr_schedule} schedule depends on the number of epochs; from "
                f"here on it is that of a run of {config.epochs} instead of {self.config.epochs}"
            )
        return config

    def _before(self, values: dict[str, Any]) -> Config:
        """Return the config of the run, without what its compiled steps needed where flags say
        that they are not compiled, or go on with a library that has ways of its own."""
        machine = [values.get(name, getattr(self.config, name)) for name in ("backend", "device")]
        stays = compiles(*machine) and values.get("compile") != "never"
        return self.config if stays else uncompiled(self.config)

    def config_on(self, backend: Backend, config: Config) -> Config:
        """Return the config with which the run goes on with the backend that was found.

        Raises InputError where its steps were compiled, and can't be here.
        """
        if config.compile != "always" or self.config.compile != "always":
            return config
        if not compiles(backend.name, backend.device):
            return uncompiled(config)
        if reason := backend.why_not_compiled():
            raise InputError(
                f"the steps of {self.path} were compiled, but {reason}; --resume {self.path} "
                "--compile never goes on without, equal up to rounding"
            )
        return config

    def tell_change(self, config: Config) -> None:
        """Say so where steps that were compiled are not from here on, or the other way round.

        config: with which the run goes on, where all is decided.
        """
        if config.compile == self.config.compile or config.backend != self.config.backend:
            return
        now = "compiled" if config.compile == "always" else "not compiled"
        if any(self.checkpoints):
            warn(
                f"note: from here on the steps are {now}, other than before, so the last digits "
                "differ from those of a run that never stopped"
            )

    def _too_few(self, done: int, config: Config) -> str:
        if self.config.seeds:
            return (
                f"a seed of {self.path} has done {done} epochs, more than {config.epochs}; ask "
                f"for at least {done} with --epochs, or resume the others one by one"
            )
        return (
            f"{self.path} has done {done} epochs, more than {config.epochs}; ask for at least "
            f"{done} with --epochs"
        )

    def _what_was_done(self, known: list[Checkpoint], config: Config) -> str:
        shortest = min(known, key=lambda checkpoint: len(checkpoint.epochs))
        done = len(shortest.epochs)
        if done >= config.epochs:
            came, remedy = f"has done {done} of {config.epochs} epochs", "more --epochs"
        else:
            came = f"stopped early after {done} epochs, the best of them {shortest.best_epoch}"
            remedy = "a larger --early-stopping"
        return (
            f"{self.path} {came}, so there is nothing left to train; its results are written "
            f"anew (to go on, give {remedy})"
        )


def _planned_anew(known: list[Checkpoint], config: Config) -> str:
    done = {len(saved.epochs) for saved in known} or {0}
    first = f"epoch {min(done) + 1}" if len(done) == 1 else "where each seed stands"
    return (
        f"from {first} to {config.epochs} the learning rate is planned anew: "
        f"{config.learning_rate:g}, {config.lr_schedule}"
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


def _saved_together(members: Sequence[Path]) -> list[Checkpoint | None]:
    """Return each net's checkpoint, None where it was interrupted before its first.

    Where a kill came when the new ones were to take the place of those before, the new ones count.
    """
    before = [_checkpoint(member / CHECKPOINT) for member in members]
    pairs = list(zip(map(_next, members), before, strict=True))
    for saving in {new.saving for new, _ in pairs if new}:
        found = [next((c for c in pair if c and c.saving == saving), None) for pair in pairs]
        if all(found):
            return found
    return before


def _checkpoint(path: Path) -> Checkpoint | None:
    return Checkpoint.load(path) if path.is_file() else None


def _next(member: Path) -> Checkpoint | None:
    """Return a checkpoint that has not taken its place, None where it is not whole."""
    try:
        return _checkpoint(member / NEXT)
    except InputError:
        return None


def _refuse_results(member: Path) -> None:
    """Raise InputError for a net without a checkpoint whose results are whole."""
    if (member / MODEL).exists() and (member / SUMMARY).exists():
        raise InputError(
            f"{member} holds {MODEL} but no {CHECKPOINT}, so it can't go on; move it away to "
            "start anew"
        )


def _is_complete(saved: Checkpoint, config: Config) -> bool:
    done = len(saved.epochs)
    patience = config.early_stopping
    stopped = saved.best_loss is not None and done - saved.best_epoch >= (patience or done)
    return stopped or done >= config.epochs
