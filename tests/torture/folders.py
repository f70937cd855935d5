"""The folder of a run goes away while it trains: removed, renamed, taken, made read-only."""

import os
import shutil
import signal
from pathlib import Path

from tests.torture.faults import judge
from tests.torture.full import remount, small_disk
from tests.torture.plan import KINDS
from tests.torture.results import differences, misleads
from tests.torture.setups import Setup
from tests.torture.shop import Shop
from tests.torture.tale import Tale, wrong_words
from tests.torture.warm import Child, Ended

MANY_BLOCKS = 1 << 14


def run(shop: Shop, number: int) -> Tale:
    """Stop a training at a file event, do something to its folder, and let it go on."""
    if not shop.library:
        return Tale(skipped=shop.no_library)
    setup, _ = shop.turn(number // len(WAYS))
    folder, tale = shop.fresh(setup, f"folders-{number}"), Tale(setup.name)
    return WAYS[number % len(WAYS)](shop, setup, folder, tale, number)


def _stopped(shop: Shop, setup: Setup, folder: Path, tale: Tale, number: int) -> Child:
    events = shop.whole(setup).events(KINDS[:-1])
    at = int(shop.numbers("folders", number).integers(1, events + 1))
    plan = shop.plan(folder, kinds=KINDS[:-1], action="stop", at=at)
    child = shop.start(setup, setup.command(folder), folder, plan=plan)
    child.until_stopped()
    seen = child.seen()
    tale.adds(f"at event {at} ({seen.what.replace(str(folder), '…') if seen else ''})")
    return child


def _goes_on(child: Child) -> Ended:
    child.send(signal.SIGCONT)
    return child.wait()


def _removed(shop: Shop, setup: Setup, folder: Path, tale: Tale, number: int) -> Tale:
    child = _stopped(shop, setup, folder, tale, number)
    was_done = _is_done(shop, setup, folder)
    shutil.rmtree(folder, ignore_errors=True)
    ended = _goes_on(child)
    return tale if was_done else _judge(shop, setup, folder, ended, tale, "the folder was removed")


def _renamed(shop: Shop, setup: Setup, folder: Path, tale: Tale, number: int) -> Tale:
    child = _stopped(shop, setup, folder, tale, number)
    was_done = _is_done(shop, setup, folder)
    if folder.exists():
        folder.rename(folder.with_name("elsewhere"))
    ended = _goes_on(child)
    return tale if was_done else _judge(shop, setup, folder, ended, tale, "the folder was renamed")


def _is_done(shop: Shop, setup: Setup, folder: Path) -> bool:
    """Tell whether all results are there already: who takes them away then, has them."""
    return not differences(folder, shop.whole(setup).folder)


def _replaced(shop: Shop, setup: Setup, folder: Path, tale: Tale, number: int) -> Tale:
    """Another finished run has its place; that one is written to only within one saving.

    Between a check of the folder and the writes that follow it lie milliseconds, in which this
    process is stopped here and nowhere else.
    """
    others = shop.whole(next(s for s in shop.setups if s.backend == setup.backend)).folder
    if setup.name == others.parent.name:
        return Tale(f"{setup.name} (its like in its place is no other run)")
    child = _stopped(shop, setup, folder, tale, number)
    moved, was_done = folder.with_name("elsewhere"), _is_done(shop, setup, folder)
    had_it = folder.exists()
    if had_it:
        folder.rename(moved)
        shutil.copytree(others, folder)
    ended = _goes_on(child)
    tale.adds(f"another run has its place, exit code {ended.code}")
    tale.breaks(*wrong_words(ended))
    if had_it and differences(folder, others):
        tale.notes("replaced within one saving, so the other run was written to")
    elif ended.code == 0 and not was_done and had_it:
        beside = folder.with_name("run-2")
        tale.breaks(*(f"run-2: {line}" for line in differences(beside, shop.whole(setup).folder)))
    return tale


def _taken(shop: Shop, setup: Setup, folder: Path, tale: Tale, number: int) -> Tale:
    """Another run trains in its place, whose lock it has; both come to their ends.

    As above, what another run has there is written to within one saving alone.
    """
    other = next(s for s in shop.setups if s.backend == "numpy" and s.name != setup.name)
    child = _stopped(shop, setup, folder, tale, number)
    was_done, had_it = _is_done(shop, setup, folder), folder.exists()
    if not had_it:
        return _judge(shop, setup, folder, _goes_on(child), tale, "it had not begun")
    folder.rename(folder.with_name("elsewhere"))
    before = shop.whole(other).before
    if before:
        shutil.copytree(before, folder)
    at = int(shop.numbers("taken", number).integers(1, shop.whole(other).events(KINDS[:-1]) + 1))
    plan = shop.plan(folder, kinds=KINDS[:-1], action="stop", at=at)
    second = shop.start(other, other.command(folder), folder, plan=plan)
    second.until_stopped()
    there = _contents(folder)
    ended = _goes_on(child)
    was_written_to = _contents(folder) != there
    theirs = _goes_on(second)
    tale.adds(f"{other.name}, at its event {at}, has its place, exit code {ended.code}")
    tale.breaks(*wrong_words(ended), *(f"the other: {line}" for line in wrong_words(theirs)))
    if was_written_to:
        tale.notes("taken before it was locked, or within one saving, so both wrote there")
        return tale
    tale.breaks(*(f"the other: {line}" for line in differences(folder, shop.whole(other).folder)))
    if ended.code == 0 and not was_done:
        beside = folder.with_name("run-2")
        tale.breaks(*(f"run-2: {line}" for line in differences(beside, shop.whole(setup).folder)))
    return tale


def _contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _a_file(shop: Shop, setup: Setup, folder: Path, tale: Tale, number: int) -> Tale:
    """A file has the place of the folder, so nothing can be written."""
    child = _stopped(shop, setup, folder, tale, number)
    moved = folder.with_name("elsewhere")
    if folder.exists():
        folder.rename(moved)
        folder.write_text("")
    ended = _goes_on(child)
    if folder.is_file():
        folder.unlink()
        moved.rename(folder)
    return _judge(shop, setup, folder, ended, tale, "a file had its place")


def _read_only(shop: Shop, setup: Setup, folder: Path, tale: Tale, number: int) -> Tale:
    if os.geteuid() == 0:
        return _mounted_read_only(shop, setup, folder, tale, number)
    child = _stopped(shop, setup, folder, tale, number)
    places = [place for place in (folder, *folder.glob("seed-*")) if place.exists()]
    for place in places:
        place.chmod(0o500)
    ended = _goes_on(child)
    for place in places:
        place.chmod(0o700)
    return _judge(shop, setup, folder, ended, tale, "the folder was read-only")


def _mounted_read_only(shop: Shop, setup: Setup, folder: Path, tale: Tale, number: int) -> Tale:
    """Root may write in a read-only folder, but not on a read-only file system."""
    with small_disk(folder, MANY_BLOCKS) as reason:
        if reason:
            return Tale(skipped=reason)
        child = _stopped(shop, setup, folder, tale, number)
        done = remount(folder, "ro")
        ended = _goes_on(child)
        if done:
            remount(folder, "rw")
        what = "the file system became read-only" if done else "a file was open, so nothing"
        return _judge(shop, setup, folder, ended, tale, what)


def _judge(shop: Shop, setup: Setup, folder: Path, ended: Ended, tale: Tale, what: str) -> Tale:
    tale.adds(f"{what}, exit code {ended.code}")
    if setup.resumes and not folder.is_dir():
        tale.breaks(*wrong_words(ended))  # nothing is left of what it goes on with
        return tale
    judge(shop, setup, folder, ended, tale)
    tale.breaks(*misleads(folder, shop.whole(setup).folder))
    return tale


WAYS = (_removed, _renamed, _replaced, _taken, _a_file, _read_only)
