"""CUDA without a GPU: kernels, graphs and cuBLAS calls run on the CPU, as they are written.

`install` puts modules in place of CuPy's. Kernels are compiled by the C++ compiler; the threads
of a block run as coroutines in a chosen order, blocks one after another. Work on a stream is done
when somebody waits for it, not sooner, and of streams that nothing orders the last asked comes
first: this finds races between threads, between blocks, and between streams. What it can't show
is memory of CuPy's pool that another stream takes too early: freed memory is never taken again.
"""

import importlib
import sys
import types
from pathlib import Path
from typing import Any

import array_api_compat
import array_api_compat.numpy
import numpy as np
import pytest

from tests.fake_cuda.library import FakeCudaError, compiler, runtime_path
from xpmlp.backends import registry

__all__ = ["FakeCudaError", "install"]

ROOM = "xpmlp.backends.cupy"


class OutOfMemoryError(MemoryError):
    """As CuPy's."""


class CUDARuntimeError(RuntimeError):
    """As CuPy's."""


def install(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put the fake modules in place for one test; return what counts and steers them."""
    if compiler() is None:
        pytest.skip("no C++ compiler for CUDA kernels on the CPU")
    from tests.fake_cuda.library import runtime
    from tests.fake_cuda.state import MACHINE

    runtime().fake_reset()
    MACHINE.reset()
    MACHINE.out_of_memory = OutOfMemoryError
    namespace = fake_namespace()
    for module in (fake_cupy(), namespace, *fake_products(), *fake_pathfinder()):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(array_api_compat, "cupy", namespace, raising=False)
    forget_backends(monkeypatch)
    monkeypatch.setattr(registry, "KEPT", type(registry.KEPT)())
    return MACHINE


def forget_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the modules that import CuPy imported anew, now and after the test."""
    package = importlib.import_module(ROOM)
    folder = Path(str(package.__file__)).parent
    for name in ("backend", "cublas", "kernels"):
        assert (folder / f"{name}.py").exists()
        monkeypatch.setitem(sys.modules, f"{ROOM}.{name}", package)
        monkeypatch.delitem(sys.modules, f"{ROOM}.{name}")
        monkeypatch.setattr(package, name, None, raising=False)
        monkeypatch.delattr(package, name)


def fake_namespace() -> types.ModuleType:
    from tests.fake_cuda.arrays import namespace_of

    return namespace_of(array_api_compat.numpy, "array_api_compat.cupy")


def fake_cupy() -> types.ModuleType:
    from tests.fake_cuda import arrays, kernels, streams
    from tests.fake_cuda.state import MACHINE

    fake = types.ModuleType("cupy")
    fake.__version__ = "14.2.0"
    for name in ("asarray", "asnumpy", "empty", "zeros", "copyto"):
        setattr(fake, name, getattr(arrays, name))
    fake.ndarray, fake.RawModule = arrays.FakeArray, kernels.RawModule
    pool = types.SimpleNamespace(
        total_bytes=lambda: MACHINE.live_bytes,
        used_bytes=lambda: MACHINE.live_bytes,
        free_all_blocks=lambda stream=None: None,
    )
    fake.get_default_memory_pool = lambda: pool
    fake.cuda = types.SimpleNamespace(
        Device=streams.Device,
        Stream=streams.Stream,
        Graph=streams.Graph,
        get_current_stream=streams.get_current_stream,
        device=types.SimpleNamespace(get_cublas_handle=lambda: MACHINE.loads.append("cupy")),
        memory=types.SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
        compiler=types.SimpleNamespace(CompileException=kernels.CompileException),
        runtime=types.SimpleNamespace(
            CUDARuntimeError=CUDARuntimeError,
            getDeviceProperties=properties,
            runtimeGetVersion=lambda: 13000,
        ),
    )
    return fake


def properties(number: int) -> dict[str, Any]:
    name = f"Fake GPU {number}".encode()
    return {"name": name, "major": 9, "minor": 0, "multiProcessorCount": 132}


def fake_products() -> tuple[types.ModuleType, types.ModuleType]:
    """CuPy's setting of the precision of its own products; it changes nothing here."""
    core = types.ModuleType("cupy._core")
    linalg = types.ModuleType("cupy._core._routines_linalg")
    linalg.COMPUTE_TYPE_DEFAULT, linalg.COMPUTE_TYPE_FP32, linalg.COMPUTE_TYPE_TF32 = 1, 4, 7
    chosen = {np.dtype(np.float32): linalg.COMPUTE_TYPE_DEFAULT}
    linalg.get_compute_type = lambda dtype: chosen[np.dtype(dtype)]
    linalg.set_compute_type = lambda dtype, kind: chosen.update({np.dtype(dtype): kind})
    core.__path__, core._routines_linalg = [], linalg
    return core, linalg


def fake_pathfinder() -> tuple[types.ModuleType, types.ModuleType]:
    from tests.fake_cuda.state import MACHINE

    def load_nvidia_dynamic_lib(libname: str) -> types.SimpleNamespace:
        if libname != "cublas":
            raise RuntimeError(f"{libname} can't be found")
        MACHINE.loads.append("pathfinder")
        return types.SimpleNamespace(abs_path=str(runtime_path()), found_via="fake")

    cuda, pathfinder = types.ModuleType("cuda"), types.ModuleType("cuda.pathfinder")
    cuda.__path__ = []
    pathfinder.load_nvidia_dynamic_lib = load_nvidia_dynamic_lib
    cuda.pathfinder = pathfinder
    return cuda, pathfinder
