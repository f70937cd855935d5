"""What libraries keep of tests that are over: let go, so that a process stays small."""

import ctypes
import gc
import sys
from pathlib import Path

GROWTH = 120 * 2**20
PAGE = 4096


class Memory:
    """The memory of this process, on Linux, where the system tells it."""

    def __init__(self) -> None:
        self.least = resident()

    def keep_small(self) -> None:
        """Let go what is not needed after some GROWTH.

        Not more often, as JAX then compiles anew what several tests use.
        """
        if resident() > self.least + GROWTH:
            let_go()
            self.least = resident()


def resident() -> int:
    """Return the bytes in use, 0 where the system doesn't tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE
    except OSError:
        return 0


def let_go() -> None:
    """Close figures, drop JAX's compiled programs, and give the freed memory back to the system.

    glibc keeps what JAX's compiler has freed, 20 MB and more for each small net, until asked.
    """
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")
    if jax := sys.modules.get("jax"):
        jax.clear_caches()
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim:
            trim(0)
