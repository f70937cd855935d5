"""Whether a net's steps are compiled for the CPU, and into how many tiles their work is cut."""

from collections.abc import Sequence
from itertools import pairwise

from xpmlp.backends.base import Backend, Compilation
from xpmlp.errors import InputError
from xpmlp.processors import usual_threads
from xpmlp.training.config import Config

LEAST_WORK = 10**8  # multiplications of an epoch, from which on it pays to compile
FEWEST_PARTS = 2


def compilation_for(
    config: Config, backend: Backend, sizes: Sequence[int], rows: int
) -> Compilation | None:
    """Return how a net's steps are compiled, None where they are not.

    `auto` looks at the work of an epoch, and at whether there is a compiler; the number of threads
    that is usual here fixes the tiles, so that a run keeps its bits wherever it goes on.
    Raises InputError where `always` can't be.
    """
    threads = config.threads or usual_threads()
    wish = Compilation(threads, max(FEWEST_PARTS, threads))
    if config.compile == "never":
        return None
    if config.compile == "always":
        reason = backend.why_not_compiled()
        if reason:
            raise InputError(f"compile is always, but {reason}; choose auto or never")
        return wish
    work = 3 * rows * sum(d * h for d, h in pairwise(sizes))
    return wish if work >= LEAST_WORK and not backend.why_not_compiled() else None


def decided(config: Config, compilation: Compilation | None) -> Config:
    """Return the config with what was decided in the place of what was left open."""
    if compilation is None:
        return config.replace(compile="never")
    return config.replace(compile="always", threads=compilation.threads)
