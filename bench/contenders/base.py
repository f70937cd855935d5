"""What every contender is: a way to train a case's net, prepared once and timed by epochs."""

from abc import ABC, abstractmethod
from importlib.metadata import version
from typing import ClassVar

import numpy as np

from bench.cases import Case, Problem
from xpmlp.backends.base import cpu_name, process_peak_memory

MOMENTUM = 0.9
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8

Weights = list[tuple[np.ndarray, np.ndarray]]


class Unavailable(Exception):
    """A contender that can't run on this machine; the text says why."""


class Contender(ABC):
    """One row of the report.

    All compute the same, in float32: mean softmax cross-entropy without a penalty, from the
    given weights, in the given order, with plain SGD, momentum (v ← μv + g, W ← W - ηv) or Adam.
    A single batch of all rows is taken in place, whatever the order.

    name: in the report. package: what the library is installed as. how: the way through an
    epoch, in one line.
    """

    name: ClassVar[str]
    package: ClassVar[str]
    how: ClassVar[str]

    def __init__(self, case: Case, problem: Problem, device: str) -> None:
        """Put rows and weights on the device, `cpu` or `cuda:N`. Raises Unavailable."""
        self.case, self.device = case, device
        self.full_batch = case.batch_size >= len(problem.y)

    @classmethod  # noqa: B027
    def import_library(cls) -> None:
        """Import what the row's module has not imported yet; where that fails, say nothing."""

    @abstractmethod
    def epoch(self, order: np.ndarray) -> None:
        """Train on all rows in this order (N,), a ragged last batch included.

        Returns when the device is done.
        """

    @abstractmethod
    def weights(self) -> Weights:
        """Return W (D, H) and b (H,) of each layer, on the host, float32; [] if it has none."""

    def describe(self) -> dict[str, str]:
        """Return library, version, device, its name, and how an epoch runs."""
        return {
            "library": self.package,
            "version": version(self.package),
            "device": self.device,
            "device_name": self.device_name(),
            "epoch": self.how,
        }

    def device_name(self) -> str:
        """Return the name of the processor or of the GPU."""
        return cpu_name()

    def peak_memory(self) -> int:
        """Return the peak of the memory in use, in bytes: the GPU's, on a CPU the process's."""
        return process_peak_memory()


def batch_sizes(rows: int, batch_size: int) -> list[int]:
    """Return the rows of each batch of an epoch; the last one takes what is left."""
    return [min(batch_size, rows - start) for start in range(0, rows, batch_size)]


def first_line(error: BaseException) -> str:
    """Return an error's first line, or its kind where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
