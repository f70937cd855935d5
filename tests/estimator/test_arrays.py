"""Arrays of other libraries under scikit-learn's `array_api_dispatch`, which stay where they are.

scikit-learn asks SCIPY_ARRAY_API=1 of SciPy before it is imported, hence the processes.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import xpmlp
from tests.estimator.problems import make

PROLOGUE = """
import json, pickle, sys, warnings
import numpy as np, sklearn, xpmlp
from importlib import import_module
from tests.estimator.problems import KINDS, distance, estimator, make
warnings.simplefilter("ignore", sklearn.exceptions.ConvergenceWarning)
library, parameters = sys.argv[1], json.loads(sys.argv[2])
xp = import_module(library)
elsewhere = {"device": xp.Device("device1")} if library == "array_api_strict" else {}
floats = np.float32 if library == "jax.numpy" else np.float64
rounding = 1e-9 if floats is np.float64 and "dtype" not in parameters else 1e-4
sklearn.set_config(array_api_dispatch=True)
def new(kind="multiclass", **more):
    return estimator(xpmlp, kind, **{**parameters, **more})
def on_both(kind="multiclass"):
    x, y = make(kind)
    x, y = x.astype(floats), y if y.dtype.kind in "fi" else np.unique(y, return_inverse=True)[1]
    return x, y, xp.asarray(x, **elsewhere), xp.asarray(y, **elsewhere)
def fetch(array):
    return np.asarray(array.to_device(xp.Device("CPU_DEVICE")) if elsewhere else array)
def compare(kind, net, host):
    x, y, X, Y = on_both(kind)
    assert all(type(leaf) is type(X) and leaf.device == X.device for leaf in net.coefs_)
    for method in ("predict", "predict_proba", "predict_log_proba"):
        if hasattr(net, method):
            ours, theirs = getattr(net, method)(X), getattr(host, method)(x)
            assert type(ours) is type(X) and ours.device == X.device
            assert ours.shape == theirs.shape
            assert library == "jax.numpy" or fetch(ours).dtype == theirs.dtype
            np.testing.assert_allclose(fetch(ours), theirs, rtol=rounding, atol=rounding)
    with sklearn.config_context(array_api_dispatch=False):
        opened = pickle.loads(pickle.dumps(net))
        assert distance(opened, host) < rounding
        np.testing.assert_allclose(opened.predict(x), host.predict(x), rtol=rounding, atol=rounding)
"""


def check(body, library="array_api_strict", **parameters):
    """Run a body of assertions in a Python where arrays of other libraries pass."""
    pytest.importorskip(library, reason=f"{library} is not installed")
    parameters = {"hidden_layer_sizes": (7,), "max_iter": 6, "random_state": 0, **parameters}
    result = subprocess.run(
        [sys.executable, "-c", PROLOGUE + body, library, json.dumps(parameters)],
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("library", ["torch", "array_api_strict", "jax.numpy"])
def test_each_library_gives_what_numpy_does(library):
    """scikit-learn averages scores in float32 there, and R² writes into arrays, as JAX can't."""
    check(
        """
for kind in KINDS:
    x, y, X, Y = on_both(kind)
    net, host = new(kind).fit(X, Y), new(kind).fit(x, y)
    compare(kind, net, host)
    if library != "jax.numpy":
        assert abs(net.score(X, Y) - host.score(x, y)) < 1e-6
""",
        library,
    )


@pytest.mark.parametrize(
    "parameters",
    [
        {"solver": "lbfgs"},
        {"solver": "sgd", "activation": "logistic", "dropout": 0.3},
        {"early_stopping": True, "scoring": "f1_macro", "batch_size": 16},
        {"dtype": "float32", "alpha": 0.0},
    ],
    ids=["lbfgs", "dropout", "early stopping", "float32"],
)
def test_every_solver_stays_on_a_device_that_numpy_cant_read(parameters):
    check(
        """
x, y, X, Y = on_both()
compare("multiclass", new().fit(X, Y), new().fit(x, y))
""",
        **parameters,
    )


def test_it_goes_on_where_it_was():
    check("""
x, y, X, Y = on_both()
whole = new(max_iter=12, tol=0.0).fit(X, Y)
halves = new(max_iter=6, tol=0.0, warm_start=True).fit(X, Y).fit(X, Y)
for one, other in zip(whole.coefs_, halves.coefs_):
    np.testing.assert_array_equal(fetch(one), fetch(other))
parts = new(shuffle=False).partial_fit(X, Y, classes=xp.asarray([0, 1, 2], **elsewhere))
assert parts.partial_fit(X, Y).t_ == 180
given = new().fit(X, Y, xp.asarray(np.ones(90), **elsewhere), X_val=X, y_val=Y)
assert given.history_["validation_score"] == given.history_["train_score"]
""")


def test_names_of_classes_come_back_as_numpys():
    check("""
_, y = make("multiclass")
X = on_both()[2]
net = new().fit(X, y)
predicted = net.predict(X)
assert type(predicted) is np.ndarray and set(predicted) <= set(y)
""")


def test_a_net_keeps_to_the_arrays_it_was_fitted_on_and_moves_when_asked():
    check("""
from sklearn.utils._array_api import move_estimator_to
x, y, X, Y = on_both()
net = new().fit(X, Y)
try:
    net.predict(x)
except ValueError as error:
    expected = "MLPClassifier.predict() must use the same namespace and the same device as those"
    assert expected in str(error) and "array-api-strict on device1, got numpy" in str(error)
else:
    raise AssertionError("a NumPy array passed")
moved = move_estimator_to(net, np, "cpu")
np.testing.assert_array_equal(moved.predict(x), new().fit(x, y).predict(x))
""")


def test_without_the_setting_arrays_of_other_libraries_become_numpys():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x, y = make("multiclass")
    net = xpmlp.MLPClassifier(solver="lbfgs", random_state=0).fit(torch.asarray(x), y)
    assert type(net.coefs_[0]) is np.ndarray
    assert type(net.predict_proba(torch.asarray(x))) is np.ndarray
