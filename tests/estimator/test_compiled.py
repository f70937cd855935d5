"""Estimators whose steps are compiled: where it is asked for, or where it pays."""

import numpy as np
import pytest

import xpmlp
from tests.estimator.problems import distance, estimator, make
from xpmlp.backends.registry import load
from xpmlp.training import compiling

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
COMMON = {"hidden_layer_sizes": (8, 5), "max_iter": 6, "random_state": 1}


@pytest.fixture(autouse=True)
def a_compiler(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if reason := load("numpy", "cpu", "float64").why_not_compiled():
        pytest.skip(reason)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("kind", ["binary", "several values"])
def test_the_path_is_the_same_to_rounding(kind, solver):
    x, y = make(kind)
    nets = [
        estimator(xpmlp, kind, **COMMON, solver=solver, compile=wish, threads=threads).fit(x, y)
        for wish, threads in (("never", None), ("never", 1), ("always", 1), ("always", 2))
    ]
    assert distance(nets[0], nets[2]) < 1e-8
    assert distance(nets[2], nets[3]) == 0.0
    assert distance(nets[0], nets[1]) < 1e-8


def test_small_tables_are_not_compiled_by_surprise(monkeypatch):
    def fail(*arguments):
        raise AssertionError

    x, y = make("binary")
    monkeypatch.setattr(compiling, "Compilation", fail)
    xpmlp.MLPClassifier(max_iter=2).fit(x, y)
    xpmlp.MLPClassifier(max_iter=2).partial_fit(x, y, classes=np.unique(y))
    with pytest.raises(AssertionError):
        xpmlp.MLPClassifier(max_iter=2, compile="always").fit(x, y)


def test_other_libraries_refuse_what_is_numpys():
    x, y = make("binary")
    for wish in ({"compile": "always"}, {"threads": 1}):
        with pytest.raises(ValueError, match="of numpy|for numpy"):
            xpmlp.MLPClassifier(backend="array-api-strict", **wish).fit(x, y)
