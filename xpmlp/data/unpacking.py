"""How much a file may hold beyond its own size: what is checked before memory is taken for it."""

import math
from pathlib import Path

from xpmlp.errors import InputError

USUAL_GIB = 2.0
TIMES = 20  # packed tables and images unpack to 3 to 10 times their size, those of zeros to 1000

_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def most_bytes(path: str | Path, gib: float = USUAL_GIB) -> int:
    """Return what a file may unpack to: so many GiB, or 20 times its size where that is more."""
    return max(int(gib * (1 << 30)), TIMES * Path(path).stat().st_size)


def require_justified(
    path: str | Path, unpacked: int, gib: float = USUAL_GIB, remedy: str = ""
) -> None:
    """Raise InputError where a file unpacks to more bytes than it may.

    remedy: what to do where that is no damage, in place of the option.
    """
    if unpacked > most_bytes(path, gib):
        packed = Path(path).stat().st_size
        remedy = remedy or f"--max-unpacked {math.ceil(unpacked / (1 << 30))}"
        raise InputError(
            f"{path}: its {size_text(packed)} unpack to {size_text(unpacked)}, more than {gib:g} "
            f"GiB and than {TIMES} times its size; if that is no damage: {remedy}"
        )


def size_text(size: int) -> str:
    """Return a number of bytes in the largest unit of which there is one."""
    for unit, name in _UNITS:
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} bytes"
