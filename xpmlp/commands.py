"""What all commands share: one-line errors, exit codes, and flags made from the config."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import Field, fields
from typing import Any, NoReturn

from xpmlp.errors import InputError, XpmlpError
from xpmlp.training.config import Config

EXIT_RUN_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, and whose flags can't be abbreviated."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Leave with exit code 2 and the message in one line."""
        self.exit(EXIT_BAD_INPUT, f"{self.prog}: {message} (see {self.prog} --help)\n")


def guarded(program: str, run: Callable[[], int]) -> int:
    """Run a command's body; turn errors meant for people into one line and an exit code."""
    try:
        return run()
    except XpmlpError as error:
        line = " ".join(str(error).split())
        print(f"{program}: {line}", file=sys.stderr)
        return EXIT_BAD_INPUT if isinstance(error, InputError) else EXIT_RUN_FAILED
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:
        if os.environ.get("XPMLP_TRACEBACK"):
            raise
        line = " ".join(f"{type(error).__name__}: {error}".split())
        print(f"{program}: {line} (XPMLP_TRACEBACK=1 shows where)", file=sys.stderr)
        return EXIT_RUN_FAILED


def add_config_flags(parser: argparse.ArgumentParser, groups: dict[str, str]) -> None:
    """Add a flag per config field, in groups; flags that aren't given leave no trace."""
    sections = {name: parser.add_argument_group(title) for name, title in groups.items()}
    for item in fields(Config):
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


def _help(item: Field[Any]) -> str:
    parts = [str(item.metadata["help"])]
    if choices := item.metadata.get("choices"):
        parts.append(": " + ", ".join(choices))
    default = item.default
    if default not in (None, 0.0) or item.name.endswith("seed"):
        shown = " ".join(map(str, default)) if isinstance(default, tuple) else default
        parts.append(f" [{shown}]")
    return "".join(parts).replace("%", "%%")


def _shape(item: Field[Any]) -> dict[str, Any]:
    about = item.metadata
    shape = {"type": about.get("parse", about["kind"]), "metavar": about.get("metavar", "NAME")}
    return shape | ({"nargs": "*"} if isinstance(item.default, tuple) else {})


def run_as_program(main: Callable[[Sequence[str] | None], int]) -> NoReturn:
    """Run a command as a program; a reader that went away is no error."""
    try:
        code = main(None)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    raise SystemExit(code)
