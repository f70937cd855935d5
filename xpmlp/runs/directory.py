"""The folder of a run: what is in it, and how it is kept from being overwritten."""

import json
import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from xpmlp.console import warn
from xpmlp.errors import InputError, RunError, is_fault_of_the_machine
from xpmlp.files import clear_partials, flush_folder, write_whole
from xpmlp.runs.lock import FolderInUseError, FolderLock
from xpmlp.training.checkpoint import OLDER
from xpmlp.training.config import Config
from xpmlp.training.finished import FinishedRun
from xpmlp.training.history import EPOCHS, STEPS
from xpmlp.training.journal import Journal
from xpmlp.training.live_tables import LiveTables
from xpmlp.training.options import read_toml
from xpmlp.training.trainer import Trainer

CONFIG = "config.toml"
CHECKPOINT, NEXT = "checkpoint.safetensors", "checkpoint.next.safetensors"
JOURNAL = "checkpoint.history"
MODEL = "model.safetensors"
SUMMARY = "summary.json"
SWEEP = "sweep.json"  # beside the folders of a sweep's trials
ENSEMBLE = "ensemble.json"
TABLES = (EPOCHS, STEPS)
WRITTEN = (CONFIG, CHECKPOINT, NEXT, JOURNAL, MODEL, SUMMARY, ENSEMBLE, *TABLES)


