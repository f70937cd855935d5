"""The wheel: what pip installs has every room of the package."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import xpmlp

ROOT = Path(xpmlp.__file__).parent
IMPORT_ALL = """
import sys
from importlib import import_module
for name in sys.argv[1:]:
    module = import_module(name)
    assert module.__file__.startswith(sys.path[0]), module.__file__
"""


def test_every_module_is_in_the_wheel_and_imports_from_it(tmp_path):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT.parent, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    packed = zipfile.ZipFile(wheel)
    packed.extractall(tmp_path)
    kinds = (".py", ".css", ".typed", ".md", ".c", ".h", ".html", ".js")
    sources = {path for path in ROOT.rglob("*") if path.suffix in kinds}
    names = {path.relative_to(ROOT.parent).as_posix() for path in sources}
    assert len(names) > 100
    assert names <= set(packed.namelist())
    modules = [name.removesuffix(".py").replace("/", ".") for name in names if name.endswith(".py")]
    here = [name.removesuffix(".__init__") for name in modules if not needs_a_library(name)]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    code = IMPORT_ALL.replace("sys.path[0]", repr(str(tmp_path)))
    subprocess.run([sys.executable, "-c", code, *here], env=environment, cwd=tmp_path, check=True)


def needs_a_library(module: str) -> bool:
    """Tell whether a module imports an array library, or MPI, that may be missing here."""
    libraries = any(part in module for part in ("cupy", "torch", "jax", "strict"))
    return (libraries and ".backends." in module) or module.endswith(".mpi")
