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
    *("onnx", "onnxruntime", "pyarrow", "pandas", "polars"),
)
GROUND = {
    *("__init__", "errors", "suggesting", "types", "console", "described", "leaves", "files"),
    *("interrupt", "processors"),
}
MATHEMATICS = {"nn", "optim"}
UP_TO_TRAINING = GROUND | MATHEMATICS | {"compiler", "data", "backends", "training"}
UP_TO_RUNS = UP_TO_TRAINING | {"distributed", "pictures", "evaluation", "pages", "runs"}
MAY_IMPORT = {
    **dict.fromkeys(GROUND | MATHEMATICS | {"compiler", "data"}, GROUND),
    "backends": GROUND | {"compiler"},
    "training": UP_TO_TRAINING,
    "distributed": UP_TO_TRAINING,
    "pictures": UP_TO_TRAINING,
    "evaluation": UP_TO_TRAINING | {"pictures"},
    "pages": UP_TO_TRAINING | {"pictures", "evaluation"},
    "runs": UP_TO_RUNS,
    **dict.fromkeys(("estimator", "onnx_export"), UP_TO_TRAINING),
    "browser": UP_TO_TRAINING | {"onnx_export"},
    # A sweep's trials are runs in folders, with a picture and a page over all: it is above these.
    "search": UP_TO_RUNS | {"estimator"},
    "recipes": UP_TO_RUNS | {"estimator", "onnx_export"},
}
DOOR = "__init__.py"  # has all public names, as strings, and imports nothing
SOURCES = sorted(ROOT.rglob("*.py"))


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {module_of(path): path for path in SOURCES}


def imported(path: Path) -> set[str]:
    """Return all that a file imports by a statement, wherever that stands."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def named(path: Path) -> set[str]:
    """Return the modules of ours that a file names in strings, or in pieces of one.

    Of f"xpmlp.data.{module}" these are all that a string of the same file completes.
    """
    nodes = list(ast.walk(ast.parse(path.read_text())))
    texts = {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    starts = {
        node.values[0].value
        for node in nodes
        if isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant)
    }
    starts = {start for start in starts if start.startswith("xpmlp.")}
    return (texts | {start + text for start in starts for text in texts}) & set(MODULES)


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def used_modules(path: Path) -> set[str]:
    """Return the modules of ours that a file imports, by statement or by name."""
    by_name = set() if name(path) == DOOR else named(path)
    return (imported(path) | by_name) & set(MODULES) - {module_of(path)}


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_a_room_imports_only_what_it_may(path):
    here = room(path)
    used = {room(MODULES[module]) for module in used_modules(path)} - {here}
    assert used <= MAY_IMPORT.get(here, {room(path) for path in SOURCES})


def test_no_two_files_import_each_other_in_a_circle():
    waiting = {module: used_modules(path) for module, path in MODULES.items()}
    while free := {module for module, used in waiting.items() if not used & set(waiting)}:
        waiting = {module: used for module, used in waiting.items() if module not in free}
    assert not waiting


def test_the_table_names_rooms_that_exist():
    rooms = {room(path) for path in SOURCES}
    assert set(MAY_IMPORT).union(*MAY_IMPORT.values()) <= rooms
    folders = {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()}
    assert folders <= set(MAY_IMPORT)


@pytest.mark.parametrize("folder", ["nn", "optim", "compiler"])
def test_the_mathematics_and_its_compiler_import_no_array_library(folder):
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
    for public in xpmlp.__all__:
        assert not (ROOT / f"{public}.py").exists()
        assert not (ROOT / public).exists()


def test_every_public_name_is_there_and_an_unknown_one_is_not():
    for public in xpmlp.__all__:
        assert getattr(xpmlp, public).__name__ == public
    with pytest.raises(AttributeError, match=r"'Traner' \(did you mean 'Trainer'\?\)"):
        xpmlp.Traner  # noqa: B018
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
    others = {"torch", "jax", "cupy", "array_api_strict", "matplotlib", "pyarrow"}
    assert not loaded_by(code) & others


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
        module = module_of(path)
        if "cupy" in module or module.endswith(("__main__", "distributed.mpi")):
            continue
        if ".torch." in module:
            pytest.importorskip("torch")
        assert import_module(module).__doc__, module
