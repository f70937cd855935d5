"""What a step costs where ranks share it: computing, communicating, waiting for the others.

In an all-reduce the last to come waits for nobody: the shortest time of all ranks is that of the
communication, what a rank's own is longer is its waiting.
"""

from typing import Any

import numpy as np


class Costs:
    """Seconds of all steps so far, the means over ranks of computing and waiting.

    bytes: that a rank hands to the all-reduce of a step.
    """

    def __init__(self) -> None:
        self.steps, self.bytes = 0, 0
        self.computing = self.communicating = self.waiting = 0.0

    def add(self, seconds: np.ndarray, reduces: np.ndarray, buffer: int) -> None:
        """Add some steps: all they took on each rank (R,), and each all-reduce (R, S)."""
        shortest = reduces.min(axis=0)
        self.steps, self.bytes = self.steps + reduces.shape[1], buffer
        self.computing += float((seconds - reduces.sum(axis=1)).mean())
        self.communicating += float(shortest.sum())
        self.waiting += float((reduces - shortest).sum(axis=1).mean())

    def figures(self, ranks: int) -> dict[str, Any]:
        """Return the means of a step, in seconds."""
        each = max(1, self.steps)
        return {
            "ranks": ranks,
            "steps": self.steps,
            "computing_seconds_per_step": self.computing / each,
            "communicating_seconds_per_step": self.communicating / each,
            "waiting_seconds_per_step": self.waiting / each,
            "bytes_per_step": self.bytes,
        }


def costs_text(figures: dict[str, Any]) -> str:
    """Return what a step costs, in a line."""
    parts = [
        f"{1e3 * figures[f'{name}_seconds_per_step']:.3g} ms {name}"
        for name in ("computing", "communicating", "waiting")
    ]
    return (
        f"{figures['ranks']} ranks: a step is {', '.join(parts)} "
        f"(means over ranks); {figures['bytes_per_step']:,} bytes in its all-reduce"
    )
