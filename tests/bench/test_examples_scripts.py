"""Taking the MLP's import from xpmlp: in every way that it can be written, and nothing else."""

import pytest

from bench.examples.scripts import find_scripts, with_our_import
from xpmlp.errors import InputError

PLAIN = "from sklearn.neural_network import MLPClassifier"
OURS = "from xpmlp import MLPClassifier"


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        (PLAIN, OURS),
        (
            "from sklearn.neural_network import MLPRegressor as Net, MLPClassifier",
            "from xpmlp import MLPRegressor as Net, MLPClassifier",
        ),
        (
            "from sklearn.neural_network import BernoulliRBM, MLPClassifier",
            f"from sklearn.neural_network import BernoulliRBM; {OURS}",
        ),
        (
            "from sklearn.neural_network import (\n    BernoulliRBM as R,  # a note\n"
            "    MLPClassifier as C,\n)",
            "from sklearn.neural_network import BernoulliRBM as R; "
            "from xpmlp import MLPClassifier as C",
        ),
        (
            "from sklearn.neural_network import \\\n    MLPClassifier",
            OURS,
        ),
        (f"a = 'é'; {PLAIN}; b = 2", f"a = 'é'; {OURS}; b = 2"),
        (f"def f():\n    {PLAIN}\n    return 1", f"def f():\n    {OURS}\n    return 1"),
        (f"if 1: {PLAIN}", f"if 1: {OURS}"),
        (f"{PLAIN}\r\nx = 1\r\n{PLAIN}\r\n", f"{OURS}\r\nx = 1\r\n{OURS}\r\n"),
    ],
)
def test_the_import_is_rewritten_and_all_else_stays(text, changed):
    before, after = "# é\nimport numpy\n", "\nprint('é')\n"
    assert with_our_import(before + text + after) == before + changed + after


@pytest.mark.parametrize(
    "text",
    [
        "from sklearn.neural_network import BernoulliRBM",
        "import sklearn.neural_network",
        "from .sklearn.neural_network import MLPClassifier",
        f"text = '{PLAIN}'",
        f"# {PLAIN}",
        "x = 1",
    ],
)
def test_what_imports_no_mlp_stays(text):
    assert with_our_import(text) == text


def test_scripts_are_found_in_all_folders_and_tell_their_change(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "net.py").write_text(f"import this\n{PLAIN}\n")
    (tmp_path / "a.py").write_text(f"{PLAIN} as M")
    (tmp_path / "old.py").write_text(f"{PLAIN}\nprint 1")
    (tmp_path / "latin.py").write_bytes(b"# \xe9\n" + PLAIN.encode())
    (tmp_path / "other.py").write_text("x = 1")
    first, second = find_scripts(tmp_path)
    assert (first.name, second.name) == ("a", "b/net")
    assert second.diff == [f"- {PLAIN}", f"+ {OURS}"]


def test_a_folder_without_such_scripts_is_said(tmp_path):
    with pytest.raises(InputError, match="no script in .* imports MLPClassifier or MLPRegressor"):
        find_scripts(tmp_path)
