"""The folder of a run: what is in it, and how it is kept from being overwritten."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from xpmlp.errors import InputError
from xpmlp.training.config import Config
from xpmlp.training.trainer import Run, Trainer

CHECKPOINT = "checkpoint.safetensors"
MODEL = "model.safetensors"


class RunDirectory:
    """config.toml, history.csv, steps.csv, model.safetensors, checkpoint, summary, pictures."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, out: str | None, dataset: str) -> "RunDirectory":
        """Make a new folder, by default runs/DATASET-TIME.

        Raises InputError where the folder can't be made or already holds a run.
        """
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
        path = Path(out) if out else _unused(Path("runs") / f"{Path(dataset).stem}-{stamp}")
        if (path / CHECKPOINT).exists() or (path / "summary.json").exists():
            raise InputError(
                f"{path} already holds a run; choose another --out, or go on with --resume {path}"
            )
        try:
            path.mkdir(parents=True, exist_ok=True)
            (path / ".writable").touch()
            (path / ".writable").unlink()
        except OSError as error:
            raise InputError(f"can't write results to {path}: {error.strerror}") from error
        return cls(path)

    def save_config(self, config: Config) -> None:
        """Write the resolved config, which reproduces the run."""
        config.save(self.path / "config.toml")

    def save_checkpoint(self, trainer: Trainer) -> None:
        """Write what `--resume` needs, in one piece."""
        trainer.checkpoint().save(self.path / CHECKPOINT)

    def save_results(self, run: Run, figures: dict[str, Any]) -> None:
        """Write weights, curves as tables, and the summary."""
        run.model.save(self.path / MODEL)
        run.history.write(self.path)
        (self.path / "summary.json").write_text(json.dumps(figures, indent=2) + "\n")

    def save_pictures(self, run: Run) -> list[Path]:
        """Draw every picture that applies to the run."""
        from xpmlp.reporting.pictures import write_pictures

        return write_pictures(run, self.path)


def _unused(path: Path) -> Path:
    candidates = (path, *(path.with_name(f"{path.name}-{i}") for i in range(2, 1000)))
    return next(candidate for candidate in candidates if not candidate.exists())
