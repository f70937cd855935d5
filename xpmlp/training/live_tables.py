"""history.csv and steps.csv of a training in progress, for others to read meanwhile."""

from contextlib import ExitStack
from pathlib import Path

from xpmlp.training.history import EPOCHS, STEPS, History


class LiveTables:
    """The two tables of a folder: written whole at first, then by the rows that are new.

    A kill may leave the steps of one epoch more than the epochs, and a line that has no end.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written: int | None = None  # epochs; None where the tables are not this run's

    def update(self, history: History) -> None:
        """Write what is new, and have it read; the tables anew where they are gone.

        Raises OSError, after which the next call writes them anew.
        """
        since, self.written = self.written, None
        there = all((self.folder / name).is_file() for name in (EPOCHS, STEPS))
        if since is None or not there:
            history.write(self.folder)
        else:
            self._append(history, since)
        self.written = len(history.epochs)

    def _append(self, history: History, since: int) -> None:
        """Add the epochs after the first `since`, each to both tables before the next one."""
        with ExitStack() as opened:
            tables = {
                name: opened.enter_context(
                    (self.folder / name).open("a", encoding="utf-8", newline="")
                )
                for name in (STEPS, EPOCHS)
            }
            for epoch in range(since, len(history.epochs)):
                for name, text in history.texts(epoch, epoch + 1).items():
                    tables[name].write(text)
                    tables[name].flush()