class RunDirectory:
    """config.toml, history.csv, steps.csv, model.safetensors, checkpoint, summary, pictures.

    A run of several seeds has config.toml, summary.json and pictures over all of them, and a
    folder seed-N for each. members: where each net's files go; of a single net, here.
    places: these, and the folder itself. lock: of the folder, needed for writing there.
    assumed: what a table was taken for, which stands as comments in config.toml.
    """

    def __init__(
        self, path: Path, config: Config, lock: FolderLock | None = None, assumed: str = ""
    ) -> None:
        self.config, self.lock, self.assumed = config, lock or FolderLock(), assumed
        self._lay_out(path)

    def _lay_out(self, path: Path) -> None:
        members = self.config.members() if self.config.seeds else []
        own = [
            RunDirectory(path / f"seed-{config.seed}", config, assumed=self.assumed)
            for config in members
        ]
        self.path, self.members, self.places = path, own or [self], [self, *own]
        self.tables: LiveTables | None = None
        self.journal: Journal | None = None

    @classmethod
    def create(
        cls, out: Path | None, config: Config, lock: FolderLock, assumed: str = ""
    ) -> "RunDirectory":
        """Make a new folder, by default runs/DATASET-TIME, and claim it with its config.toml.

        From then on it can be resumed. The config reproduces the run. Raises InputError where
        the folder can't be written, is in use, or holds a file that a run would write; RunError
        where the disk is full or fails. The folder is nobody's then.
        """
        path = out or unused_folder(Path("runs"), Path(config.dataset).stem)
        directory = cls(path, config, lock, assumed)
        try:
            path.mkdir(parents=True, exist_ok=True)
            flush_folder(path.parent)
            lock_run(lock, path)
            for place in directory.places:
                place._refuse_results()
        except OSError as error:
            raise no_place(path, error) from error
        try:
            directory.save_config()
        except OSError as error:
            directory._leave()
            raise no_place(path, error) from error
        return directory

    def _leave(self) -> None:
        """Take away what claims the folder, so that another run can have it."""
        for place in reversed(self.places):
            with suppress(OSError):
                (place.path / CONFIG).unlink(missing_ok=True)
                place.path.rmdir()

    def _refuse_results(self) -> None:
        """Raise InputError where the folder holds a file that a run would write."""
        held = [name for name in WRITTEN if (self.path / name).exists()]
        if not held:
            return
        remedy = "choose another --out"
        if is_run(self.path):
            remedy += f", or go on with that run: --resume {self.path}"
        raise InputError(f"{self.path} already holds {held[0]}; {remedy}")

    def is_there(self) -> bool:
        """Tell whether the folder is still the one that was locked, and whole."""
        return self.lock.is_held() and not self._gone()

    def _gone(self) -> "list[RunDirectory]":
        return [place for place in self.places if not (place.path / CONFIG).is_file()]

    def _keep(self) -> list[str]:
        """Make anew what has gone away of the folder since the last write, and say so.

        Where another run has its place by now, this one goes on beside it. Return what can't be
        written.
        """
        before = self.path
        try:
            if not self.lock.is_held():
                self._settle()
            gone = self._gone()
            for place in gone:
                place.path.mkdir(parents=True, exist_ok=True)
                place._write_config()
        except OSError as error:
            return [f"{error.filename or self.path}: {error.strerror}"]
        if gone and self.path == before:
            warn(
                f"warning: {gone[0].path} had gone away or lost its {CONFIG}; it was made anew, "
                "with what is written from here on"
            )
        return []

    def _settle(self) -> None:
        """Lock the folder again where it is gone or free, else another beside it."""
        for i in count(1):
            path = self.path if i == 1 else Path(f"{self.path}-{i}")
            path.mkdir(parents=True, exist_ok=True)
            with suppress(FolderInUseError):
                lock_run(self.lock, path)
                if _is_config(path / CONFIG, self.config) or not _is_taken(path):
                    break
        if path != self.path:
            warn(f"warning: {self.path} is another run's by now, so this one goes on in {path}")
            self._lay_out(path)

    def save_config(self) -> None:
        """Write the config, and those of the members; a run that goes on may have another.

        What a killed run has left unfinished is cleared away.
        """
        for place in self.places:
            place.path.mkdir(exist_ok=True)
            flush_folder(place.path.parent)
            clear_partials(place.path)
            place._write_config()

    def _write_config(self) -> None:
        comments = "".join(f"# {line}".rstrip() + "\n" for line in self.assumed.splitlines())
        write_whole(self.path / CONFIG, self.config.to_toml() + comments)

    def save_checkpoints(self, trainers: Sequence[Trainer]) -> list[str]:
        """Write what `--resume` needs of each member; return what could not be written."""
        return save_together([self], trainers)

    def _write_next(self, trainer: Trainer, saving: str) -> None:
        """Write a checkpoint under the config of its folder, which names the rows where it can."""
        self.journal = self.journal or Journal(self.path / JOURNAL)
        mark = self.journal.update(trainer.history, trainer.steps_per_epoch)
        standing = replace(trainer.standing(), config=self.config, saving=saving)
        standing.save(self.path / NEXT, mark)

    def take_next(self) -> None:
        """Put the checkpoint that was written last in place of the one before."""
        (self.path / NEXT).replace(self.path / CHECKPOINT)
        flush_folder(self.path)

    def save_tables(self, trainers: Sequence[Trainer]) -> list[str]:
        """Write what is new in the tables of each member, for others to read meanwhile.

        From the first time on the folder is without its mark. Return what could not be written.
        """
        problems = self._keep()
        if not all(place.tables for place in self.members):
            problems += self._take_marks()
        if self.is_marked:
            return problems
        for place, trainer in zip(self.members, trainers, strict=True):
            place.tables = place.tables or LiveTables(place.path)
            update = partial(place.tables.update, trainer.history)
            problems += place._attempt({" and ".join(TABLES): update})
        return problems

    def begin_results(self) -> list[str]:
        """Take every summary.json away: each is the mark that the results beside it are whole.

        Return what could not be done.
        """
        return self._keep() + self._take_marks()

    @property
    def is_marked(self) -> bool:
        """Whether a mark is there, also one that could not be taken away: nothing may change."""
        return any((place.path / SUMMARY).exists() for place in self.places)

    def _take_marks(self) -> list[str]:
        problems = []
        for place in self.places:
            file = place.path / SUMMARY
            problems += place._attempt({SUMMARY: partial(file.unlink, missing_ok=True)})
        return problems

    def save_results(self, run: FinishedRun, figures: dict[str, Any]) -> list[str]:
        """Write one net's weights and tables, and the summary where these could be written.

        Return what could not be.
        """
        problems = self._attempt(
            {
                MODEL: lambda: run.model.save(self.path / MODEL),
                " and ".join(TABLES): lambda: run.history.write(self.path),
            }
        )
        return problems or self.save_summary(figures)

    def save_summary(self, figures: dict[str, Any]) -> list[str]:
        """Write the figures as JSON; return what could not be written."""
        summary = json.dumps(figures, indent=2, allow_nan=False) + "\n"
        return self._attempt({SUMMARY: lambda: write_whole(self.path / SUMMARY, summary)})

    def _attempt(self, saves: dict[str, Callable[[], object]]) -> list[str]:
        """Write each file that can be written; return a line for each that can't."""
        problems = []
        for name, save in saves.items():
            try:
                save()
            except OSError as error:
                problems.append(f"{self.path / name}: {error.strerror}")
            except MemoryError:
                problems.append(f"{self.path / name}: there is not enough memory")
        return problems

    def save_pictures(self, runs: Sequence[FinishedRun]) -> list[Path]:
        """Draw every picture that applies to the run, or to all its seeds together."""
        from xpmlp.runs.drawing import write_pictures, write_seed_pictures

        if self.config.seeds:
            return write_seed_pictures(runs, self.path)
        return write_pictures(runs[0], self.path)


