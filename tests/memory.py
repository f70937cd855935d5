"""What libraries keep of tests that are over: let go, so that a process stays small."""

import ctypes
import gc
import sys


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
