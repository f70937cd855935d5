"""The folder of a run: what is in it, and how it is kept from being overwritten."""

import json
from collections.abc import Callable
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from xpmlp.errors import InputError
from xpmlp.training.config import Config
from xpmlp.training.fitting import Run
from xpmlp.training.trainer import Trainer

CONFIG = "config.toml"
CHECKPOINT = "checkpoint.safetensors"
MODEL = "model.safetensors"
SUMMARY = "summary.json"
TABLES = ("history.csv", "steps.csv")


class RunDirectory:
    """config.toml, history.csv, steps.csv, model.safetensors, checkpoint, summary, pictures."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, out: Path | None, config: Config) -> "RunDirectory":
        """Make a new folder, by default runs/DATASET-TIME, and claim it with its config.toml.

        The config reproduces the run. Raises InputError where the folder can't be written, or
        holds a file that a run would write.
        """
        path = out or _unused(Path("runs"), Path(config.dataset).stem)
        try:
            path.mkdir(parents=True, exist_ok=True)
            for name in (CONFIG, CHECKPOINT, MODEL, SUMMARY, *TABLES):
                if (path / name).exists():
                    raise InputError(
                        f"{path} already holds {name}; choose another --out, or go on with that "
                        f"run: --resume {path}"
                    )
            with (path / CONFIG).open("x", encoding="utf-8") as file:
                file.write(config.to_toml())
        except OSError as error:
            raise InputError(f"can't write results to {path}: {error.strerror}") from error
        return cls(path)

    def save_config(self, config: Config) -> None:
        """Write the config anew, as a run that goes on may have more epochs."""
        (self.path / CONFIG).write_text(config.to_toml(), encoding="utf-8")

    def save_checkpoint(self, trainer: Trainer) -> list[str]:
        """Write what `--resume` needs, in one piece; return what could not be written."""
        return self._attempt(
            {CHECKPOINT: lambda: trainer.checkpoint().save(self.path / CHECKPOINT)}
        )

    def save_results(self, run: Run, figures: dict[str, Any]) -> list[str]:
        """Write weights, summary and tables; return what could not be written."""
        summary = json.dumps(figures, indent=2, allow_nan=False) + "\n"
        return self._attempt(
            {
                MODEL: lambda: run.model.save(self.path / MODEL),
                SUMMARY: lambda: (self.path / SUMMARY).write_text(summary),
                " and ".join(TABLES): lambda: run.history.write(self.path),
            }
        )

    def _attempt(self, saves: dict[str, Callable[[], object]]) -> list[str]:
        """Write each file that can be written; return a line for each that can't."""
        problems = []
        for name, save in saves.items():
            try:
                save()
            except OSError as error:
                problems.append(f"{self.path / name}: {error.strerror}")
        return problems

    def save_pictures(self, run: Run) -> list[Path]:
        """Draw every picture that applies to the run."""
        from xpmlp.reporting.pictures import write_pictures

        return write_pictures(run, self.path)


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
