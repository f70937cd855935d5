"""Who imports whom, and what an import brings along."""

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import xpmlp
from xpmlp.__main__ import COMMANDS
from xpmlp.nn.activations import ACTIVATIONS

ROOT = Path(xpmlp.__file__).parent
HEAVY = ("numpy", "cupy", "torch", "jax", "array_api_compat", "array_api_strict")
HEAVY_TOOLS = (
    *("matplotlib", "sklearn", "scipy", "pooch", "requests", "tqdm", "safetensors"),
    *("onnx", "onnxruntime"),
)
FLOORS = {
    **dict.fromkeys(("errors", "types", "leaves", "console", "files", "__init__"), 0),
    **dict.fromkeys(("nn", "optim", "backends", "data"), 1),
    "training": 2,
    **dict.fromkeys(("reporting", "interrupt", "estimator", "onnx_export"), 3),
    "recipes": 4,
}
TOP_FLOOR = 4
SOURCES = sorted(ROOT.rglob("*.py"))


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def own_rooms(path: Path) -> set[str]:
    parts = (name.split(".") for name in imported(path))
    return {p[1] for p in parts if p[0] == "xpmlp" and len(p) > 1} - {"__version__"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_room_imports_only_what_lies_below_it(path):
    here = room(path)
    floor = FLOORS.get(here, TOP_FLOOR)
    for other in own_rooms(path) - {here}:
        below = FLOORS.get(other, TOP_FLOOR)
        assert below < floor or (below == floor and floor in (0, TOP_FLOOR)), (here, other)


@pytest.mark.parametrize("folder", ["nn", "optim"])
def test_the_mathematics_imports_no_array_library(folder):
    for path in (ROOT / folder).glob("*.py"):
        roots = {name.split(".")[0] for name in imported(path)}
        assert not roots & set(HEAVY), path


def test_no_file_outside_the_backends_asks_for_a_backends_name():
    names = {"cupy", "torch", "jax", "array-api-strict"}
    for path in SOURCES:
        if room(path) == "backends":
            continue
        constants = {
            node.value
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Constant)
        }
        assert not constants & names, path


def test_no_public_name_is_also_a_submodule():
    for name in xpmlp.__all__:
        assert not (ROOT / f"{name}.py").exists()
        assert not (ROOT / name).exists()


def test_every_public_name_is_there_and_an_unknown_one_is_not():
    for name in xpmlp.__all__:
        assert getattr(xpmlp, name).__name__ == name
    with pytest.raises(AttributeError, match="'xpmlp' has no attribute 'train_everything'"):
        _ = xpmlp.train_everything


def loaded_by(code: str) -> set[str]:
    program = f"{code}\nimport sys; print(' '.join({{n.split('.')[0] for n in sys.modules}}))"
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    return set(output.split())


def test_importing_xpmlp_loads_no_library():
    assert not loaded_by("import xpmlp") & {*HEAVY, *HEAVY_TOOLS}


@pytest.mark.parametrize("command", [*COMMANDS, "__main__"])
def test_help_loads_no_library(command):
    code = (
        f"from xpmlp.{command} import main\n"
        "import contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "    main(['--help'])"
    )
    assert not loaded_by(code) & {*HEAVY, *HEAVY_TOOLS}


def test_a_numpy_training_loads_no_other_array_library():
    code = (
        "import xpmlp\n"
        "data = xpmlp.load_dataset('xor')\n"
        "xpmlp.fit(xpmlp.Config(hidden=(4,), epochs=1), data)"
    )
    assert not loaded_by(code) & {"torch", "jax", "cupy", "array_api_strict", "matplotlib"}


def test_every_docstring_points_at_an_equation_that_exists():
    text = (ROOT / "DERIVATION.md").read_text()
    headings = set(re.findall(r"^### (.+)$", text, re.MULTILINE))
    pointed_at = set()
    for path in SOURCES:
        for names in re.findall(
            r'DERIVATION\.md, ((?:"[a-z0-9-]+",?\s+)*"[a-z0-9-]+")', path.read_text()
        ):
            pointed_at |= set(re.findall(r'"([a-z0-9-]+)"', names))
    assert len(pointed_at) > 20
    assert pointed_at <= headings
    assert {name.replace("_", "-") for name in ACTIVATIONS} <= headings


def test_modules_import():
    for path in SOURCES:
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        if "cupy" in name or name.endswith("__main__"):
            continue
        if "torch" in name:
            pytest.importorskip("torch")
        assert import_module(name).__doc__, name
