"""Every snippet and command of the pages runs."""

import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from xpmlp import __main__ as program

ROOT = Path(__file__).parent.parent
PAGES = sorted(page for page in (ROOT / "xpmlp").rglob("*.md") if page.name != "DERIVATION.md")
BLOCK = re.compile(r"```(python|sh)\n(.*?)```", re.DOTALL)
LIBRARIES = ("torch", "jax", "cupy", "onnx")
STAND_INS = {"mlflow": "import sys, unittest.mock as m\nsys.modules[__name__] = m.MagicMock()\n"}


def blocks(page: Path) -> list[tuple[str, str]]:
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def run_snippet(text, folder):
    """Run Python code in a process of its own, as what it registers must not last.

    What a page shows the use of, and nothing here needs, is a stand-in where it is not installed.
    """
    stand_ins = folder / ".stand-ins"
    stand_ins.mkdir(exist_ok=True)
    for name, code in STAND_INS.items():
        if find_spec(name) is None:
            (stand_ins / f"{name}.py").write_text(code)
    path = os.pathsep.join([str(ROOT), str(stand_ins), os.environ.get("PYTHONPATH", "")])
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", text],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr


def run_command(words, capsys):
    try:
        code = program.main(words)
    except SystemExit as end:
        code = end.code
    assert code == 0, f"{shlex.join(words)}\n{capsys.readouterr().err}"


def quick(words):
    short = ["--epochs", "1", "--no-plots"] if words[0] == "train" else []
    return ["digits" if word == "mnist" else word for word in words] + short


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
@pytest.mark.filterwarnings("default")
def test_snippets_and_commands_run_in_their_order(page, tmp_path, monkeypatch, capsys):
    """A command starts with `python -m xpmlp`; those of a page share one folder.

    Recipes start with `xpmlp`: they train for an epoch, those on MNIST on digits.
    """
    monkeypatch.chdir(tmp_path)
    for language, text in blocks(page):
        if language == "python":
            for library in LIBRARIES:
                if re.search(rf"^(import .*\b{library}\b|from {library}\b)", text, re.MULTILINE):
                    pytest.importorskip(library, reason=f"{library} is not installed")
            run_snippet(text, tmp_path)
        else:
            for line in text.splitlines():
                words = shlex.split(line, comments=True)
                if words[:2] == ["python", "-m"] and words[2].startswith("xpmlp"):
                    module = words[2].removeprefix("xpmlp").removeprefix(".")
                    run_command([*filter(None, [module]), *words[3:]], capsys)
                elif words[:1] == ["xpmlp"]:
                    run_command(quick(words[1:]), capsys)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_a_page_names_exist(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
