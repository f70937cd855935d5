"""Callbacks that write down a training as it goes: as tables, and for TensorBoard."""

from pathlib import Path
from typing import Any

from xpmlp.backends.registry import pip_install
from xpmlp.errors import InputError
from xpmlp.training.callbacks import Callback, Steps
from xpmlp.training.history import EPOCHS, STEPS, EpochRecord
from xpmlp.training.live_tables import LiveTables
from xpmlp.training.trainer import Trainer


class FolderLog(Callback):
    """What writes into a folder of its own for each net that it is told of."""

    written = "*"

    def __init__(self, directory: str | Path) -> None:
        self.directory, self.nets = Path(directory).expanduser(), 0

    def next_folder(self) -> Path:
        """Make and return the folder of the next net: NAME, then NAME-2, NAME-3, …

        Raises InputError where it can't be made, or holds such a log already.
        """
        self.nets += 1
        name = self.directory.name
        folder = self.directory.with_name(name if self.nets == 1 else f"{name}-{self.nets}")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"can't make the folder {folder}: {error.strerror}") from error
        if held := sorted(path for glob in self.written.split() for path in folder.glob(glob)):
            raise InputError(f"{folder} already holds {held[0].name}; choose another folder")
        return folder


class CSVLog(FolderLog):
    """Writes history.csv and steps.csv of a run's folder after each epoch, for `tail -f`.

    directory: where; of several nets, as in `fit_many`, the second gets DIRECTORY-2 and so on. A
    folder that holds such tables is an InputError when training begins.
    """

    written = f"{EPOCHS} {STEPS}"

    def __init__(self, directory: str | Path) -> None:
        super().__init__(directory)
        self._tables: dict[int, LiveTables] = {}

    def before_training(self, trainer: Trainer) -> None:
        """Write what there is, the names of the columns at least."""
        self._tables[id(trainer)] = LiveTables(self.next_folder())
        self._tables[id(trainer)].update(trainer.history)

    def after_epoch(self, trainer: Trainer, record: EpochRecord) -> None:  # noqa: ARG002
        """Write what is new."""
        self._tables[id(trainer)].update(trainer.history)

    def after_training(self, trainer: Trainer) -> None:
        """Write all of it in one piece, with the steps of an epoch that failed."""
        trainer.history.write(self._tables.pop(id(trainer)).folder)


class TensorBoardLog(FolderLog):
    """Writes losses, accuracies and the learning rate of each epoch for TensorBoard.

    directory: where; of several nets, as in `fit_many`, the second gets DIRECTORY-2 and so on. A
    folder that holds such a log is an InputError when training begins.
    every: after how many steps the figures of one are written too; None: never.
    Raises InputError where the package `tensorboard` can't be imported.
    """

    written = "events.out.tfevents.*"

    def __init__(self, directory: str | Path, every: int | None = None) -> None:
        super().__init__(directory)
        self.every = every
        self._writers: dict[int, Any] = {}
        try:
            from tensorboard.summary import Writer
        except ImportError as error:
            raise InputError(
                f"TensorBoardLog needs the package tensorboard ({error}); install it with: "
                f"{pip_install('tensorboard')}"
            ) from error
        self._writer = Writer

    def before_training(self, trainer: Trainer) -> None:
        """Open the log of a net."""
        self._writers[id(trainer)] = self._writer(str(self.next_folder()))

    def after_steps(self, steps: Steps) -> None:
        """Write the figures of a step, over the number of the step."""
        self._write(steps.trainer, steps.step, {f"step/{k}": v for k, v in steps.metrics.items()})

    def after_epoch(self, trainer: Trainer, record: EpochRecord) -> None:
        """Write the figures of an epoch, over its number."""
        figures: dict[str, float | None] = {"epoch/learning_rate": record.learning_rate}
        for kind in ("loss", "accuracy"):
            for part in ("train", "validation"):
                figures[f"epoch_{kind}/{part}"] = getattr(record, f"{part}_{kind}")
        self._write(trainer, record.epoch, figures)

    def after_training(self, trainer: Trainer) -> None:
        """Close the log of a net."""
        self._writers.pop(id(trainer)).close()

    def _write(self, trainer: Trainer, number: int, figures: "dict[str, Any]") -> None:
        writer = self._writers[id(trainer)]
        for name, figure in figures.items():
            if figure is not None:
                writer.add_scalar(name, figure, number)
        writer.flush()
