"""The fixtures of all tests: a GPU adds to them and changes nothing else."""

import os
import subprocess
import sys

import pytest

from tests.conftest import (
    CPU_BACKENDS,
    HERE,
    HIDDEN,
    VISIBLE,
    hide_gpus,
    is_for_gpus,
    places,
    show_gpus,
)
from xpmlp.backends import registry
from xpmlp.backends.cuda_driver import query_driver


def test_without_a_gpu_there_is_no_gpu_to_skip():
    assert [param.id for param in places(0)] == list(CPU_BACKENDS)
    assert not any(param.marks for param in places(0))


def test_a_gpu_adds_the_libraries_that_know_cuda():
    added = places(2)[len(CPU_BACKENDS) :]
    assert [param.id for param in added] == ["cupy-cuda", "torch-cuda", "jax-cuda"]
    assert [param.values for param in added] == [
        ((name, "cuda:0"),) for name in ("cupy", "torch", "jax")
    ]
    assert all([mark.name for mark in param.marks] == ["cuda"] for param in added)
    assert places(2)[: len(CPU_BACKENDS)] == places(0)


@pytest.mark.parametrize(
    ("name", "marked", "sees"),
    [
        ("test_layers.py", False, False),
        ("test_layers.py", True, True),
        ("cuda/test_runs.py", False, True),
        ("compiler/test_cuda_source.py", False, False),
        ("backends/test_registry.py", False, True),
        ("backends/test_gpu_trouble.py", False, True),
    ],
)
def test_only_tests_for_gpus_see_them(name, marked, sees):
    assert is_for_gpus(HERE / name, marked) == sees


@pytest.mark.parametrize("visible", [None, "1"])
def test_gpus_are_hidden_and_shown_again(monkeypatch, visible):
    hide_gpus(monkeypatch)
    assert (registry.query_driver(), os.environ[VISIBLE]) == (HIDDEN, "")
    selection = registry.select_backend("auto", "auto")
    assert (selection.backend.name, selection.fallback_reason) == ("numpy", None)
    show_gpus(monkeypatch, visible)
    assert registry.query_driver is query_driver
    assert os.environ.get(VISIBLE) == visible


A_GPU = """
from xpmlp.backends import cuda_driver, registry
driver = cuda_driver.Driver(1, (13, 0), "")
cuda_driver.query_driver = registry.query_driver = lambda: driver
"""


def test_on_a_machine_with_a_gpu_an_ordinary_test_sees_none(tmp_path):
    (tmp_path / "a_gpu.py").write_text(A_GPU)
    options = ("-p", "a_gpu", "-p", "no:cacheprovider", str(HERE / "gpus_seen.py"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=HERE.parent,
        env={**os.environ, "PYTHONPATH": str(tmp_path), VISIBLE: "0"},
        capture_output=True,
        text=True,
    )
    assert "2 passed" in done.stdout, done.stdout
