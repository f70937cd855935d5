"""Runs a reader on one input after another, and tells what is a find."""

import random
import sys
import time
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.memory import resident
from tests.torture.fuzz.formats import Format
from tests.torture.fuzz.samples import shared

LONGEST = 2.0  # seconds of the processor
MEMORY = 64 << 20
SPARE = 8 << 20  # to within which growth is known
TIMES_UNPACKED = 10
DEEPEST = 8  # changes on top of each other
KEPT = 500


@dataclass
class Trial:
    """A reader that is tried; finds: a line and the input for each that is of another kind."""

    kind: Format
    folder: Path
    on_find: Callable[[str, bytes], object] = lambda line, data: None
    runs: int = 0
    answered: int = 0
    warm: bool = False
    before: int = 0  # bytes in use, lately
    finds: dict[str, bytes] = field(default_factory=dict)

    def run(self, data: bytes) -> bool:
        """Read one input; tell whether the reader took it."""
        from xpmlp.errors import XpmlpError

        self.runs += 1
        self.kind.put(self.folder, data)
        began, taken = time.process_time(), False
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", UserWarning)
            try:
                self.kind.read(self.folder)
                taken = True
            except XpmlpError as error:
                if "\n" in str(error):
                    self._find("more than one line: " + repr(str(error))[:200], data)
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                self._find(_where(error), data)
        self.answered += taken
        if self.warm:
            self._weigh(data, time.process_time() - began)
        return taken

    def warm_up(self) -> list[bytes]:
        """Read the samples, at which libraries are loaded, and return them."""
        samples = self.kind.samples()
        for data in samples:
            self.run(data)
        self.warm = True
        self._forget_peak()
        return samples

    def _weigh(self, data: bytes, seconds: float) -> None:
        if seconds > LONGEST:
            self._find(f"more than {LONGEST:g} seconds", data)
        grown = peak() - self.before
        if grown > MEMORY and grown > MEMORY + TIMES_UNPACKED * self.kind.unpacked(data):
            self._find(f"{2 ** (grown >> 20).bit_length() // 2} MB or more", data)
        if grown > SPARE:
            self._forget_peak()

    def _forget_peak(self) -> None:
        forget_peak()
        self.before = resident()

    def _find(self, line: str, data: bytes) -> None:
        if line not in self.finds:
            self.finds[line] = data
            self.on_find(line, data)


def _where(error: BaseException) -> str:
    """Return an error and the last place of ours that it came from."""
    places = traceback.extract_tb(error.__traceback__)
    ours = [place for place in places if "/xpmlp/" in place.filename] or places
    place = ours[-1]
    return f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno} {place.name}"


def peak() -> int:
    """Return the most bytes since the start, or `forget_peak`, 0 where the system doesn't tell."""
    if sys.platform != "linux":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def forget_peak() -> None:
    """Let `peak` begin anew, on Linux."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def blind(kind: Format, folder: Path, runs: int, seed: int = 0) -> Trial:
    """Try the samples, and so many random changes of them and of what the reader took of these."""
    trial = Trial(kind, folder)
    deque(islice(inputs(kind, trial, seed), runs), maxlen=0)
    return trial


def inputs(kind: Format, trial: Trial, seed: int) -> Iterator[None]:
    """Try the samples, then without end changes of what was taken; yield after each."""
    rng, known = random.Random(seed), trial.warm_up()
    while True:
        data = rng.choice(known)
        for _ in range(rng.randint(1, DEEPEST) if rng.random() < 0.3 else 1):
            data = kind.mutate(data, rng)
        if trial.run(data) and len(data) < 1 << 16:
            known.append(data)
            del known[: max(0, len(known) - KEPT)]
        yield


def in_new_folder(use: Callable[[Path], Trial]) -> Trial:
    """Call with a folder that is taken away afterwards."""
    with TemporaryDirectory(dir=shared()) as name:
        return use(Path(name))
