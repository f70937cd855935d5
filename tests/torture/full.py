"""A full file system: a small one in memory, a limit on the size of files, a budget of bytes."""

import errno
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.torture.faults import judge
from tests.torture.setups import NEVER, Setup
from tests.torture.shop import Shop
from tests.torture.tale import Tale

BLOCK = 4096
OF_STDERR = 2000  # bytes, with few warnings: it is a file too


def run(shop: Shop, number: int) -> Tale:
    """Train where the disk becomes full, check how that ends, and go on with room enough."""
    setup, _ = shop.turn(number // len(WAYS))
    return WAYS[number % len(WAYS)](shop, setup, number)


def _budget(shop: Shop, setup: Setup, number: int) -> Tale:
    tale = Tale(setup.name)
    if not shop.library:
        return Tale(skipped=shop.no_library)
    folder, seen = shop.fresh(setup, f"full-{number}"), shop.whole(setup).ended.seen
    room = int(shop.numbers("budget", number).integers(0, seen.written + 1 if seen else 1))
    plan = shop.plan(folder, kinds=("write",), action="budget", at=room, error=errno.ENOSPC)
    ended = shop.run(setup, setup.command(folder), folder, plan=plan)
    tale.adds(f"room for {room} bytes, exit code {ended.code}")
    judge(shop, setup, folder, ended, tale)
    return tale


def _limit(shop: Shop, setup: Setup, number: int) -> Tale:
    folder, tale = shop.fresh(setup, f"full-{number}"), Tale(setup.name)
    sizes = [path.stat().st_size for path in shop.whole(setup).folder.rglob("*") if path.is_file()]
    size = max(OF_STDERR, int(shop.numbers("limit", number).choice(sizes)) // 2 + 1)
    ended = shop.run(
        setup, setup.command(folder), folder, largest_file=size, checkpoint_seconds=NEVER
    )
    tale.adds(f"files of at most {size} bytes, exit code {ended.code}")
    judge(shop, setup, folder, ended, tale)
    return tale


def _small_disk(shop: Shop, setup: Setup, number: int) -> Tale:
    folder, tale = shop.fresh(setup, f"full-{number}"), Tale(setup.name)
    sizes = [path.stat().st_size for path in shop.whole(setup).folder.rglob("*") if path.is_file()]
    needed = sum(-(-size // BLOCK) for size in sizes) + 4
    blocks = int(shop.numbers("disk", number).integers(2, needed))
    with small_disk(folder, blocks) as reason:
        if reason:
            return Tale(skipped=reason)
        ended = shop.run(setup, setup.command(folder), folder)
        tale.adds(f"a disk of {blocks} blocks, exit code {ended.code}")
        grow(folder)
        judge(shop, setup, folder, ended, tale)
    return tale


@contextmanager
def small_disk(folder: Path, blocks: int) -> Iterator[str]:
    """Mount a file system of so many blocks on the folder; yield why that can't be, or ""."""
    kept = folder.with_name("kept")
    folder.mkdir(exist_ok=True)
    shutil.copytree(folder, kept)
    size = f"size={blocks * BLOCK}"
    mounting = ["mount", "-t", "tmpfs", "-o", f"{size},mode=755", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mounting, capture_output=True, text=True)
        failed = done.stderr.strip() if done.returncode else ""
    except OSError as error:
        failed = str(error)
    if failed:
        yield f"no file system can be mounted here ({failed})"
        return
    try:
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        yield ""
    except OSError:
        yield "what the run goes on with does not fit"
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def grow(folder: Path) -> None:
    """Make room on the small disk."""
    remount(folder, "size=64m")


def remount(folder: Path, option: str) -> bool:
    """Change an option of the small disk; tell whether that worked."""
    command = ["mount", "-o", f"remount,{option}", str(folder)]
    return subprocess.run(command, capture_output=True).returncode == 0


WAYS = (_budget, _small_disk, _limit)
