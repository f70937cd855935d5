"""Snippets of the pages, each in a process of its own, as what it registers must not last.

Where a system can fork, they do so from one that has loaded what most of them import. A snippet
that sets the environment before it imports has a fresh one.
"""

import multiprocessing
import os
import subprocess
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from unittest.mock import MagicMock

ROOT = Path(__file__).parent.parent
PRELOADED = [
    "matplotlib.backends.backend_agg",
    "pandas",
    "sklearn.datasets",
    "sklearn.ensemble",
    "sklearn.model_selection",
    "sklearn.neural_network",
    "xpmlp.estimator.classifier",
    "xpmlp.estimator.regressor",
    "xpmlp.pages.html_report",
    "xpmlp.runs.comparing",
    "xpmlp.runs.fitting",
    "xpmlp.runs.opened",
]
STAND_INS = ("mlflow",)  # shown on a page, needed nowhere
FORKS = "forkserver" in multiprocessing.get_all_start_methods()
CONTEXT = multiprocessing.get_context("forkserver" if FORKS else "spawn")
if FORKS:
    CONTEXT.set_forkserver_preload(PRELOADED)


def run_snippet(text: str, folder: Path) -> None:
    """Run Python code in a folder; its errors are the message where it fails."""
    if "os.environ" in text:
        failed, errors = run_afresh(text, folder)
    else:
        log = folder / ".errors"
        process = CONTEXT.Process(target=execute, args=(text, folder, log))
        process.start()
        process.join()
        failed, errors = process.exitcode != 0, log.read_text()
    assert not failed, errors


def run_afresh(text: str, folder: Path) -> tuple[bool, str]:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", text],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    return result.returncode != 0, result.stderr


def execute(text: str, folder: Path, errors: Path) -> None:
    """Be the process that runs a snippet."""
    os.chdir(folder)
    for target, name in ((1, os.devnull), (2, errors)):
        with open(name, "w") as stream:
            os.dup2(stream.fileno(), target)
    warnings.simplefilter("ignore")
    for name in STAND_INS:
        if find_spec(name) is None:
            sys.modules[name] = MagicMock()
    exec(compile(text, "<snippet>", "exec"), {"__name__": "__main__"})
