"""A sweep in progress: its trials in waves, their members side by side, dropped and saved.

Whatever decides is a pure function of what the members recorded, so that a sweep which goes on
drops the same trials; and members are saved all at the same moment, so that the same ones train
together again, to the same bits.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Protocol

from xpmlp.console import warn, warnings_as_notes
from xpmlp.errors import InputError, RunError
from xpmlp.interrupt import StopRequest
from xpmlp.runs.directory import CHECKPOINT, NEXT, RunDirectory, save_together
from xpmlp.runs.lock import FolderLock
from xpmlp.runs.run import Trainer
from xpmlp.search.grounds import Ground, Grounds
from xpmlp.search.halving import kept_so_far, kept_together
from xpmlp.search.plan import Plan
from xpmlp.search.results import write_results
from xpmlp.search.tried import Member, Tried, tried_of
from xpmlp.training.checkpoint import Checkpoint
from xpmlp.training.compiling import decided
from xpmlp.training.history import EpochRecord
from xpmlp.training.members import Members
from xpmlp.training.problem import Problem
from xpmlp.training.setup import problems_for


class Watch(Protocol):
    """Who looks on: asks for a stop, shows what has happened, saves when it is time."""

    stop: StopRequest

    def show(self, wave: Sequence[Tried], records: Sequence[EpochRecord]) -> None:
        """Show an epoch that members of a wave have ended; none: a piece of a long one."""

    def save(self) -> None:
        """Save the sweep if it is time."""


class Sweep:
    """The trials of a plan in a folder, which is locked. wave: its number and their count."""

    def __init__(self, plan: Plan, path: Path, lock: FolderLock, grounds: Grounds) -> None:
        self.plan, self.path, self.lock, self.grounds = plan, path, lock, grounds
        self.trials = tried_of(plan, path)
        self.wave = (1, 1)
        self.has_news = True  # since it was saved last
        self._problems: dict[Member, Problem] = {}

    @property
    def members(self) -> list[Member]:
        """All members of all trials."""
        return [member for trial in self.trials for member in trial.members]

    def restore(self) -> None:
        """Take what was saved of each member, and which of them failed.

        Where a kill came when new checkpoints were to take the place of those before, the new
        ones count if one of them has done so. Raises InputError for a damaged one.
        """
        saved = {member: _checkpoint(member.folder / CHECKPOINT) for member in self.members}
        begun = {checkpoint.saving for checkpoint in saved.values() if checkpoint}
        for member in self.members:
            new = _unless_damaged(member.folder / NEXT)
            if new and new.saving in begun:
                RunDirectory(member.folder, member.config, self.lock).take_next()
                saved[member] = new
            found = saved[member]
            member.done = tuple(found.epochs) if found else ()
            member.failure = self.plan.failures.get(self._name(member))

    def run(self, watch: Watch) -> bool:
        """Train until all has been trained, or a stop is asked for; tell whether all has.

        Raises RunError where it can't go on, as for want of memory or disk.
        """
        for wave, target in self._stages():
            if not self._working(wave, target):
                continue
            if watch.stop.requested or not self._train(wave, target, watch):
                return False
        return True

    def _stages(self) -> Iterator[tuple[list[Tried], int]]:
        """Yield trials that train together, and up to which epoch; then drop some of them.

        They come as many at a time as `at_once` lets. Those that must wait for each other all
        come to a rung before any goes on; else each wave goes all the way.
        """
        halving, last = self.plan.halving, self.plan.epochs
        rungs = halving.rungs if halving else ()
        if halving and halving.kind == "async":
            for wave in self._waves(self.trials):
                for rung in rungs:
                    yield wave, rung
                    self._drop_late(wave, rung)
                yield wave, last
            return
        for i, rung in enumerate(rungs):
            for wave in self._waves(self._left()):
                yield wave, rung
            self._drop_together(self._left(), i)
        for wave in self._waves(self._left()):
            yield wave, last

    def _left(self) -> list[Tried]:
        """Return the trials that were not dropped; one that failed keeps its place in its wave."""
        return [trial for trial in self.trials if trial.dropped_after is None]

    def _waves(self, trials: Sequence[Tried]) -> Iterator[list[Tried]]:
        most = max(1, self.plan.at_once // len(self.plan.seeds))
        waves = [list(trials[i : i + most]) for i in range(0, len(trials), most)]
        for i, wave in enumerate(waves, start=1):
            self.wave = i, len(waves)
            yield wave

    def _drop_together(self, trials: Sequence[Tried], i: int) -> None:
        """Drop those of the trials left that are not good enough at a rung."""
        halving = self.plan.halving
        assert halving
        scores = self._scores(trials, halving.rungs[i])
        self._keep(
            trials, kept_together(scores, len(self.trials), halving.eta, i), halving.rungs[i]
        )

    def _drop_late(self, wave: Sequence[Tried], rung: int) -> None:
        """Drop those of a wave that are not good enough beside all that were here so far."""
        assert self.plan.halving
        been = [
            trial
            for trial in self.trials[: wave[-1].number]
            if trial.dropped_after is None or trial.dropped_after >= rung
        ]
        self._keep(wave, kept_so_far(self._scores(been, rung), self.plan.halving.eta), rung)

    def _scores(self, trials: Sequence[Tried], rung: int) -> dict[int, float]:
        return {trial.number: trial.score_at(self.plan.by, rung) for trial in trials}

    def _keep(self, trials: Sequence[Tried], kept: set[int], rung: int) -> None:
        for trial in trials:
            if trial.goes_on and trial.number not in kept:
                trial.dropped_after = rung

    def _working(self, trials: Sequence[Tried], target: int) -> list[Member]:
        return [member for trial in trials for member in trial.working(target)]

    def _train(self, wave: Sequence[Tried], target: int, watch: Watch) -> bool:
        """Train what a wave has to do up to an epoch; tell whether no stop cut it short.

        Whenever there are fewer of them, their states part, as after a resume: a net that trained
        beside a wider one, padded to its widths, would differ in its last bits.
        """
        self.load([trial for trial in wave if trial.working(target)])
        while working := self._working(wave, target):
            trainers = [_trainer(member) for member in working]
            for trainer in trainers:
                trainer.seat.leave()
            members = Members(trainers)
            watch.stop.place = members.stopping_place
            with closing(members.epochs()) as epochs:
                for records in epochs:
                    self.has_news = True
                    for i, failure in members.failures.items():
                        working[i].failure = str(failure)
                    watch.show(wave, records)
                    if watch.stop.requested:
                        return not self._working(wave, target)
                    watch.save()
                    if self._working(wave, target) != working:
                        break
        if problems := self.save_news():
            raise RunError(f"can't write {'; '.join(dict.fromkeys(problems))}")
        return True

    def load(self, wave: Sequence[Tried]) -> None:
        """Have the trainers of a wave in memory, and no others.

        Those of one kind share a problem, which all trials of the sweep decide, dropped ones too:
        so the same ones train together whenever they are loaded. Raises InputError where a
        checkpoint is not of its trial.
        """
        wanted = [member for trial in wave for member in trial.members]
        for member in {*self.members} - {*wanted}:
            if member.trainer:
                member.unload()
        with warnings_as_notes():
            for member in wanted:
                if not member.trainer:
                    self._make_trainer(member)
        for trial in wave:
            self._claim(trial)

    def _make_trainer(self, member: Member) -> None:
        """Make the trainer of a member, which goes on from its checkpoint."""
        ground = self.grounds.of(member.config)
        if member not in self._problems:
            self._share(ground)
        saved = _checkpoint(member.folder / CHECKPOINT)
        trainer = Trainer(
            ground.resolved(member.config),
            ground.data,
            ground.selection.backend,
            initial=saved.state.params if saved and saved.config.initial else None,
            problem=self._problems[member],
        )
        try:
            if saved:
                trainer.resume(saved)
        except InputError as error:
            raise InputError(f"{member.folder}: {error}") from error
        if len(trainer.history.epochs) != len(member.done):
            raise RunError(f"{member.folder} has lost its checkpoint, so it can't go on")
        member.trainer = trainer

    def _share(self, ground: Ground) -> None:
        """Make the problems of all members on a ground."""
        members = [m for m in self.members if self.grounds.of(m.config) is ground]
        configs = [ground.resolved(member.config) for member in members]
        problems = problems_for(configs, ground.data, ground.selection.backend)
        self._problems |= dict(zip(members, problems, strict=True))

    def _claim(self, trial: Tried) -> None:
        """Make a trial's folders with the config that its steps turned out to have."""
        if trial.directory:
            return
        trainer = _trainer(trial.members[0])
        about = trainer.data.about
        config = decided(trial.config, trainer.problem.decision)
        trial.directory = RunDirectory(trial.path, config, self.lock, about.text() if about else "")
        trial.directory.save_config()

    def save_news(self) -> list[str]:
        """Do what `save` does where something has happened since."""
        return self.save() if self.has_news else []

    def save(self) -> list[str]:
        """Write what going on needs of the members in memory, and the tables as they stand.

        Return what could not be written.
        """
        try:
            self._keep_folder()
        except (OSError, InputError) as error:
            return [f"{self.path}, which had gone away: {error}"]
        loaded = [t for t in self.trials if t.directory and all(m.trainer for m in t.members)]
        directories = [trial.directory for trial in loaded if trial.directory]
        trainers = [_trainer(member) for trial in loaded for member in trial.members]
        problems = save_together(directories, trainers)
        failed = {self._name(m): m.failure for m in self.members if m.failure}
        try:
            if failed != self.plan.failures and not problems:
                self.plan = self.plan._replace(failures=failed)
                self.plan.save(self.path)
            write_results(self.plan, self.trials, self.path)
        except OSError as error:
            problems.append(f"{error.filename or self.path}: {error.strerror}")
        self.has_news = bool(problems)
        return problems

    def _keep_folder(self) -> None:
        """Make the folder anew where it has gone away, and say so."""
        if self.lock.is_held():
            return
        self.path.mkdir(parents=True, exist_ok=True)
        self.lock.take(self.path)
        self.plan.save(self.path)
        warn(
            f"warning: {self.path} had gone away; it was made anew, with the trials that train now "
            "or later"
        )

    def _name(self, member: Member) -> str:
        return member.folder.relative_to(self.path).as_posix()


def _trainer(member: Member) -> Trainer:
    assert isinstance(member.trainer, Trainer)
    return member.trainer


def _checkpoint(path: Path) -> Checkpoint | None:
    return Checkpoint.load(path) if path.is_file() else None


def _unless_damaged(path: Path) -> Checkpoint | None:
    try:
        return _checkpoint(path)
    except InputError:
        return None