def save_together(runs: Sequence[RunDirectory], trainers: Sequence[Trainer]) -> list[str]:
    """Write the checkpoints of all members of some runs; return what could not be written.

    Each is written beside the one before and read back; once all are there they take its
    place, so that a kill leaves the one before of all or the new one of all.
    """
    problems, saving = [line for run in runs for line in run._keep()], os.urandom(8).hex()
    places = [place for run in runs for place in run.members]
    for place, trainer in zip(places, trainers, strict=True):
        problems += place._attempt({CHECKPOINT: partial(place._write_next, trainer, saving)})
    for place in () if problems else places:
        problems += place._attempt({CHECKPOINT: place.take_next})
    return problems


def find_model(run: Path) -> Path:
    """Return the model file of a run, or `run` itself where that is no folder.

    Raises InputError for a folder without one; of a run with seeds it names their folders.
    """
    if not run.is_dir() or (run / MODEL).is_file():
        return run / MODEL if run.is_dir() else run
    seeds = [str(file.parent) for file in run.glob(f"seed-*/{MODEL}")]
    if not seeds:
        raise unfinished(run, MODEL)
    names = sorted(seeds, key=lambda name: (len(name), name))
    shown = ", ".join(names) if len(names) <= 4 else f"{names[0]}, {names[1]}, … {names[-1]}"
    raise InputError(f"{run} holds a net for each of {len(names)} seeds; name one: {shown}")


def unfinished(path: Path, name: str) -> InputError:
    """Return the error for a folder without one of a run's results; its text says the remedy."""
    if not is_run(path):
        return InputError(f"{path} holds no {name}; name the folder of a finished run")
    return InputError(
        f"{path} holds no {name}, as the run did not come to its end; let it go on to its end: "
        f"xpmlp train --resume {path}"
    )


def require_named_rows(path: Path, config: Config, remedy: str) -> None:
    """Raise InputError where a run's config names no rows, as of arrays in Python."""
    from xpmlp.data.registry import dataset_names, is_path

    name = config.dataset
    if name not in dataset_names() and not is_path(name):
        raise InputError(
            f"{path} was trained on {name!r}, which is neither a known data set nor a file, so its "
            f"rows can't be loaded; {remedy}"
        )


def config_in(path: Path) -> Config:
    """Return the config of a run's folder, of an older xpmlp's too. Raises as `Config.load`."""
    file = path / CONFIG
    return Config.from_dict(OLDER | read_toml(file), str(file)).filled()


def is_run(path: Path) -> bool:
    """Tell whether a folder holds what `--resume` can begin with."""
    return any((path / name).is_file() for name in (CONFIG, CHECKPOINT, NEXT))


def _is_config(path: Path, config: Config) -> bool:
    return path.is_file() and path.read_bytes().startswith(config.to_toml().encode())


def _is_taken(path: Path) -> bool:
    """Tell whether a folder holds a file that a run would write, or a seed's folder."""
    return any((path / name).exists() for name in WRITTEN) or any(path.glob("seed-*"))


def lock_run(lock: FolderLock, path: Path) -> None:
    """Lock the folder of a run, or of a seed or trial of several. Raises as `FolderLock.take`."""
    folder = path.resolve()
    is_seed = re.fullmatch(r"seed-\d+", folder.name) and (folder.parent / CONFIG).is_file()
    is_one_of_several = is_seed or (folder.parent / SWEEP).is_file()
    lock.take(path, folder.parent if is_one_of_several else None)


def no_place(path: Path, error: OSError) -> InputError | RunError:
    """Return the error for a folder that can't be written: whose fault it is decides its kind."""
    text = f"can't write results to {error.filename or path}: {error.strerror}"
    if is_fault_of_the_machine(error):
        return RunError(text)
    return InputError(f"{text}; choose another --out")


def unused_folder(parent: Path, name: str) -> Path:
    """Make and return a folder of a name and the current time that no other run has."""
    stamp = f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
    for i in count(1):
        path = parent / (stamp if i == 1 else f"{stamp}-{i}")
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise no_place(path, error) from error
        return path
    raise AssertionError("count never ends")
