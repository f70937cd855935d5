"""scikit-learn's own checks of an estimator, all of them, none expected to fail."""

import os
import subprocess
import sys

import pytest
from sklearn.utils.estimator_checks import check_estimator

import xpmlp

NOT_FOR_IT = {
    "check_array_api_input",
    "check_classifiers_multilabel_output_format_decision_function",
}
WITH_SCIPY_ARRAYS = """
from sklearn.utils.estimator_checks import check_estimator
import xpmlp
for result in check_estimator(xpmlp.{name}(max_iter=30), on_fail=None, on_skip=None):
    print(result["status"], result["check_name"], repr(result["exception"]))
"""


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_every_check_passes(name):
    results = check_estimator(getattr(xpmlp, name)(), on_fail=None, on_skip=None)
    other = {r["check_name"]: r["exception"] for r in results if r["status"] != "passed"}
    assert set(other) <= NOT_FOR_IT, other
    assert len(results) >= 60


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_every_check_passes_with_arrays_of_other_libraries_in_scipy(name):
    result = subprocess.run(
        [sys.executable, "-c", WITH_SCIPY_ARRAYS.format(name=name)],
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line.split(maxsplit=2) for line in result.stdout.splitlines()]
    other = {line[1]: line for line in lines if line[0] != "passed"}
    assert set(other) <= NOT_FOR_IT - {"check_array_api_input"}, other
    assert len(lines) >= 60
