"""How a recipe in progress is shown: a bar on a terminal, plain lines elsewhere, or nothing."""

import sys
from typing import Any, Protocol, TextIO

from xpmlp.console import show


class Progress(Protocol):
    """Shows the stages of a recipe, and the epochs of its trainings."""

    def begin(self, stage: str, size: str = "") -> None:
        """Show that a stage begins, and how large it is."""

    def advance(self, epochs: int) -> None:
        """Show that some nets ended an epoch."""

    def close(self) -> None:
        """Take the bar away, or do nothing."""


class Bar:
    """A tqdm bar on stderr over the epochs of all trainings of a recipe."""

    def __init__(self, recipe: str, epochs: int) -> None:
        from tqdm import tqdm

        self.bar: Any = tqdm(total=epochs, desc=recipe, unit="epoch", leave=False)

    def begin(self, stage: str, size: str = "") -> None:  # noqa: ARG002
        """Write the stage beside the bar."""
        self.bar.set_postfix_str(stage)

    def advance(self, epochs: int) -> None:
        """Move the bar."""
        self.bar.update(epochs)

    def close(self) -> None:
        """Take the bar away."""
        self.bar.close()


class Lines:
    """A line per stage."""

    def __init__(self, recipe: str, stream: TextIO) -> None:
        self.recipe, self.stream = recipe, stream

    def begin(self, stage: str, size: str = "") -> None:
        """Print the stage and its size."""
        show(": ".join(filter(None, (self.recipe, stage, size))), self.stream)

    def advance(self, epochs: int) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class Silence:
    """Shows nothing."""

    def begin(self, stage: str, size: str = "") -> None:
        """Do nothing."""

    def advance(self, epochs: int) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def make_progress(recipe: str, epochs: int, *, quiet: bool, stream: TextIO) -> Progress:
    """Return the bar where stderr is a terminal, else lines on the stream, or silence."""
    if quiet:
        return Silence()
    return Bar(recipe, epochs) if sys.stderr.isatty() else Lines(recipe, stream)
