"""The preloaded library: built from events.c where that can be had."""

import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).with_name("events.c")


def build_library(folder: Path) -> tuple[Path | None, str]:
    """Return the library, built into the folder, or None and why it can't be had."""
    if not sys.platform.startswith("linux"):
        return None, "LD_PRELOAD, and the calls that it replaces, are Linux's"
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if not compiler:
        return None, "there is no C compiler (cc, gcc or clang)"
    library = folder / "events.so"
    built = [compiler, "-O1", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
    done = subprocess.run(built, capture_output=True, text=True)
    if done.returncode:
        return None, f"{compiler} could not build {SOURCE.name}: {done.stderr.splitlines()[0]}"
    return library, ""
