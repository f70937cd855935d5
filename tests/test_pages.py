"""Every snippet and command of the pages runs."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted(page for page in (ROOT / "xpmlp").rglob("*.md") if page.name != "DERIVATION.md")
BLOCK = re.compile(r"```(python|sh)\n(.*?)```", re.DOTALL)
LIBRARIES = ("torch", "jax", "cupy", "onnx")


def blocks(page: Path) -> list[tuple[str, str]]:
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def run(words, folder):
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    result = subprocess.run(
        words,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, f"{shlex.join(words[:3])}\n{result.stderr}"


def quick(words):
    short = ["--epochs", "1", "--no-plots"] if words[1] == "train" else []
    return ["digits" if word == "mnist" else word for word in words] + short


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_snippets_and_commands_run_in_their_order(page, tmp_path):
    """A command starts with `python -m xpmlp`; those of a page share one folder.

    Recipes start with `xpmlp`: they train for an epoch, those on MNIST on digits.
    """
    for language, text in blocks(page):
        if language == "python":
            for library in LIBRARIES:
                if re.search(rf"^(import .*\b{library}\b|from {library}\b)", text, re.MULTILINE):
                    pytest.importorskip(library, reason=f"{library} is not installed")
            run([sys.executable, "-W", "ignore", "-c", text], tmp_path)
        else:
            for line in text.splitlines():
                words = shlex.split(line, comments=True)
                if words[:2] == ["python", "-m"] and words[2].startswith("xpmlp"):
                    run([sys.executable, *words[1:]], tmp_path)
                elif words[:1] == ["xpmlp"]:
                    run([sys.executable, "-m", *quick(words)], tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_a_page_names_exist(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
