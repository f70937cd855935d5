"""A CuPy that multiplies and can't compile: found before a run starts, on the stand-in."""

import errno
import importlib
import os

import pytest

from tests.conftest import load_or_skip
from xpmlp.backends import registry
from xpmlp.backends.cuda_driver import Driver
from xpmlp.backends.cupy import install as cupy_install
from xpmlp.backends.registry import select_backend
from xpmlp.errors import BackendUnavailableError

NO_HEADERS = RuntimeError(
    "Failed to find CUDA headers. Please install CUDA toolkit headers (e.g., pip install "
    "cupy-cuda12x[ctk]) or specify CUDA_PATH environment variable."
)
NO_NVRTC = RuntimeError("CuPy failed to load libnvrtc.so.13: OSError: libnvrtc.so.13: cannot open")
SEALED = PermissionError(errno.EACCES, os.strerror(errno.EACCES), f"/{'far' * 80}/kernel_cache")
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/home/.cupy/kernel_cache/a.cubin")
REMEDY = "set CUPY_CACHE_DIR to one that can, or CUPY_CACHE_IN_MEMORY=1"
TROUBLE = {
    "headers": (NO_HEADERS, "cupy: Failed to find CUDA headers", "[ctk]>=14'"),
    "nvrtc": (NO_NVRTC, "cupy: the library libnvrtc.so.13 is missing", "[ctk]>=14'"),
    "sealed": (SEALED, "cupy: its folder of compiled kernels can't be written (Perm", REMEDY),
    "full": (FULL, "cupy: its folder of compiled kernels can't be written (No space", REMEDY),
}


@pytest.fixture
def gpu(cuda, monkeypatch):
    monkeypatch.setattr(registry, "query_driver", lambda: Driver(1, (13, 0), ""))
    monkeypatch.setattr(cupy_install, "installed_packages", lambda: {"cupy-cuda13x": "14.2.0"})
    return cuda


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_cupy_that_compiles_is_taken(gpu, dtype):
    selection = select_backend("auto", "auto", dtype)
    assert (selection.backend.name, selection.fallback_reason) == ("cupy", None)
    assert gpu.graph_launches == 1


@pytest.mark.parametrize("trouble", TROUBLE)
def test_one_that_does_not_is_refused_with_what_helps(gpu, trouble):
    gpu.no_compiler, reason, remedy = TROUBLE[trouble]
    with pytest.raises(BackendUnavailableError) as caught:
        select_backend("cupy", "cuda")
    line = str(caught.value)
    assert line.startswith(f"backend cupy can't run on device cuda: {reason}")
    assert line.endswith(remedy)
    assert "\n" not in line


@pytest.mark.parametrize("trouble", TROUBLE)
def test_auto_then_takes_the_next_library(gpu, monkeypatch, trouble):
    gpu.no_compiler = TROUBLE[trouble][0]
    torch, load = load_or_skip("torch"), registry.load
    monkeypatch.setattr(
        registry, "load", lambda name, *rest: torch if name == "torch" else load(name, *rest)
    )
    assert select_backend("auto", "auto").backend is torch


def test_cupy_loads_its_own_cublas_first(gpu):
    select_backend("cupy", "cuda")
    assert gpu.loads[0] == "cupy"


def test_a_cublas_for_another_cuda_is_refused(gpu, monkeypatch):
    cupy = importlib.import_module("cupy")
    monkeypatch.setattr(cupy.cuda.runtime, "runtimeGetVersion", lambda: 12090)
    with pytest.raises(BackendUnavailableError) as caught:
        select_backend("cupy", "cuda")
    line = str(caught.value)
    assert "cupy: CuPy is for CUDA 12, and this process has cuBLAS 13 (" in line
    assert line.endswith(
        "install both for the same CUDA, or use CuPy in a process without the other"
    )
    torch, load = load_or_skip("torch"), registry.load
    monkeypatch.setattr(
        registry, "load", lambda name, *rest: torch if name == "torch" else load(name, *rest)
    )
    assert select_backend("auto", "auto").backend is torch


def test_a_graph_that_errs_is_refused(gpu, monkeypatch):
    cublas = importlib.import_module("xpmlp.backends.cupy.cublas").Cublas
    monkeypatch.setattr(cublas, "product", lambda *_: None)
    with pytest.raises(BackendUnavailableError, match="small CUDA graph came out wrong"):
        select_backend("cupy", "cuda")
