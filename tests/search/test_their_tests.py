"""scikit-learn's own tests of its searches, with the searches imported from here.

The files are those of the installed scikit-learn, of which nothing stands here.
"""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import sklearn

from tests.estimator.test_their_tests import CHECKED, outcomes

FILES = ("test_search", "test_successive_halving")
SEARCHES = ("GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV")
# They count warnings, and get one more: that the fits go through scikit-learn's own loop.
COUNTS = "test_searchcv_raise_warning_with_non_finite_score"
PASSED = 239


def with_our_searches(name: str) -> str:
    """Return the text of some of their tests; skips where there are none, or others than known."""
    spec = find_spec(f"sklearn.model_selection.tests.{name}")
    if spec is None or spec.origin is None:
        pytest.skip("the installed scikit-learn comes without its tests")
    text = Path(spec.origin).read_text(encoding="utf-8")
    imports = re.search(r"from sklearn\.model_selection import \((.*?)\)\n", text, re.DOTALL)
    if imports is None and sklearn.__version__ != CHECKED:
        pytest.skip(f"the tests of {sklearn.__version__} import otherwise than those of {CHECKED}")
    assert imports
    ours = [search for search in SEARCHES if re.search(rf"\b{search}\b", imports[1])]
    return text.replace(imports[0], f"{imports[0]}from xpmlp import {', '.join(ours)}\n")


@pytest.mark.thorough
def test_scikit_learns_tests_of_its_searches_pass_with_ours(tmp_path):
    """Of any version each test but those left out must pass; they are counted in one."""
    for name in FILES:
        (tmp_path / f"{name}.py").write_text(with_our_searches(name), encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    report = tmp_path / "report.xml"
    plugins = ["-p", "sklearn.conftest", "-p", "no:cacheprovider"]
    around = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, f"--junitxml={report}", "."],
        cwd=tmp_path,
        env={**around, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
    )
    assert report.exists(), result.stdout + result.stderr
    found = outcomes(report)
    failed = {name for name, outcome in found.items() if outcome in ("failure", "error")}
    assert {name.partition("[")[0] for name in failed} <= {COUNTS}, result.stdout
    if sklearn.__version__ == CHECKED:
        assert len(failed) == 4
        assert list(found.values()).count("passed") == PASSED
