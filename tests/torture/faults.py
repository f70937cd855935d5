"""Calls that fail: each open, read, write, flush and renaming in turn, in many ways; and memory."""

import errno
import re
import signal
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from tests.torture.results import differences, pictures_in
from tests.torture.setups import Setup
from tests.torture.shop import Shop, Whole
from tests.torture.tale import (
    Tale,
    bring_home,
    epochs_told,
    tells_no_lies,
    wrong_words,
)
from tests.torture.warm import Ended

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
ERRORS = {
    "create": (*FULL, errno.EACCES, errno.EMFILE, errno.EROFS),
    "write": FULL,
    "sync": (errno.EIO, errno.ENOSPC),
    "rename": (errno.ENOSPC, errno.EACCES, errno.EIO),
    "unlink": (errno.EACCES, errno.EIO),
    "mkdir": (errno.ENOSPC, errno.EACCES),
    "look": (errno.EIO, errno.EACCES, errno.EMFILE),
    "read": (errno.EIO,),
}


ABORTS = (-signal.SIGABRT, -signal.SIGSEGV)
ANY = 1 << 30
OTHERWISE = "computed in another way, so digits differ"
REPLAYED = "note: the steps could not be compiled"
WARNED = re.compile(r"^warning: .*could not be (drawn|written)", re.MULTILINE)


@dataclass(frozen=True)
class Fault:
    kind: str
    action: str
    error: int
    lasting: bool


FAULTS = [
    Fault(kind, "fail", error, lasting)
    for kind, errors in ERRORS.items()
    for error, lasting in product(errors, (False, True))
]
FAULTS.append(Fault("write", "short", 0, True))
OF_MEMORY = [Fault("allocate", "fail", errno.ENOMEM, lasting) for lasting in (False, True)]


def run(shop: Shop, number: int) -> Tale:
    """Let one call of a training fail, check how it ends, and go on without faults."""
    return _fail(shop, number, "faults", FAULTS)


def run_memory(shop: Shop, number: int) -> Tale:
    """Let one large allocation of a training fail, or all from then on."""
    return _fail(shop, number, "memory", OF_MEMORY)


def _fail(shop: Shop, number: int, kind: str, faults: list[Fault]) -> Tale:
    if not shop.library:
        return Tale(skipped=shop.no_library)
    setup, turn = shop.turn(number)
    whole, tale = shop.whole(setup), Tale(setup.name)
    cases = [(fault, at) for fault in faults for at in range(1, whole.events((fault.kind,)) + 1)]
    fault, at = cases[shop.numbers(kind, setup.name).permutation(len(cases))[turn % len(cases)]]
    folder = shop.fresh(setup, f"{kind}-{number}")
    plan = shop.plan(
        folder, kinds=(fault.kind,), action=fault.action, at=at, error=fault.error,
        lasting=fault.lasting,
    )  # fmt: skip
    ended = shop.run(setup, setup.command(folder), folder, plan=plan)
    seen = ended.seen
    assert seen
    name = errno.errorcode.get(fault.error, "written in part")
    place = seen.what.replace(str(folder), "…") or f"{fault.kind}, which did not come"
    tale.adds(f"{name} at {place} ({at}){' and after' * fault.lasting}, exit code {ended.code}")
    judge(shop, setup, folder, ended, tale)
    return tale


def judge(shop: Shop, setup: Setup, folder: Path, ended: Ended, tale: Tale) -> None:
    """Check how a training in trouble ended, then go on without: nothing must be lost."""
    whole, told = shop.whole(setup), epochs_told(ended)
    if ended.code in ABORTS and ended.seen and "allocation" in ended.seen.what:
        tale.notes(f"a library ended the process: {ended.err.strip()[-80:] or ended.code}")
    else:
        tale.breaks(*wrong_words(ended))
    if ended.code or not differences(folder, whole.folder):
        tells_no_lies(ended, folder, whole, tale)
    if ended.code == 2 and told:
        tale.breaks(f"exit code 2, 'nothing was trained', after epochs: {ended.err.strip()}")
    if ended.code == 0:
        _is_whole_or_warned(setup, folder, ended, tale, whole)
    if any(line.endswith(OTHERWISE) for line in tale.noted):
        return
    # What could not be written is lost, as a warning or an error has said.
    lost = 1 if ended.code == 0 and "can't write" not in ended.err else ANY
    bring_home(shop, setup, folder, tale, told=max(told, default=0), lost=lost)


def _lacks(lines: list[str]) -> bool:
    return any("differs" not in line or "rows instead" in line for line in lines)


def _is_whole_or_warned(setup: Setup, folder: Path, ended: Ended, tale: Tale, whole: Whole) -> None:
    """Check a run that ended with 0: only pictures may lack, where a warning says so."""
    lines = differences(folder, whole.folder)
    if lines and REPLAYED in ended.err:
        tale.notes(f"replayed, {OTHERWISE}")
    elif ended.seen and "allocation" in ended.seen.what and not _lacks(lines):
        tale.notes(f"a library {OTHERWISE}")
    else:
        tale.breaks(*(f"exit code 0, but {line}" for line in lines[:1]))
    lacks = pictures_in(whole.folder) - pictures_in(folder) if setup.pictures else ()
    if lacks and not WARNED.search(ended.err):
        tale.breaks(f"{', '.join(lacks)} is missing without a word")
