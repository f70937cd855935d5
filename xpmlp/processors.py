"""What of the machine this process may really use: processors, threads, memory."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

ROOT = Path("/")


def usable_processors(root: Path = ROOT) -> int:
    """Return how many processors this process may use, at least 1.

    The least of: the machine's processors, or from Python 3.13 on what PYTHON_CPU_COUNT or
    -X cpu_count say; the affinity mask; and the CPU quotas of the control group and of those above
    it, rounded up. OMP_NUM_THREADS is no matter of processors: see `usual_threads`.

    root: the folder that holds proc/ and sys/.
    """
    counts = [os.cpu_count() or 1, *_quotas(root)]
    if hasattr(os, "sched_getaffinity"):
        counts.append(len(os.sched_getaffinity(0)))
    return min(counts)


def usual_threads(root: Path = ROOT) -> int:
    """Return how many threads to use where nobody says: one per usable processor.

    OMP_NUM_THREADS is an upper bound, as it is for OpenBLAS, MKL and scikit-learn: whoever starts
    several processes side by side sets it so that they don't take each other's processors. Of a
    list, which is for nested loops, the first number counts; other text is ignored.
    """
    wish = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    most = usable_processors(root)
    return min(most, int(wish)) if wish.isdecimal() and int(wish) else most


def free_memory(root: Path = ROOT) -> int:
    """Return how many bytes this process can still take, 0 where the system does not tell.

    The least of what Linux calls available and of what the control groups leave, of which pages
    that only mirror files are given back when needed.

    root: the folder that holds proc/ and sys/.
    """
    lines = dict(_pairs(root / "proc/meminfo"))
    left = [lines[name] * 1024 for name in ("MemAvailable:",) if name in lines]
    for folder in _groups(root):
        limit, used = (_text(folder / f"memory.{name}").strip() for name in ("max", "current"))
        if limit.isdecimal() and used.isdecimal():
            pages = dict(_pairs(folder / "memory.stat")).get("inactive_file", 0)
            left.append(int(limit) - int(used) + pages)
    return max(0, min(left, default=0))


def _pairs(file: Path) -> Iterator[tuple[str, int]]:
    """Yield name and number of each line of a file of the kernel."""
    for line in _text(file).splitlines():
        name, number, *_ = [*line.split(), "", ""]
        if number.isdecimal():
            yield name, int(number)


def _quotas(root: Path) -> Iterator[int]:
    """Yield how many processors each control group around this process has the time of."""
    for folder in _groups(root):
        version_1 = [_text(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period")]
        for words in (_text(folder / "cpu.max").split(), version_1):
            with suppress(ValueError):  # the file is absent, or says "max"
                quota, period = map(int, words)
                if quota > 0 and period > 0:  # -1 is no limit
                    yield -(-quota // period)


def _groups(root: Path) -> Iterator[Path]:
    """Yield the folders of this process's control group and of those above it.

    Some of them may not exist: in a container the path may be one of the host, of which only the
    innermost folder is mounted, as the outermost one.
    """
    mounted = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        inner = PurePosixPath(*(part for part in path.split("/") if part not in ("", "..")))
        for top in _mounts(mounted, controllers):
            yield from (top / group for group in (inner, *inner.parents))


def _mounts(mounted: Path, controllers: str) -> tuple[Path, ...]:
    """Return where a hierarchy may be mounted: that of version 2, or that of the CPU's quota."""
    if not controllers:
        return (mounted,)
    return (mounted / controllers, mounted / "cpu") if "cpu" in controllers.split(",") else ()


def _text(file: Path) -> str:
    """Return what a file of the kernel says, nothing where it is absent."""
    try:
        return file.read_text(errors="surrogateescape")
    except OSError:
        return ""
