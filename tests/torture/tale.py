"""What a case did and which promises it found broken."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from tests.torture import results
from tests.torture.setups import Setup
from tests.torture.shop import Shop, Whole
from tests.torture.warm import Ended

PROGRAM = "xpmlp train: "
EARLY = "xpmlp: interrupted"  # before the command has begun
NOTES = ("note: ", "warning: ")
ANSWERS = (
    "stopping after this epoch",
    "stopping within this epoch",
    "stopping as soon as",
    "saving, which is not cut short",
)
EPOCH = re.compile(r"^epoch (\d+)/", re.MULTILINE)
NOTHING_THERE = "holds no run to resume"
MOVE_AWAY = re.compile(r"(\S+) holds (\S+) but no .*; move it away to start anew")


@dataclass
class Tale:
    """The steps of a case in words, and a line for each promise that was broken.

    noted: what is no broken promise, and yet worth a line. skipped: why it could not be tried.
    """

    what: str = ""
    broken: list[str] = field(default_factory=list)
    noted: list[str] = field(default_factory=list)
    skipped: str = ""
    figures: dict[str, float] = field(default_factory=dict)

    def adds(self, step: str) -> None:
        self.what += f"; {step}" if self.what else step

    def notes(self, line: str) -> None:
        self.noted.append(line)

    def breaks(self, *lines: str) -> None:
        self.broken += lines


def epochs_told(ended: Ended) -> list[int]:
    return [int(number) for number in EPOCH.findall(ended.out)]


def wrong_words(ended: Ended, program: str = PROGRAM) -> list[str]:
    """Return what is wrong with the way in which a command ended: its code, its words."""
    if ended.hung:
        return ["it hung"]
    lines = [line for line in ended.err.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith((program, EARLY))]
    others = [line for line in lines if not line.startswith((*NOTES, *ANSWERS, program, EARLY))]
    wrong = []
    if "Traceback" in ended.err:
        wrong.append(f"a traceback, ending with {lines[-1]!r}")
    elif others:
        wrong.append(f"stderr has {others[0]!r}")
    if ended.code in (1, 2) and len(errors) != 1:
        wrong.append(f"exit code {ended.code} with {len(errors)} error lines: {errors}")
    if ended.code == 0 and errors:
        wrong.append(f"exit code 0 with {errors[0]!r}")
    if ended.code == 130 and not errors:
        wrong.append("exit code 130 without a word")
    if ended.code not in (0, 1, 2, 130):
        wrong.append(f"exit code {ended.code}")
    return wrong


def tells_no_lies(ended: Ended, folder: Path, whole: Whole, tale: Tale) -> None:
    """Check what a command that was killed or failed leaves: what was announced is there."""
    wholes = [place for place in (whole.folder, whole.before) if place]
    tale.breaks(*results.misleads(folder, *wholes))
    if re.search(r"^results in ", ended.out, re.MULTILINE):
        for line in results.wrong_results(folder, whole.folder):
            tale.breaks(f"stdout says 'results in', but {line}")


def bring_home(
    shop: Shop,
    setup: Setup,
    folder: Path,
    tale: Tale,
    *,
    told: int = 0,
    lost: int = 1,
    environment: dict[str, str] | None = None,
) -> Ended:
    """Go on with what is left, and compare it with the whole run.

    told: the last epoch that stdout had. lost: how many of these may have to be done again.
    """
    whole = shop.whole(setup)
    ended = shop.run(setup, setup.going_on(folder), folder, environment=environment)
    while ended.code == 2 and (found := MOVE_AWAY.search(ended.err)):
        tale.adds(f"{found[2]} moved away, as told")
        Path(found[1], found[2]).unlink()
        ended = shop.run(setup, setup.going_on(folder), folder, environment=environment)
    if ended.code == 2 and NOTHING_THERE in ended.err and not setup.resumes:
        if told > lost:
            tale.breaks(f"epoch {told} was told, and there is no run to resume")
        tale.breaks(*wrong_words(ended))
        ended = shop.run(setup, setup.command(folder), folder, environment=environment)
        tale.adds("a new run")
    else:
        tale.adds("resumed")
    wrong = wrong_words(ended)
    if ended.code:
        wrong = wrong or [ended.err.strip()]
        tale.breaks(*(f"then exit code {ended.code}: {line}" for line in wrong))
        return ended
    tale.breaks(*(f"then {line}" for line in wrong))
    compare(setup, folder, whole, tale)
    if setup.checkpoint_seconds == 0 and (again := epochs_told(ended)) and again[0] <= told - lost:
        tale.breaks(f"epoch {told} was told, but it went on at epoch {again[0]}")
    return ended


def compare(setup: Setup, folder: Path, whole: Whole, tale: Tale) -> None:
    """Check that a run that ended well has all that the whole run has, and nothing unfinished."""
    lines = results.differences(folder, whole.folder)
    more = f", and {len(lines) - 1} more" if len(lines) > 1 else ""
    tale.breaks(*(line + more for line in lines[:1]), *results.left_behind(folder))
    if setup.pictures:
        missing = results.pictures_in(whole.folder) - results.pictures_in(folder)
        tale.breaks(*(f"{name} is missing" for name in sorted(missing)))
