"""How a net's steps run on a CPU: compiled or not, on how many threads, cut into which tiles."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from xpmlp.backends.base import Backend, Compilation
from xpmlp.backends.registry import check_compile, compiles
from xpmlp.errors import InputError
from xpmlp.processors import usable_processors, usual_threads
from xpmlp.training.config import Config
from xpmlp.training.texts import count

LEAST_WORK = 10**8  # multiplications of an epoch, from which on it pays to compile
FEWEST_TILES = 2


class Decision(NamedTuple):
    """How steps run, and why.

    compilation: None where they are not compiled. asked: the config's `compile`. reason: why
    `auto` does not compile, "" where it had no choice; is_small: whether for want of work.
    product_threads: of NumPy's products where steps are not compiled, None for as many as usual.
    """

    compilation: Compilation | None
    asked: str
    reason: str = ""
    is_small: bool = False
    product_threads: int | None = None

    @property
    def threads(self) -> int | None:
        """How many threads compute; None where nobody has set it."""
        if self.compilation is None:
            return self.product_threads
        return min(self.compilation.threads, usable_processors())

    @property
    def how(self) -> str:
        """How steps run, in a few words; "" for those that are not compiled."""
        if self.compilation is None or self.threads is None:
            return ""
        wished = self.compilation.threads
        threads = count(self.threads, "thread")
        if self.threads < wished:
            threads = f"{self.threads} of {wished} threads for want of processors"
        return f"compiled for the processor, {threads}"

    @property
    def missing(self) -> str:
        """What would have to be there to compile as `auto` would, "" where nothing is missing."""
        return "" if self.is_small else self.reason


def decide(
    config: Config, backend: Backend, sizes: Sequence[int], rows: int, members: int = 1
) -> Decision:
    """Return how the steps of a net, or of so many at once, run.

    `auto` looks at the work of an epoch, then at whether there is a compiler, never at the number
    of epochs. Where the config has no `tiles`, the number of threads fixes them, and with them
    the bits. Raises InputError where `always`, or a number of threads, can't be.
    """
    check_compile(backend.name, backend.device, config.compile, config.threads)
    if not compiles(backend.name, backend.device):
        return Decision(None, config.compile)
    if config.compile == "never":
        return _replayed(config)
    if config.compile == "auto":
        work = 3 * members * rows * sum(d * h for d, h in pairwise(sizes))
        if work < LEAST_WORK:
            small = f"an epoch has {work:,} multiplications, and it pays from {LEAST_WORK:,} on"
            return _replayed(config, small, is_small=True)
    reason = backend.why_not_compiled()
    if reason and config.compile == "always":
        raise InputError(
            f"compile is always, but {reason}; choose --compile auto or never, which do without"
        )
    if reason:
        return _replayed(config, reason)
    threads = config.threads or usual_threads()
    tiles = config.tiles or max(FEWEST_TILES, threads)
    return Decision(Compilation(threads, tiles), config.compile)


def _replayed(config: Config, reason: str = "", *, is_small: bool = False) -> Decision:
    threads = config.threads and min(config.threads, usable_processors())
    return Decision(None, config.compile, reason, is_small, threads)


def decided(config: Config, decision: Decision) -> Config:
    """Return the config with what was decided in the place of what was left open."""
    made = decision.compilation
    if made is None:
        return config.replace(compile="never", tiles=None)
    return config.replace(compile="always", threads=made.threads, tiles=made.parts)


def uncompiled(config: Config) -> Config:
    """Return the config of the same run with steps that are not compiled."""
    return config.replace(compile="never", threads=None, tiles=None)


def going_on(wish: Config, saved: Config, backend: Backend) -> Config:
    """Return a wish in which what is left open is as a run has it that is gone on with.

    saved: of its checkpoint, where all is decided. On a backend with ways of its own nothing
    is taken over. Raises InputError where the steps were compiled, and can't be here.
    """
    if not compiles(backend.name, backend.device):
        return wish
    if wish.compile == "auto":
        reason = backend.why_not_compiled() if saved.compile == "always" else ""
        if reason:
            raise InputError(
                f"the steps of the checkpoint were compiled, but {reason}; a config with "
                "compile='never' goes on, equal up to rounding"
            )
        wish = wish.replace(compile=saved.compile)
    if (wish.compile, saved.compile) != ("always", "always"):
        return wish
    return wish.replace(threads=wish.threads or saved.threads, tiles=wish.tiles or saved.tiles)
