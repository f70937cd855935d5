"""scikit-learn's own checks of an estimator, all of them, none expected to fail."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
from sklearn.utils.estimator_checks import check_estimator

import xpmlp

NEEDS_SCIPY_ARRAYS = {
    "check_array_api_input",
    "check_array_api_mixed_inputs",
    "check_array_api_same_namespace",
}
NO_SUCH_METHOD = {"check_classifiers_multilabel_output_format_decision_function"}
# Intel's dpnp has no backend here; the others are no devices or libraries of every machine.
ELSEWHERE = ("dpnp", "cupy", "torch", "cuda", "XPU", "MPS")
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
    assert set(other) <= NEEDS_SCIPY_ARRAYS | NO_SUCH_METHOD, other
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
    other = [(check, reason) for status, check, reason in lines if status != "passed"]
    for check, reason in other:
        assert reason.startswith("SkipTest"), reason
        here = check in NO_SUCH_METHOD or any(word in reason for word in ELSEWHERE)
        assert here, reason
    passed = [check for status, check, _ in lines if status == "passed"]
    mixed = set() if find_spec("torch") else {"check_array_api_mixed_inputs"}
    assert NEEDS_SCIPY_ARRAYS - mixed <= set(passed)
    assert passed.count("check_array_api_input") >= (5 if find_spec("torch") else 3)
    assert len(lines) >= 75
