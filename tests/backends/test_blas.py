"""The BLAS library under NumPy is named as it is."""

import os
import subprocess
import sys

from xpmlp.backends.numpy.backend import NumpyBackend, blas_in_use


def test_the_blas_in_use_is_that_of_the_environment():
    code = "from xpmlp.backends.numpy.backend import blas_in_use; print(blas_in_use())"
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Haswell"}
    text = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    ).stdout
    assert text.split(",")[0] == blas_in_use().split(",")[0].strip()
    if text.startswith("openblas") and "x86" in os.uname().machine:
        assert text.endswith(", Haswell kernels, 1 thread\n")
    assert NumpyBackend("cpu", "float32").describe()["blas"] == blas_in_use()
