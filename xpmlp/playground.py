"""`python -m xpmlp.playground`: write a page that trains a net in the browser."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from xpmlp.commands import Parser, guarded, path, run_as_program
from xpmlp.console import show
from xpmlp.errors import InputError

PROGRAM = "xpmlp playground"
PORT = 8000


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; it needs no array library, so that --help is quick."""
    parser = Parser(
        prog=PROGRAM,
        usage="%(prog)s --out DIR [options]",
        description="Write a page that trains a net in the browser: points of two features drawn "
        "by clicking, decision regions and loss while it learns, the numbers of `xpmlp train`. "
        "Its training steps are ONNX graphs, each checked against NumPy's over 50 steps; "
        "onnxruntime-web (MIT licence), which runs them, is fetched once from its npm package and "
        "checked.",
        epilog="exit codes: 0 done, 1 it failed, 2 bad input, 130 interrupted",
    )
    add = parser.add_argument
    add("--out", type=path, required=True, metavar="DIR", help="the folder to write, new or empty")
    add(
        "--runtime",
        type=path,
        metavar="DIR",
        help="folder with onnxruntime-web: its npm package, unpacked [fetched into the cache]",
    )
    add("--force", action="store_true", help="write into the folder though it holds files")
    add("--json", action="store_true", help="print one JSON object on stdout, and nothing else")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    arguments = make_parser().parse_args(argv)
    return guarded(PROGRAM, lambda: run_command(arguments))


def run_command(arguments: argparse.Namespace) -> int:
    """Write the page as the arguments say. Raises XpmlpError with a line for people."""
    folder: Path = arguments.out
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out {folder}: this is a file; name a folder")
    if folder.is_dir() and any(folder.iterdir()) and not arguments.force:
        raise InputError(f"--out {folder} holds files; choose another folder, or give --force")
    from xpmlp.onnx_export.exporting import require_packages

    require_packages()
    from xpmlp.browser.runtime import NAME, find_runtime
    from xpmlp.browser.writing import write_page

    runtime = find_runtime(arguments.runtime)
    page = write_page(folder, runtime)
    serve = f"{sys.executable} -m http.server {PORT} --bind 127.0.0.1 --directory {folder}"
    url = f"http://127.0.0.1:{PORT}/"
    if arguments.json:
        figures = {"folder": str(folder), **page._asdict(), "runtime": runtime.version}
        show(json.dumps({**figures, "serve": serve, "url": url}, indent=2), sys.stdout)
        return 0
    release = f"{NAME} {runtime.version}".strip()
    lines = [
        f"page      {folder / 'index.html'}: {page.files} files, {page.bytes / 1e6:.1f} MB",
        f"steps     {page.steps} training steps checked against NumPy's: "
        f"largest difference {page.difference:.1e}",
        f"runtime   {release}, MIT licence, from {runtime.folder}",
        f"to open   {serve}",
        f"          then {url} in a browser; as a file alone it can't load its graphs",
    ]
    show("\n".join(lines), sys.stdout)
    return 0


if __name__ == "__main__":
    run_as_program(main)
