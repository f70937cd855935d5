"""A trial of a sweep and its members: how far they are, and how good."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xpmlp.runs.directory import RunDirectory
from xpmlp.search.plan import Plan, Trial
from xpmlp.search.trials import Settings
from xpmlp.training.config import Config
from xpmlp.training.early_stopping import EarlyStopping
from xpmlp.training.history import EpochRecord
from xpmlp.training.spread import spread_of
from xpmlp.training.trainer import Trainer

FAILED, DROPPED, FINISHED, UNFINISHED = "failed", "dropped", "finished", "unfinished"


@dataclass(eq=False)
class Member:
    """One net: a trial with one seed. trainer: while it is in memory. done: its epochs else."""

    config: Config
    folder: Path
    trainer: Trainer | None = None
    done: Sequence[EpochRecord] = ()
    failure: str | None = None

    @property
    def records(self) -> Sequence[EpochRecord]:
        """Its epochs so far."""
        return self.trainer.history.epochs if self.trainer else self.done

    def unload(self) -> None:
        """Let its trainer go, and remember its epochs."""
        self.done, self.trainer = tuple(self.records), None

    def has_work(self, target: int) -> bool:
        """Tell whether there is something to train up to an epoch."""
        done = len(self.records)
        if self.failure or done >= min(target, self.config.epochs):
            return False
        return not (self.config.early_stopping and self._stopping().should_stop(done))

    def record_at(self, epoch: int | None = None) -> EpochRecord | None:
        """Return the epoch whose weights it has after so many epochs, or after all it has done.

        The best one under early stopping, else the last; None before the first.
        """
        records = self.records[:epoch]
        if not records:
            return None
        best = self._stopping(epoch).best_epoch if self.config.early_stopping else 0
        return records[best - 1]

    def _stopping(self, epoch: int | None = None) -> EarlyStopping:
        """Return what early stopping knows after so many epochs, or after all it has done."""
        if epoch is None and self.trainer and self.trainer.stopping:
            return self.trainer.stopping
        stopping = EarlyStopping(self.config.early_stopping)
        for record in self.records[:epoch]:
            if record.validation_loss is not None:
                stopping = stopping.after(record.epoch, record.validation_loss, ())
        return stopping

    def score_at(self, by: str, epoch: int | None = None) -> float:
        """Return what decides, lower is better; NaN where it failed before."""
        record = self.record_at(epoch)
        failed = self.failure and (epoch is None or len(self.records) < epoch)
        if failed or record is None:
            return math.nan
        value = record.validation_accuracy if by == "accuracy" else record.validation_loss
        return math.nan if value is None else -value if by == "accuracy" else value


@dataclass(eq=False)
class Tried:
    """A trial: its number, from 1, its settings, and a member for each seed.

    directory: where its runs go, once it has begun. dropped_after: the epoch at which it ended
    because others were better.
    """

    number: int
    settings: Settings
    config: Config
    path: Path
    members: list[Member]
    directory: RunDirectory | None = None
    dropped_after: int | None = None

    @property
    def failure(self) -> str | None:
        """Why it failed, which the first of its seeds that did decides."""
        return next((member.failure for member in self.members if member.failure), None)

    @property
    def goes_on(self) -> bool:
        """Whether it is still in the race; one that is complete is."""
        return not self.failure and self.dropped_after is None

    @property
    def epochs(self) -> int:
        """How many epochs its members have done, at most."""
        return max(len(member.records) for member in self.members)

    @property
    def status(self) -> str:
        """One of `failed`, `dropped`, `finished`, `unfinished`."""
        if self.failure:
            return FAILED
        if self.dropped_after is not None:
            return DROPPED
        return UNFINISHED if self.working(self.config.epochs) else FINISHED

    def working(self, target: int) -> list[Member]:
        """Return the members that have something to train up to an epoch."""
        return [m for m in self.members if self.goes_on and m.has_work(target)]

    def score_at(self, by: str, epoch: int | None = None) -> float:
        """Return the mean of what decides over the seeds, lower is better; NaN where one failed."""
        scores = [member.score_at(by, epoch) for member in self.members]
        return math.nan if any(map(math.isnan, scores)) else spread_of(scores).mean


def tried_of(plan: Plan, path: Path) -> list[Tried]:
    """Return the trials of a plan, none of which has begun, in a folder."""
    width = len(str(len(plan.trials)))
    return [
        _tried(i, trial, path / f"trial-{i:0{width}}")
        for i, trial in enumerate(plan.trials, start=1)
    ]


def _tried(number: int, trial: Trial, path: Path) -> Tried:
    members = [
        Member(config, path / f"seed-{config.seed}" if trial.config.seeds else path)
        for config in trial.config.members()
    ]
    return Tried(number, trial.settings, trial.config, path, members)
