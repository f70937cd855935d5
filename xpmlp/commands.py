"""What all commands share: one-line errors, exit codes, and flags made from the config."""

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, NoReturn

from xpmlp.backends.registry import compiles
from xpmlp.console import prepare_streams, silence, warn
from xpmlp.errors import (
    EXIT_BAD_INPUT,
    EXIT_INTERRUPTED,
    EXIT_RUN_FAILED,
    InputError,
    XpmlpError,
    is_fault_of_the_machine,
)
from xpmlp.suggesting import closest
from xpmlp.training.config import OF_COMPILED_STEPS, Config
from xpmlp.training.options import read_toml


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, and whose flags can't be abbreviated."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Leave with exit code 2 and the message in one line."""
        hint = self._meant(message)
        self.exit(EXIT_BAD_INPUT, f"{self.prog}: {message}{hint} (see {self.prog} --help)\n")

    def _meant(self, message: str) -> str:
        """Return which flag was meant by the first that is none, as a question."""
        _, unknown, words = message.partition("unrecognized arguments: --")
        names = {flag[2:].replace("-", "_"): flag for flag in self._option_string_actions}
        name = closest(words.split()[0].split("=")[0].replace("-", "_"), names) if unknown else None
        return f" (did you mean {names[name]}?)" if name else ""


def guarded(program: str, run: Callable[[], int]) -> int:
    """Run a command's body; turn errors meant for people into one line and an exit code."""
    try:
        return run()
    except XpmlpError as error:
        line = " ".join(str(error).split())
        warn(f"{program}: {line}")
        return EXIT_BAD_INPUT if isinstance(error, InputError) else EXIT_RUN_FAILED
    except KeyboardInterrupt:
        warn(f"{program}: interrupted")
        return EXIT_INTERRUPTED
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        warn(f"{program}: {place}{error.strerror or error}")
        return EXIT_RUN_FAILED if is_fault_of_the_machine(error) else EXIT_BAD_INPUT
    except Exception as error:
        if os.environ.get("XPMLP_TRACEBACK"):
            raise
        line = " ".join(f"{type(error).__name__}: {error}".split())
        warn(f"{program}: {line} (XPMLP_TRACEBACK=1 shows where)")
        return EXIT_RUN_FAILED


def add_config_flags(parser: argparse.ArgumentParser, groups: dict[str, str]) -> None:
    """Add a flag per config field of these groups; flags that aren't given leave no trace."""
    sections = {name: parser.add_argument_group(title) for name, title in groups.items()}
    for item in fields(Config):
        if item.metadata["group"] not in sections:
            continue
        sections[item.metadata["group"]].add_argument(
            "--" + item.name.replace("_", "-"),
            default=argparse.SUPPRESS,
            help=_help(item),
            **_shape(item),
        )


def config_values(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the config fields that were given as flags."""
    names = {item.name for item in fields(Config)}
    return {name: value for name, value in vars(arguments).items() if name in names}


def config_of(arguments: argparse.Namespace) -> Config:
    """Return the config of the flags, over that of --config."""
    return Config.from_dict(given_options(arguments), str(arguments.config or "the command line"))


def given_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the options of the flags, over those of --config.

    Where flags choose a library that has ways of its own, what the file says of compiled steps,
    perhaps because it was decided on another machine, is left out.
    """
    base = read_toml(arguments.config) if arguments.config else {}
    flags = config_values(arguments)
    values = base | flags
    moved = {"backend", "device"} & flags.keys()
    if moved and not compiles(values.get("backend", "auto"), values.get("device", "auto")):
        base = {name: base[name] for name in base if name not in OF_COMPILED_STEPS}
    return base | flags


def _help(item: Field[Any]) -> str:
    parts = [str(item.metadata["help"])]
    if choices := item.metadata.get("choices"):
        parts.append(": " + ", ".join(choices))
    default = item.metadata["usual"]
    if default not in (None, 0.0, ()) or item.name.endswith("seed"):
        shown = " ".join(map(str, default)) if isinstance(default, tuple) else default
        parts.append(f" [{shown}]")
    return "".join(parts).replace("%", "%%")


def _shape(item: Field[Any]) -> dict[str, Any]:
    about = item.metadata
    shape = {"type": about.get("parse", about["kind"]), "metavar": about.get("metavar", "NAME")}
    return shape | ({"nargs": about.get("nargs", "*")} if isinstance(about["usual"], tuple) else {})


def path(text: str) -> Path:
    """Return a path that was given as a flag, `~` included; an empty one is refused."""
    if not text.strip():
        raise argparse.ArgumentTypeError("the path is empty")
    return Path(text).expanduser()


def run_as_program(main: Callable[[Sequence[str] | None], int]) -> NoReturn:
    """Run a command as a program; a reader of its output that goes away is no error."""
    prepare_streams()
    warnings.showwarning = lambda message, *_, **__: warn(f"warning: {message}")
    if not os.environ.get("XPMLP_TRACEBACK"):
        sys.unraisablehook = _tell_unraisable
    try:
        code = main(None)
    except BrokenPipeError:
        code = 0
    except KeyboardInterrupt:  # before the command has begun
        warn("xpmlp: interrupted")
        code = EXIT_INTERRUPTED
    try:
        sys.stdout.flush()
    except OSError:
        silence(sys.stdout)
    exec("")  # forgets a Ctrl-C that fell into an exec, as of a dataclass; Python would die by it
    raise SystemExit(code)


def _tell_unraisable(found: Any) -> None:
    """Show in one line what a library's callback raised and Python can pass on to nobody."""
    line = " ".join(f"{found.exc_type.__name__}: {found.exc_value or ''}".split())
    warn(f"warning: within a callback: {line} (XPMLP_TRACEBACK=1 shows where)")
