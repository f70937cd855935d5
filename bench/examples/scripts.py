"""Finding scripts that import scikit-learn's MLP, and taking that import from xpmlp instead."""

import ast
from collections.abc import Iterator
from difflib import ndiff
from pathlib import Path
from typing import NamedTuple

from xpmlp.errors import InputError

MODULE, OURS = "sklearn.neural_network", "xpmlp"
NAMES = ("MLPClassifier", "MLPRegressor")


class Script(NamedTuple):
    """A script, its name within the folder, and its text before and after the change."""

    path: Path
    name: str
    text: str
    changed: str

    @property
    def diff(self) -> list[str]:
        """The lines that the change takes out, `- …`, and puts in, `+ …`."""
        lines = ndiff(self.text.splitlines(), self.changed.splitlines())
        return [line for line in lines if line.startswith(("- ", "+ "))]


def find_scripts(folder: Path) -> list[Script]:
    """Return the scripts of a folder, and of those in it, that import the MLP, by name.

    Raises InputError where there is no such folder, or no such script in it.
    """
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}")
    found = [script for path in sorted(folder.rglob("*.py")) for script in _read(path, folder)]
    if not found:
        raise InputError(
            f"no script in {folder} imports {' or '.join(NAMES)} from {MODULE}; name the folder "
            "`examples` of scikit-learn's source distribution"
        )
    return found


def _read(path: Path, folder: Path) -> Iterator[Script]:
    """Yield the script if it imports the MLP; what is no Python of today does not."""
    try:
        text = path.read_text(encoding="utf-8")
        changed = with_our_import(text)
    except (SyntaxError, ValueError):
        return
    if changed != text:
        name = path.relative_to(folder).with_suffix("").as_posix()
        yield Script(path, name, text, changed)


def with_our_import(text: str) -> str:
    """Return a script that takes the MLP's classes from xpmlp; all else stays as it is.

    Raises SyntaxError for what is no Python, ValueError for null bytes.
    """
    if MODULE not in text:
        return text
    statements = _imports_of_mlp(ast.parse(text))
    content = text.encode()
    starts = [0]
    for line in content.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for node in sorted(statements, key=lambda node: node.lineno, reverse=True):
        first = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        content = content[:first] + _statement(node).encode() + content[end:]
    return content.decode()


def _imports_of_mlp(tree: ast.AST) -> list[ast.ImportFrom]:
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and (node.module, node.level) == (MODULE, 0)
        and any(alias.name in NAMES for alias in node.names)
    ]


def _statement(node: ast.ImportFrom) -> str:
    """Return the imports that stand for one; what is not the MLP still comes from scikit-learn."""
    moved = [alias for alias in node.names if alias.name in NAMES]
    left = [alias for alias in node.names if alias.name not in NAMES]
    imports = [ast.ImportFrom(MODULE, left, 0)] if left else []
    return "; ".join(map(ast.unparse, [*imports, ast.ImportFrom(OURS, moved, 0)]))
