"""`python -m xpmlp`, or `xpmlp` once installed: lists the commands and runs one."""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from xpmlp import __version__
from xpmlp.commands import run_as_program
from xpmlp.errors import EXIT_BAD_INPUT, unknown_name

COMMANDS = {
    "train": "train a net on a data set, save the weights, the curves and the pictures",
    "inspect": "show what a table of your own is taken for, column by column",
    "find_rate": "test rising learning rates on a data set, suggest one to begin with",
    "convert": "turn a file into shards, which train reads from the disk, block by block",
    "sweep": "search over settings: train many nets side by side, find the best",
    "evaluate": "evaluate a trained net on its test rows or on others",
    "predict": "predict the rows of a file with a trained net, as CSV or JSON lines",
    "compare": "compare runs: results, settings that differ, curves in one picture",
    "export": "write a net, or its training step, as an ONNX file, checked",
    "playground": "write a page that trains a net in the browser",
    "gradcheck": "prove the backward pass against central differences",
    "reproduce": "run published experiments and compare the figures",
}


def overview() -> str:
    """Return the list of commands as it is printed."""
    lines = [f"  {name:<10} {text}" for name, text in COMMANDS.items()]
    return "\n".join(
        [
            f"xpmlp {__version__}: multilayer perceptrons with hand-derived backpropagation",
            "",
            *lines,
            "",
            "xpmlp COMMAND --help, or python -m xpmlp.COMMAND --help, tells more.",
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that the first word names."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        print(overview())
        return 0
    if words[0] == "--version":
        print(f"xpmlp {__version__}")
        return 0
    if words[0] not in COMMANDS:
        print(f"xpmlp: {unknown_name('command', words[0], COMMANDS)}", file=sys.stderr)
        return EXIT_BAD_INPUT
    code: int = import_module(f"xpmlp.{words[0]}").main(words[1:])
    return code


def program() -> NoReturn:
    """Be the console script `xpmlp`."""
    run_as_program(main)


if __name__ == "__main__":
    program()
