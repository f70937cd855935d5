"""The few exceptions of xpmlp: what a person did wrong, and what went wrong by itself.

The commands turn them into one line on stderr and an exit code: `InputError` into 2,
`RunError` into 1. Python code may catch `XpmlpError` for both.
"""

import errno
from collections.abc import Iterable
from typing import Any

from xpmlp.suggesting import closest

EXIT_RUN_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
FAULTS_OF_THE_MACHINE = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EIO,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.EFBIG,
)


class XpmlpError(Exception):
    """Base of all errors that xpmlp raises on purpose; its text is meant for people."""


class InputError(XpmlpError, ValueError):
    """Bad input: a file, value, name or combination of options that can't be used."""


class DataUnavailableError(InputError):
    """A data set that is neither on disk nor to be had by download."""


class BackendUnavailableError(InputError):
    """A backend or device that can't run here; the text says why and what would help."""


class SurroundingsError(BackendUnavailableError):
    """A backend that is installed well, where something around it is not; with its own remedy."""


class RunError(XpmlpError, RuntimeError):
    """A run that started properly and failed, such as one that ran out of memory.

    run: what was trained until then, where `fit` raised it; runs: where `fit_many` did.
    """

    run: Any = None
    runs: Any = None


class DivergenceError(RunError):
    """A run whose loss is no longer a finite number."""


def is_fault_of_the_machine(error: OSError) -> bool:
    """Tell whether the machine, its disk or its limits failed, and not what was asked for."""
    return error.errno in FAULTS_OF_THE_MACHINE


def unknown_name(kind: str, name: str, valid: Iterable[str]) -> InputError:
    """Return the error for an unknown `name`; its text lists the `valid` ones."""
    names = list(valid)
    listed = f"; choose one of: {', '.join(names)}"
    return InputError(f"unknown {kind} {name!r}{did_you_mean(name, names)}{listed}")


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """Return the question in brackets for a name that comes near a valid one, else ""."""
    close = closest(str(name), valid)
    return f" (did you mean {close!r}?)" if close else ""
