"""A table of contenders that train nothing, for tests of what surrounds them."""

import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.contenders.base import Unavailable

LAST_WORDS = "a library's last words"
TROUBLE = 3
IMPORT = 0.2
HANG = 600.0


class Fake:
    """Returns the initial weights, and tells what it was given."""

    def __init__(self, case, problem, device):
        self.case, self.problem, self.device = case, problem, device
        self.epochs = 0

    @classmethod
    def import_library(cls):
        pass

    def epoch(self, order):
        assert sorted(order) == list(range(self.case.rows))
        self.epochs += 1

    def weights(self):
        return [(layer.W, layer.b) for layer in self.problem.initial]

    def describe(self):
        threads = os.environ.get("OMP_NUM_THREADS")
        return {"device_name": f"a {self.device}", "threads": threads, "epochs": str(self.epochs)}

    def peak_memory(self):
        return 2**20


class Floor(Fake):
    def weights(self):
        return []


class Elsewhere(Fake):
    def weights(self):
        return [(W + np.float32(0.1), b) for W, b in super().weights()]


class Absent(Fake):
    def __init__(self, case, problem, device):
        raise Unavailable("no such library;\ninstall it")


class Breaks(Fake):
    def epoch(self, order):
        super().epoch(order)
        if self.epochs == TROUBLE:
            raise ValueError("a bad\nepoch")


class Dies(Fake):
    def epoch(self, order):
        super().epoch(order)
        if self.epochs == TROUBLE:
            print(LAST_WORDS, file=sys.stderr, flush=True)
            os._exit(7)


class Prints(Fake):
    def epoch(self, order):
        super().epoch(order)
        print("a line that is no answer", flush=True)


class SaysTf32(Fake):
    def describe(self):
        return {**super().describe(), "tf32": os.environ.get("NVIDIA_TF32_OVERRIDE", "as found")}


class SlowToImport(Fake):
    @classmethod
    def import_library(cls):
        """Wait until another process imports too, and a little longer."""
        folder, begun = Path(os.environ["XPMLP_DATA_DIR"]), time.monotonic()
        (folder / f"importing-{os.getpid()}").touch()
        while len(list(folder.glob("importing-*"))) < 2:
            assert time.monotonic() - begun < HANG, "nobody imports at the same time"
            time.sleep(0.01)
        time.sleep(IMPORT)


class NotInstalled(Fake):
    @classmethod
    def import_library(cls):
        raise Unavailable("not here;\ninstall it")


class Entry(NamedTuple):
    made: type
    devices: tuple[str, ...] = ("cpu",)
    flag: str = ""

    def load(self, device):
        self.made.import_library()
        return self.made

    def __call__(self, case, problem, device):
        return self.made(case, problem, device)


CONTENDERS = {
    "xpmlp fake": Entry(Fake, ("cpu", "cuda")),
    "peer": Entry(Prints),
    "elsewhere": Entry(Elsewhere),
    "absent": Entry(Absent),
    "breaks": Entry(Breaks),
    "dies": Entry(Dies),
    "on a GPU": Entry(Fake, ("cuda",)),
    "floor": Entry(Floor),
    "slow to import": Entry(SlowToImport),
    "slow as well": Entry(SlowToImport),
    "not installed": Entry(NotInstalled),
    "peer tf32": Entry(SaysTf32, flag="tf32"),
    "peer full": Entry(SaysTf32, flag="variants"),
}
