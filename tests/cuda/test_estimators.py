"""scikit-learn's estimators on a GPU, and arrays that are there already."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

import xpmlp
from tests.conftest import load_or_skip
from tests.cuda import devices
from tests.estimator.problems import distance, make

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
COMMON = {"hidden_layer_sizes": (9, 5), "batch_size": 16, "max_iter": 10, "random_state": 0}
DISPATCHED = """
import sys, warnings
import numpy as np, sklearn, xpmlp
from array_api_compat import device
from tests.estimator.problems import distance, make
from xpmlp.backends.registry import load
from xpmlp.estimator.arrays import to_host
warnings.simplefilter("ignore", sklearn.exceptions.ConvergenceWarning)
backend = load(sys.argv[1], "cuda:0", "float64")
x, y = make("multiclass")
y = np.unique(y, return_inverse=True)[1]
with backend.running():
    X, Y = backend.put((x, y))
    backend.synchronize((X, Y))
parameters = dict(hidden_layer_sizes=(9, 5), batch_size=16, max_iter=10, random_state=0)
host = xpmlp.MLPClassifier(**parameters).fit(x, y)
with sklearn.config_context(array_api_dispatch=True):
    net = xpmlp.MLPClassifier(**parameters).fit(X, Y)
    p = net.predict_proba(X)
    assert type(p) is type(X) and device(p) == device(X)
    assert type(net.coefs_[0]) is type(X) and device(net.coefs_[0]) == device(X)
    np.testing.assert_allclose(to_host(p), host.predict_proba(x), rtol=1e-9)
    np.testing.assert_array_equal(to_host(net.predict(X)), host.predict(x))
"""


def test_a_tensor_of_the_cpu_goes_to_the_gpu():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    backend = load_or_skip("torch", device=devices.DEVICE)
    put = backend.asarray(torch.ones(3, 2))
    assert str(put.device) == devices.DEVICE
    np.testing.assert_array_equal(backend.to_numpy(put), np.ones((3, 2)))


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_a_fit_on_the_gpu_is_that_on_the_cpu(gpu, solver):
    x, y = make("multiclass")
    parameters = {**COMMON, "solver": solver}
    there = xpmlp.MLPClassifier(**parameters, backend=gpu.name, device=gpu.device).fit(x, y)
    assert distance(there, xpmlp.MLPClassifier(**parameters).fit(x, y)) < 1e-7
    opened = pickle.loads(pickle.dumps(there)).set_params(backend="numpy", device="cpu")
    np.testing.assert_allclose(opened.predict_proba(x), there.predict_proba(x), rtol=1e-9)


def test_arrays_of_the_gpu_stay_there(gpu):
    if gpu.name == "jax":
        pytest.skip("JAX is not on scikit-learn's list of array libraries")
    result = subprocess.run(
        [sys.executable, "-c", DISPATCHED, gpu.name],
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
