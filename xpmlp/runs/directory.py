"""The folder of a run: what is in it, and how it is kept from being overwritten."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from xpmlp.errors import InputError
from xpmlp.files import write_whole
from xpmlp.training.config import Config
from xpmlp.training.fitting import Run
from xpmlp.training.trainer import Trainer

CONFIG = "config.toml"
CHECKPOINT = "checkpoint.safetensors"
MODEL = "model.safetensors"
SUMMARY = "summary.json"
TABLES = ("history.csv", "steps.csv")


class RunDirectory:
    """config.toml, history.csv, steps.csv, model.safetensors, checkpoint, summary, pictures.

    A run of several seeds has config.toml, summary.json and pictures over all of them, and a
    folder seed-N for each. members: where each net's files go; of a single net, here.
    """

    def __init__(self, path: Path, config: Config) -> None:
        self.path, self.config = path, config
        own = [RunDirectory(path / f"seed-{c.seed}", c) for c in config.members() if config.seeds]
        self.members = own or [self]

    @classmethod
    def create(cls, out: Path | None, config: Config) -> "RunDirectory":
        """Make a new folder, by default runs/DATASET-TIME, and claim it with its config.toml.

        The config reproduces the run. Raises InputError where the folder can't be written, or
        holds a file that a run would write.
        """
        path = out or _unused(Path("runs"), Path(config.dataset).stem)
        try:
            path.mkdir(parents=True, exist_ok=True)
            directory = cls(path, config)
            for place in dict.fromkeys((directory, *directory.members)):
                place._refuse_results()
            with (path / CONFIG).open("x", encoding="utf-8") as file:
                file.write(config.to_toml())
            directory.save_config()
        except OSError as error:
            culprit = error.filename or path
            raise InputError(f"can't write results to {culprit}: {error.strerror}") from error
        return directory

    def _refuse_results(self) -> None:
        """Raise InputError where the folder holds a file that a run would write."""
        for name in (CONFIG, CHECKPOINT, MODEL, SUMMARY, *TABLES):
            if (self.path / name).exists():
                raise InputError(
                    f"{self.path} already holds {name}; choose another --out, or go on with that "
                    f"run: --resume {self.path}"
                )

    def save_config(self) -> None:
        """Write the config, and those of the members; a run that goes on may have another."""
        for place in dict.fromkeys((self, *self.members)):
            place.path.mkdir(exist_ok=True)
            write_whole(place.path / CONFIG, place.config.to_toml())

    def save_checkpoints(self, trainers: Sequence[Trainer]) -> list[str]:
        """Write what `--resume` needs of each member; return what could not be written."""
        problems = []
        for place, trainer in zip(self.members, trainers, strict=True):
            problems += place._attempt(
                {CHECKPOINT: partial(_save_checkpoint, trainer, place.path / CHECKPOINT)}
            )
        return problems

    def save_results(self, run: Run, figures: dict[str, Any]) -> list[str]:
        """Write one net's weights, summary and tables; return what could not be written."""
        return [
            *self._attempt(
                {
                    MODEL: lambda: run.model.save(self.path / MODEL),
                    " and ".join(TABLES): lambda: run.history.write(self.path),
                }
            ),
            *self.save_summary(figures),
        ]

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
        return problems

    def save_pictures(self, runs: Sequence[Run]) -> list[Path]:
        """Draw every picture that applies to the run, or to all its seeds together."""
        from xpmlp.runs.drawing import write_pictures, write_seed_pictures

        if self.config.seeds:
            return write_seed_pictures(runs, self.path)
        return write_pictures(runs[0], self.path)


def find_model(run: Path) -> Path:
    """Return the model file of a run, or `run` itself where that is no folder.

    Raises InputError for a folder without one; of a run with seeds it names their folders.
    """
    if not run.is_dir() or (run / MODEL).is_file():
        return run / MODEL if run.is_dir() else run
    seeds = [str(file.parent) for file in run.glob(f"seed-*/{MODEL}")]
    if not seeds:
        raise InputError(f"{run} holds no {MODEL}; name the folder of a finished run")
    names = sorted(seeds, key=lambda name: (len(name), name))
    shown = ", ".join(names) if len(names) <= 4 else f"{names[0]}, {names[1]}, … {names[-1]}"
    raise InputError(f"{run} holds a net for each of {len(names)} seeds; name one: {shown}")


def _save_checkpoint(trainer: Trainer, path: Path) -> None:
    trainer.checkpoint().save(path)


def _unused(parent: Path, dataset: str) -> Path:
    """Make and return a folder of the current time that no other run has."""
    stamp = f"{dataset}-{datetime.now():%Y%m%d-%H%M%S}"
    for i in count(1):
        path = parent / (stamp if i == 1 else f"{stamp}-{i}")
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise InputError(
                f"can't write results to {path}: {error.strerror}; choose another --out"
            ) from error
        return path
    raise AssertionError("count never ends")
