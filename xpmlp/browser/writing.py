"""The folder of the page: its text, its graphs, its runtime."""

import json
from pathlib import Path
from typing import NamedTuple

from xpmlp import __version__
from xpmlp.browser.material import about, draws, graphs
from xpmlp.browser.runtime import FILES, LICENSE, Runtime
from xpmlp.files import write_whole

TEXT = ("index.html", "playground.css", "playground.js", "net.js", "plane.js", "curve.js", "npz.js")
SOURCE = Path(__file__).parent / "page"


class Page(NamedTuple):
    """What was written: how many files and bytes, graphs of steps, and the largest difference."""

    files: int
    bytes: int
    steps: int
    difference: float


def write_page(folder: Path, runtime: Runtime) -> Page:
    """Write all that the page needs into a folder; index.html, the last, tells that it is whole.

    Raises RunError where a step's graph does not have NumPy's numbers, OSError where a file can't
    be written.
    """
    for inner in ("graphs", "runtime"):
        (folder / inner).mkdir(parents=True, exist_ok=True)
    made = list(graphs())
    contents = {one.name: one.content for one in made}
    contents |= {f"runtime/{name}": (runtime.folder / name).read_bytes() for name in FILES}
    contents["runtime/LICENSE.txt"] = LICENSE.encode()
    contents["draws.bin"] = draws()
    versions = {"xpmlp": __version__, "runtime": runtime.version}
    contents["about.json"] = json.dumps(about() | versions).encode()
    contents |= {name: (SOURCE / name).read_bytes() for name in TEXT[1:]}
    index = folder / TEXT[0]
    index.unlink(missing_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    write_whole(index, (SOURCE / TEXT[0]).read_bytes())
    checks = [one.check for one in made if one.check]
    return Page(
        len(contents) + 1,
        sum(map(len, contents.values())) + index.stat().st_size,
        len(checks),
        max(check.difference for check in checks),
    )
