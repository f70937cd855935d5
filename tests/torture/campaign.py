"""All cases of a campaign, side by side, and what came of them."""

import math
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from tests.torture import (
    cost,
    faults,
    folders,
    full,
    kills,
    long,
    pairs,
    stops,
    surroundings,
)
from tests.torture.shop import Shop
from tests.torture.tale import Tale


@dataclass(frozen=True)
class Kind:
    """A kind of case. many, few: how many of them, in full and quickly. alone: none beside it."""

    run: Callable[[Shop, int], Tale]
    what: str
    many: int
    few: int
    alone: bool = False


KINDS = {
    "kills": Kind(kills.run, "SIGKILL at each file event and at random moments", 10_000, 120),
    "faults": Kind(faults.run, "a call that fails, once or from then on", 6_000, 100),
    "memory": Kind(faults.run_memory, "an allocation that fails, likewise", 1_000, 20),
    "full": Kind(full.run, "a full disk, a small one, a limit on files", 900, 18),
    "folders": Kind(folders.run, "the folder removed, renamed, taken, read-only", 1_500, 24),
    "stops": Kind(stops.run, "signals in each phase, once and again; sleep; no reader", 3_000, 50),
    "pairs": Kind(pairs.run, "two commands on one folder, or on one cache", 1_600, 32),
    "surroundings": Kind(
        surroundings.run,
        "loaded, few and slow processors, limits: the same bits",
        len(surroundings.WAYS),
        2,
        alone=True,
    ),
    "long": Kind(long.run, "10,000 epochs, 20,000 steps: memory", 2, 0, alone=True),
    "cost": Kind(cost.run, "what checkpoints cost", 1, 0, alone=True),
}


@dataclass(frozen=True)
class Outcome:
    """What came of one case."""

    kind: str
    number: int
    seconds: float
    tale: Tale
    kept: str = ""

    @property
    def name(self) -> str:
        return f"{self.kind}:{self.number}"


@dataclass
class Figures:
    """What came of all cases of a kind."""

    cases: int = 0
    broken: int = 0
    seconds: float = 0.0
    skipped: Counter[str] = field(default_factory=Counter)
    noted: Counter[str] = field(default_factory=Counter)
    measured: list[dict[str, float]] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        tale = outcome.tale
        self.seconds += outcome.seconds
        if tale.skipped:
            self.skipped[tale.skipped] += 1
            return
        self.cases += 1
        self.broken += bool(tale.broken)
        self.noted.update(set(tale.noted))
        self.measured += [{"case": outcome.number, **tale.figures}] if tale.figures else []

    def as_dict(self) -> dict[str, Any]:
        counted = {"skipped": dict(self.skipped), "noted": dict(self.noted)}
        return {**vars(self), **counted}


def run_case(shop: Shop, kind: str, number: int) -> Outcome:
    """Run one case; keep its folder where a promise was broken."""
    begun = time.monotonic()
    try:
        tale = KINDS[kind].run(shop, number)
    except Exception as error:  # of the campaign itself, which goes on
        tale = Tale(broken=[f"the campaign's own: {type(error).__name__}: {error}"])
    place = shop.root / "cases" / f"{kind}-{number}"
    if tale.broken and place.is_dir():
        (place / "tale.txt").write_text("\n".join([tale.what, *tale.broken]) + "\n")
    else:
        shutil.rmtree(place, ignore_errors=True)
    kept = str(place) if place.is_dir() else ""
    return Outcome(kind, number, time.monotonic() - begun, tale, kept)


def in_turns(counts: dict[str, int]) -> list[tuple[str, int]]:
    """Return all cases, those of each kind spread evenly, so that any part is a fair sample."""
    every = [
        ((number + 0.5) / count, kind, number)
        for kind, count in counts.items()
        for number in range(count)
    ]
    return [(kind, number) for _, kind, number in sorted(every)]


def run_all(
    shop: Shop, counts: dict[str, int], jobs: int, seconds: float = math.inf
) -> Iterator[Outcome]:
    """Yield outcomes as they come; after so many seconds no further case is begun."""
    end = time.monotonic() + seconds
    together = {kind: count for kind, count in counts.items() if not KINDS[kind].alone}
    alone = {kind: count for kind, count in counts.items() if KINDS[kind].alone}
    for cases, workers in ((in_turns(alone), 1), (in_turns(together), jobs)):
        yield from _side_by_side(shop, cases, workers, end)


def _side_by_side(
    shop: Shop, cases: Sequence[tuple[str, int]], workers: int, end: float
) -> Iterator[Outcome]:
    left = iter(cases)
    with ThreadPoolExecutor(workers) as pool:
        running: set[Future[Outcome]] = set()
        while True:
            if time.monotonic() < end:
                next_ones = islice(left, workers - len(running))
                running |= {pool.submit(run_case, shop, *case) for case in next_ones}
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
