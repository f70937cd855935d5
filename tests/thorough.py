"""What runs with --all, or where a file is named, and not in the three minutes of `scripts/test`.

The short suite keeps what a user must be able to trust: the mathematics against central
differences and autograds, the agreement of the libraries, data, files, resuming, the commands.
JAX, which compiles each operation for each shape, takes part by its autograd, in activations,
worked and published nets, and in whole trainings beside NumPy's.
"""

import os
from fnmatch import fnmatchcase

import pytest

VARIABLE = "XPMLP_TEST_ALL"
THOROUGH = (
    "backends/test_agreement.py::test_200_compiled*[[]depth0*",
    "backends/test_agreement.py::test_200_compiled*[[]relu*",
    "backends/test_agreement.py::test_200_compiled*[[]s*",
    "backends/test_bfloat16.py*",
    "backends/test_captured.py*",
    "backends/test_cublas.py*",
    "backends/test_cupy*.py*",
    "backends/test_device_rows.py*",
    "backends/test_kernels.py::test_an_operation*",
    "backends/test_matmul_precision.py*",
    "backends/test_native.py::test_a_deep*[[]float32*",
    "backends/test_native.py::test_a_deep*[[]*small*",
    "backends/test_native.py::test_a_deep*[[]*wide*",
    "backends/test_native.py::test_every*",
    "backends/test_native.py::test_shapes*",
    "backends/test_native_operations.py*",
    "backends/test_probe.py*",
    "bench/*",
    "compiler/test_cpu_source.py::test_a_text*[[][!as]*",
    "compiler/test_cuda_source.py*",
    "cuda/*",
    "data/tables/test_reading.py::test_240_mb*",
    "estimator/test_arrays.py*",
    "estimator/test_asked_for.py*",
    "estimator/test_checks.py*",
    "estimator/test_going_on.py*",
    "estimator/test_likeness.py*",
    "fake_cuda/*",
    "nn/test_checking.py*[[]jax*",
    "nn/test_dropout.py*[[]jax*",
    "nn/test_losses.py*[[]jax*",
    "nn/test_metrics.py*[[]jax*",
    "nn/test_network.py::test_ensemble*[[]jax*",
    "nn/test_network.py::test_mean*[[]jax*",
    "nn/test_network.py::test_no_argument*[[]jax*",
    "nn/test_regularizers.py*[[]jax*",
    "optim/*[[]jax*",
    "pages/*",
    "pictures/*",
    "recipes/*",
    "runs/test_axes.py*",
    "runs/test_drawing.py*",
    "search/test_grid.py::test_grids_drawn*[[][4-9]]",
    "test_compare.py*",
    "test_evaluate.py*",
    "test_export_readers.py*",
    "test_pages.py::test_snippets*",
    "test_reproduce.py*",
    "test_wheel.py*",
    "training/*[[]*jax*",
)


def runs_all(config: pytest.Config) -> bool:
    """Tell whether the tests that are thorough run."""
    named = config.args_source is pytest.Config.ArgsSource.ARGS
    return named or bool(config.getoption("--all"))


def is_thorough(item: pytest.Item) -> bool:
    """Tell whether a test is in the table, or is marked."""
    name = item.nodeid.removeprefix("tests/")
    marked = item.get_closest_marker("thorough") is not None
    return marked or any(fnmatchcase(name, pattern) for pattern in THOROUGH)


def examples(number: int, few: int) -> int:
    """Return how many random cases a test tries."""
    return number if os.environ.get(VARIABLE) else few
