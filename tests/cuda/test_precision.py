"""Products are in full float32 unless TF32 is asked for, whatever the process did before."""

import subprocess
import sys

import numpy as np
import pytest

from bench.processes import ROOT
from tests.cuda.products import SIDE, product_error

pytestmark = pytest.mark.cuda

# A sum of n random terms in any order gathers about √n roundings.
FULL = float(np.finfo(np.float32).eps) * SIDE**0.5
# TF32 keeps ten bits of each factor: 2⁻¹¹ at most per factor, averaged over signs in a norm.
TF32_AT_LEAST, TF32_AT_MOST = 2e-5, 2e-3
SWITCHED_ON = {
    "torch": "import torch; torch.backends.cuda.matmul.allow_tf32 = True",
    "cupy": "import os; os.environ['CUPY_TF32'] = '1'",
    "jax": "import jax; jax.config.update('jax_default_matmul_precision', 'tensorfloat32')",
}
SAY = "from tests.cuda.products import product_error; from tests.cuda.devices import Place"


@pytest.mark.parametrize("batch_size", [0, 128])
def test_float32_is_full_float32(gpu, batch_size):
    assert 0 < product_error(gpu.backend("float32"), batch_size) < FULL


def test_the_error_is_of_the_products_and_not_of_the_path(gpu):
    assert product_error(gpu.backend("float64"), 128) < 1e-12


@pytest.mark.parametrize("batch_size", [0, 128])
def test_tf32_is_coarser_and_close(gpu, batch_size):
    backend = gpu.backend("float32", matmul_precision="tf32")
    assert TF32_AT_LEAST < product_error(backend, batch_size) < TF32_AT_MOST


def test_one_backend_leaves_another_as_it_was(gpu):
    full = gpu.backend("float32")
    before = product_error(full)
    product_error(gpu.backend("float32", matmul_precision="tf32"))
    assert product_error(full) == before < FULL


def test_tf32_that_was_switched_on_before_is_off(gpu):
    say = f"print(product_error(Place({gpu.name!r}, {gpu.device!r}).backend('float32')))"
    done = subprocess.run(
        [sys.executable, "-c", f"{SWITCHED_ON.get(gpu.name, '')}\n{SAY}\n{say}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < FULL
