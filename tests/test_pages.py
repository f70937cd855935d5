"""Every snippet and command of the pages runs."""

import re
import shlex

import pytest

from tests.snippets import ROOT, run_snippet
from xpmlp import __main__ as program

PAGES = sorted(page for page in (ROOT / "xpmlp").rglob("*.md") if page.name != "DERIVATION.md")
BLOCK = re.compile(r"```(python|sh)\n(.*?)```", re.DOTALL)
LIBRARIES = ("torch", "jax", "cupy", "onnx")


def blocks(page):
    return BLOCK.findall(page.read_text(encoding="utf-8"))


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


def test_each_promise_has_the_test_that_it_names():
    """A link to a file of tests is named like a test in it; each row of a table has one."""
    page = ROOT / "xpmlp/PROMISES.md"
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"\[(test_\w+)\]\(([^)]+)\)", text)
    for name, file in named:
        assert f"\ndef {name}(" in (page.parent / file).read_text(encoding="utf-8"), name
    rows = re.findall(r"^\| [A-Z].*\|$", text.split("## The last campaign")[0], re.MULTILINE)
    assert len(rows) > 20
    assert all("](../tests/" in row for row in rows)
