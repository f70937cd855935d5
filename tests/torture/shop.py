"""Where a campaign works: its folders, its warm parents, and the whole runs to compare with."""

import shutil
import threading
import zlib
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.torture.plan import CHANGES, KINDS
from tests.torture.setups import SETUPS, Setup, write_table
from tests.torture.warm import Child, Ended, Warm

TRAIN = "xpmlp.train"
SHARE_OF_QUICK = 4


@dataclass(frozen=True)
class Whole:
    """An uninterrupted run: where its results are, and what it took."""

    folder: Path
    before: Path | None
    ended: Ended

    def events(self, kinds: tuple[str, ...] = CHANGES) -> int:
        return self.ended.seen.of(kinds) if self.ended.seen else 0


class Shop:
    """The shared parts of a campaign. library: the preloaded one, or None with `no_library`.

    module: the command that is tortured.
    """

    def __init__(
        self,
        root: Path,
        library: Path | None,
        no_library: str,
        seed: int,
        backends: tuple[str, ...] = ("numpy",),
        module: str = TRAIN,
        setups: tuple[Setup, ...] = (),
    ) -> None:
        self.root, self.library, self.no_library = root, library, no_library
        self.seed, self.backends, self.module = seed, backends, module
        self.environment: dict[str, str] = {}
        self.table = root / "table.csv"
        write_table(self.table)
        every = setups or tuple(s for s in SETUPS if s.backend in backends)
        self.setups = tuple(self._with_table(setup) for setup in every)
        self._wholes: dict[str, Whole] = {}
        self._warm: dict[str, Warm] = {}
        self._all_locks = threading.Lock()
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def _with_table(self, setup: Setup) -> Setup:
        flags = (flag.replace("{table}", str(self.table)) for flag in setup.flags)
        return replace(setup, flags=tuple(flags))

    def numbers(self, *key: Any) -> np.random.Generator:
        """Return a generator that follows from the campaign's seed and from this key."""
        return np.random.default_rng([self.seed, zlib.crc32(repr(key).encode())])

    def lock(self, name: str) -> threading.Lock:
        """Return the lock of something that is made once."""
        with self._all_locks:
            return self._locks[name]

    def whole(self, setup: Setup) -> Whole:
        """Return the uninterrupted run; made on first use."""
        with self.lock(setup.name):
            if setup.name not in self._wholes:
                self._wholes[setup.name] = self._make_whole(setup)
            return self._wholes[setup.name]

    def warm(self, backend: str) -> Warm:
        """Return the warm parent that has imported all that a training with this backend needs."""
        with self.lock(f"warm {backend}"):
            if backend not in self._warm:
                self._warm[backend] = made = Warm(
                    self.library, self.root / "cache", self.root / backend
                )
                made.import_all(self._warming(backend), here=backend == "numpy")
            return self._warm[backend]

    def _warming(self, backend: str) -> list[str]:
        """Return a training after which all is imported; one that leaves no threads behind."""
        training = next(s for s in self.setups if s.backend == backend)
        replayed = ["--compile", "never"] if backend == "numpy" else []
        plots = [] if any(s.pictures for s in self.setups) else ["--no-plots"]
        return [*training.options(1), *replayed, *plots, "--out", "first"]

    def plan(self, folder: Path, **fields: Any) -> dict[str, Any] | None:
        return {"folder": str(folder), **fields} if self.library else None

    def start(self, setup: Setup, argv: list[str], folder: Path, **options: Any) -> Child:
        options.setdefault("module", self.module)
        options.setdefault("checkpoint_seconds", setup.checkpoint_seconds)
        options["environment"] = {**self.environment, **(options.get("environment") or {})}
        return self.warm(setup.backend).start(options.pop("module"), argv, folder.parent, **options)

    def run(self, setup: Setup, argv: list[str], folder: Path, **options: Any) -> Ended:
        return self.start(setup, argv, folder, **options).wait()

    def _make_whole(self, setup: Setup) -> Whole:
        place = self.root / "whole" / setup.name
        place.mkdir(parents=True)
        folder, before = place / "run", place / "before"
        if setup.resumes:
            self._succeed(setup, setup.begin(before), before)
            shutil.copytree(before, folder)
        plan = self.plan(folder, kinds=KINDS)
        ended = self._succeed(setup, setup.command(folder), folder, plan=plan)
        return Whole(folder, before if setup.resumes else None, ended)

    def _succeed(self, setup: Setup, argv: list[str], folder: Path, **options: Any) -> Ended:
        ended = self.run(setup, argv, folder, module=TRAIN, **options)
        if ended.code:
            raise RuntimeError(f"{setup.name} doesn't train: {ended.err or ended.code}")
        return ended

    def turn(self, number: int) -> tuple[Setup, int]:
        """Return the training of a case, and which of its cases that is.

        Those that draw pictures or use other libraries are slow, and take their turn less often.
        """
        quick = [s for s in self.setups if s.backend == "numpy" and not s.pictures]
        slow = [s for s in self.setups if s not in quick]
        rotation = quick * SHARE_OF_QUICK + slow
        setup, rounds = rotation[number % len(rotation)], number // len(rotation)
        if setup in slow:
            return setup, rounds
        return setup, rounds * SHARE_OF_QUICK + number % len(rotation) // len(quick)

    def fresh(self, setup: Setup, case: str) -> Path:
        """Return the folder in which a case trains; a copy of the run that it goes on with."""
        place = self.root / "cases" / case
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        before = self.whole(setup).before
        if before:
            shutil.copytree(before, place / "run")
        return place / "run"

    def close(self) -> None:
        for warm in self._warm.values():
            warm.close()
