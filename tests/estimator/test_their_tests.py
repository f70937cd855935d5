"""scikit-learn's own tests of its multilayer perceptrons, with the one import changed.

The file is that of the installed scikit-learn: `test_mlp.py`, of which nothing stands here.
"""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import sklearn

CHECKED = "1.9.1"  # the version whose tests are counted, and named here and on the page
IMPORT = "from sklearn.neural_network import MLPClassifier, MLPRegressor"
PRIVATE = "looks into private attributes of scikit-learn's class"
EARLY = "asks that partial_fit refuse early stopping, which is supported here"
LEFT_OUT = {
    "test_gradient": PRIVATE,
    "test_learning_rate_warmstart": PRIVATE,
    "test_adaptive_learning_rate": PRIVATE,
    "test_n_iter_no_change": PRIVATE,
    "test_n_iter_no_change_inf": PRIVATE,
    "test_mlp_partial_fit_after_fit[MLPClassifier]": EARLY,
    "test_mlp_partial_fit_after_fit[MLPRegressor]": EARLY,
}
PASSED = 52


def with_the_import_changed() -> str:
    """Return the text of their tests; skips where there are none, or others than those known."""
    spec = find_spec("sklearn.neural_network.tests.test_mlp")
    if spec is None or spec.origin is None:
        pytest.skip("the installed scikit-learn comes without its tests")
    text = Path(spec.origin).read_text(encoding="utf-8")
    names = {name.partition("[")[0] for name in LEFT_OUT}
    missing = [part for part in (IMPORT, *names) if part not in text]
    if missing and sklearn.__version__ != CHECKED:
        pytest.skip(f"the tests of {sklearn.__version__} are others than of {CHECKED}: {missing}")
    assert not missing
    return text.replace(IMPORT, IMPORT.replace("sklearn.neural_network", "xpmlp"))


def outcomes(report: Path) -> dict[str, str]:
    """Return what became of each test, by its name, from pytest's report."""
    found = {}
    for case in ET.parse(report).iter("testcase"):
        marks = [item.tag for item in case if item.tag in ("failure", "error", "skipped")]
        found[case.attrib["name"]] = marks[0] if marks else "passed"
    return found


@pytest.mark.thorough
def test_scikit_learns_tests_pass_with_the_import_changed(tmp_path):
    """Of any version each test but those left out must pass; they are counted in one."""
    (tmp_path / "test_mlp.py").write_text(with_the_import_changed(), encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    report = tmp_path / "report.xml"
    plugins = ["-p", "sklearn.conftest", "-p", "no:cacheprovider"]
    around = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, f"--junitxml={report}", "test_mlp.py"],
        cwd=tmp_path,
        env={**around, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
    )
    assert report.exists(), result.stdout + result.stderr
    found = outcomes(report)
    failed = {name for name, outcome in found.items() if outcome in ("failure", "error")}
    assert failed <= set(LEFT_OUT), result.stdout
    if sklearn.__version__ == CHECKED:
        assert failed == set(LEFT_OUT), f"these pass now: {set(LEFT_OUT) - failed}"
        assert list(found.values()).count("passed") == PASSED
