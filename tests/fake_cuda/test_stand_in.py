"""The stand-in for a GPU: its threads, its memory, its graphs, and its products."""

import ctypes
import gc
import importlib
from pathlib import Path

import numpy as np
import pytest

from tests.fake_cuda import FakeCudaError
from tests.fake_cuda.blas import DOUBLE, Blas, factor, fortran, random

ORDERS = ["forward", "backward", 0, 1, 2]
INVALID_VALUE, EXECUTION_FAILED = 7, 13

SOURCE = (Path(__file__).parent / "samples.cu").read_text()


@pytest.fixture
def kernel(cupy):
    module = cupy.RawModule(code=SOURCE, options=("-DBARRIER=__syncthreads();",))
    return module.get_function


@pytest.mark.parametrize("order", ORDERS)
def test_a_block_reduction(fake, cupy, kernel, order):
    fake.order = order
    x = random(40, 1000)
    out = cupy.empty(40, "float32")
    assert np.isnan(cupy.asnumpy(out)).all()
    kernel("block_sum")((40,), (256,), (cupy.asarray(x), out, np.int32(1000)))
    np.testing.assert_allclose(cupy.asnumpy(out), x.sum(1), rtol=1e-4, atol=1e-4)
    assert fake.kernel_launches == ["block_sum"]


def test_a_missing_barrier_shows_in_some_order(fake, cupy):
    kernel = cupy.RawModule(code=SOURCE, options=("-DBARRIER=",)).get_function("block_sum")
    x = random(1, 1000)
    right = []
    for order in ORDERS:
        fake.order = order
        out = cupy.empty(1, "float32")
        kernel((1,), (256,), (cupy.asarray(x), out, 1000))
        right.append(bool(np.allclose(cupy.asnumpy(out), x.sum(1), atol=1e-4)))
    assert not all(right)


@pytest.mark.parametrize("order", ORDERS)
def test_the_last_block_sums_up(fake, cupy, kernel, order):
    fake.order = order
    x, ticket = random(3000, dtype="float64"), cupy.zeros(1, "uint32")
    parts, out = cupy.empty(12), cupy.empty(())
    for _ in range(2):
        arguments = (cupy.asarray(x), parts, out, ticket, 3000)
        kernel("last_block_sum")((12,), (256,), arguments)
        np.testing.assert_allclose(cupy.asnumpy(out), x.sum(), rtol=1e-12)
        assert cupy.asnumpy(ticket) == 0


@pytest.mark.parametrize("order", ORDERS)
def test_shuffles(fake, cupy, kernel, order):
    fake.order = order
    down, spread = cupy.empty(64, "int32"), cupy.empty(64, "uint32")
    early = cupy.empty(32)
    kernel("shifted")((1,), (64,), (down, spread, early))
    numbers = np.arange(64)
    assert (cupy.asnumpy(down) == numbers + (numbers % 32 < 31)).all()
    assert (cupy.asnumpy(spread) == numbers // 32 * 32 + 5).all()
    lanes = np.arange(32)
    assert (cupy.asnumpy(early) == np.where(lanes < 16, lanes + 16, lanes)).all()


def test_vectors_of_four(cupy, kernel):
    x, out = cupy.asarray(random(32)), cupy.empty(32, "float32")
    kernel("copy_four")((1,), (8,), (x, out))
    assert (cupy.asnumpy(out) == cupy.asnumpy(x)).all()


def test_shared_memory_holds_nothing_yet(cupy, kernel):
    out = cupy.zeros(4, "float32")
    kernel("uninitialised")((1,), (4,), (out,))
    assert np.isnan(cupy.asnumpy(out)).all()


@pytest.mark.parametrize(
    ("name", "problem"), [("uneven", "threads that returned"), ("deadlocked", "lanes elsewhere")]
)
def test_barriers_that_not_all_reach(fake, cupy, kernel, name, problem):
    x = cupy.zeros(32, "int32")
    for _ in range(2):
        kernel(name)((1,), (32,), (x,))
        with pytest.raises(FakeCudaError, match=problem):
            fake.finish()
    kernel("scale")((1,), (32,), (cupy.zeros(32, "float32"), np.float32(1), 32))
    fake.finish()


def test_writes_beyond_an_array(fake, cupy, kernel):
    x = cupy.zeros(10, "float32")
    kernel("scale")((1,), (32,), (x, np.float32(2), 11))
    with pytest.raises(FakeCudaError, match="wrote beyond"):
        fake.finish()


@pytest.mark.parametrize("start", [1, 2])
def test_vectors_that_are_not_aligned(fake, cupy, kernel, start):
    x, out = cupy.asarray(random(36)), cupy.empty(36, "float32")
    for one, other in ((x[start:], out), (x, out[start:])):
        kernel("copy_four")((1,), (8,), (one, other))
        with pytest.raises(FakeCudaError, match="copy_four: misaligned address"):
            fake.finish()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((2.0, 4), "float for a parameter of kind f and 4 bytes"),
        ((np.float32(2), 4.0), "float for a parameter of kind i"),
        ((np.float32(2), np.int64(4)), "int64 for a parameter of kind i and 4 bytes"),
        ((np.float32(2),), "2 arguments for 3"),
    ],
)
def test_arguments_of_other_types(cupy, kernel, arguments, problem):
    with pytest.raises(FakeCudaError, match=problem):
        kernel("scale")((1,), (4,), (cupy.zeros(4, "float32"), *arguments))


def test_pointers_of_other_types(cupy, kernel):
    with pytest.raises(FakeCudaError, match="float64 for a pointer to f4"):
        kernel("scale")((1,), (4,), (cupy.zeros(4), np.float32(2), 4))
    with pytest.raises(TypeError, match="ndarray"):
        kernel("scale")((1,), (4,), (np.zeros(4, "float32"), np.float32(2), 4))


def test_launch_bounds(cupy, kernel):
    x = cupy.zeros(4, "float32")
    with pytest.raises(FakeCudaError, match="bounds are 256"):
        kernel("block_sum")((1,), (512,), (x, x, 4))


def test_sources_that_do_not_compile(fake, cupy):
    module = cupy.RawModule(code='extern "C" __global__ void broken(int x) { return y; }')
    with pytest.raises(cupy.cuda.compiler.CompileException, match=r"kernels.cu:1.*'y' was not"):
        module.get_function("broken")
    assert fake.compilations == 0


@pytest.mark.parametrize("word", ["INFINITY", "NAN", "M_PI", "int64_t(1)", "std::abs(x[0])"])
def test_names_that_nvrtc_lacks(cupy, word):
    code = f'extern "C" __global__ void f(double* x) {{ x[0] = {word}; }}'
    with pytest.raises(cupy.cuda.compiler.CompileException, match="not declared|not been decl"):
        cupy.RawModule(code=code).get_function("f")
    macro = (f"-D{word}=__longlong_as_double(0)",)
    if word.isupper():
        cupy.RawModule(code=code, options=macro).get_function("f")


def test_work_off_the_device(fake, cupy, kernel):
    x, namespace = cupy.zeros(4, "float32"), importlib.import_module("array_api_compat.cupy")
    launch = kernel("scale")
    fake.enter(-1)
    try:
        for work in (
            lambda: launch((1,), (4,), (x, np.float32(2), 4)),
            lambda: cupy.empty(3),
            lambda: cupy.asnumpy(x),
            lambda: namespace.sum(x),
            lambda: x + x,
            lambda: cupy.copyto(x, x),
        ):
            with pytest.raises(FakeCudaError, match="off the device"):
                work()
    finally:
        fake.enter(1)


def test_arrays_of_the_namespace(fake, cupy):
    namespace = importlib.import_module("array_api_compat.cupy")
    x = namespace.asarray(random(3, 4))
    results = (x + 1, namespace.sum(x), x[1], x[1, 2], x.sum(), namespace.stack([x, x]), x.T)
    for result in results:
        assert type(result) is cupy.ndarray
        assert result.dtype == "float32"
    for result in (x, *results[:2], *results[4:]):
        assert result.data.ptr % 256 == 0
    x[...] = 0.0
    assert cupy.asnumpy(results[3]) == 0
    assert float(x[0, 0]) == 0
    x += 1
    with pytest.raises(TypeError, match="Unsupported type"):
        x + np.ones(4)
    assert fake.uploads == [(3, 4)]
    assert fake.downloads == [(), ()]


def test_memory_is_counted_and_freed(fake, cupy):
    before = fake.live_bytes
    x = cupy.empty((10, 10))
    view = x[2:]
    assert cupy.get_default_memory_pool().total_bytes() - before == 800
    del x
    gc.collect()
    assert fake.live_bytes - before == 800
    del view
    assert fake.live_bytes == before


@pytest.fixture
def stream(cupy):
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        yield stream
    assert cupy.cuda.get_current_stream().ptr == 0


def test_a_graph_waits_and_repeats(fake, cupy, kernel, stream):
    x, kept = cupy.asarray(np.ones(4, "float32")), cupy.zeros(4, "float32")
    factor = np.array(2, "float32")
    stream.begin_capture()
    assert stream.is_capturing()
    cupy.copyto(kept, x)
    graph = stream.end_capture()
    assert (cupy.asnumpy(kept) == 0).all()
    scale = kernel("scale")
    stream.begin_capture()
    cupy.copyto(kept, x)
    scale((1,), (32,), (x, factor[()], 4))
    factor[...] = 100
    both = stream.end_capture()
    assert (cupy.asnumpy(x) == 1).all()
    for _ in range(3):
        both.launch()
    assert (cupy.asnumpy(x) == 8).all()
    assert (cupy.asnumpy(kept) == 4).all()
    graph.launch(stream)
    assert (cupy.asnumpy(kept) == 8).all()
    assert fake.graphs == [["copy"], ["copy", "scale"]]
    assert (fake.captures, fake.graph_launches, fake.kernel_launches) == (2, 4, [])


def test_what_a_capture_refuses(cupy, stream):
    x = cupy.zeros((4, 4), "float32")
    for work in (
        lambda: cupy.empty(3),
        lambda: cupy.asarray([1.0]),
        lambda: cupy.asnumpy(x),
        lambda: cupy.copyto(x, x.T),
        lambda: x * 2,
        stream.synchronize,
    ):
        stream.begin_capture()
        with pytest.raises(FakeCudaError, match="not permitted while a stream captures"):
            work()
        with pytest.raises(FakeCudaError, match="invalidated"):
            stream.end_capture()
    stream.begin_capture()
    with cupy.cuda.Stream(), pytest.raises(FakeCudaError, match="another stream"):
        cupy.copyto(x, x)
    with pytest.raises(FakeCudaError, match="invalidated"):
        stream.end_capture()


@pytest.mark.parametrize("replaced", [False, True])
def test_freed_memory_is_noticed(cupy, kernel, stream, replaced):
    x, scale = cupy.zeros(4, "float32"), kernel("scale")
    stream.begin_capture()
    scale((1,), (32,), (x, np.float32(2), 4))
    graph = stream.end_capture()
    graph.launch()
    del x
    others = [cupy.zeros(4, "float32") for _ in range(50)] if replaced else []
    with pytest.raises(FakeCudaError, match="no live memory|freed meanwhile"):
        graph.launch()
    del others


def test_factors_on_the_device_are_read_by_each_launch(fake, cupy, stream):
    a = random(4, 4, dtype="float64")
    put, c = fortran(cupy, a), fortran(cupy, np.ones((4, 4)))
    alpha, beta, workspace = cupy.asarray(2.0), cupy.asarray(0.0), cupy.empty(4096, "uint8")
    blas = Blas(stream.ptr)
    blas.set("SetWorkspace_v2", ctypes.c_void_p(workspace.data.ptr), ctypes.c_size_t(4096))
    blas.set("SetPointerMode_v2", 1)
    assert blas.gemm(0, 0, (4, 4, 4), alpha, put, put, beta, fortran(cupy, np.ones((4, 4)))) == 0
    stream.begin_capture()
    assert blas.gemm(0, 0, (4, 4, 4), alpha, put, put, beta, c) == 0
    graph = stream.end_capture()
    assert (cupy.asnumpy(c) == 1).all()
    graph.launch()
    np.testing.assert_allclose(cupy.asnumpy(c), 2 * a @ a)
    beta[...] = 3.0
    graph.launch()
    np.testing.assert_allclose(cupy.asnumpy(c), 8 * a @ a)
    assert graph.nodes == ["gemm"]
    logged = fake.gemms[-1]
    assert (logged["stream"], logged["pointer_mode"], logged["captured"]) == (stream.ptr, 1, 1)
    assert (logged["workspace"], logged["workspace_bytes"]) == (workspace.data.ptr, 4096)
    del workspace
    with pytest.raises(FakeCudaError, match="gemm, workspace: a pointer into no live memory"):
        graph.launch()


def test_factors_on_the_host_are_read_by_the_call(fake, cupy, stream):
    a, c = fortran(cupy, np.eye(2)), fortran(cupy, np.zeros((2, 2)))
    workspace, alpha = cupy.empty(256, "uint8"), ctypes.c_double(5)
    blas = Blas(stream.ptr)
    blas.set("SetWorkspace_v2", ctypes.c_void_p(workspace.data.ptr), ctypes.c_size_t(256))
    assert blas.gemm(0, 0, (2, 2, 2), 1.0, a, a, 0.0, c) == 0
    stream.begin_capture()
    pointers = [ctypes.c_void_p(m.data.ptr) for m in (a, a, c)]
    status = blas.library.cublasGemmEx(
        *(blas.handle, 0, 0, 2, 2, 2, ctypes.byref(alpha), pointers[0], 1, 2, pointers[1], 1, 2),
        *(factor(0.0, DOUBLE), pointers[2], 1, 2, 70, -1),
    )
    assert status == 0
    alpha.value = 7
    stream.end_capture().launch()
    np.testing.assert_array_equal(cupy.asnumpy(c), 5 * np.eye(2))


def test_a_capture_loads_no_kernel_of_cublas(fake, cupy, stream):
    a, c = fortran(cupy, np.eye(2)), fortran(cupy, np.zeros((4, 2)))
    workspace, blas = cupy.empty(256, "uint8"), Blas(stream.ptr)
    blas.set("SetWorkspace_v2", ctypes.c_void_p(workspace.data.ptr), ctypes.c_size_t(256))
    assert blas.gemm(0, 0, (2, 2, 2), 1.0, a, a, 0.0, c[:2], lds=(2, 2, 4)) == 0
    stream.begin_capture()
    assert blas.gemm(0, 0, (2, 2, 2), 1.0, a, a, 0.0, c[1:3], lds=(2, 2, 4)) == EXECUTION_FAILED
    assert "loads a kernel during the capture" in fake.errors[-1]
    with pytest.raises(FakeCudaError, match="invalidated"):
        stream.end_capture()


def test_a_captured_product_needs_a_workspace_of_ones_own(fake, cupy, stream):
    a, c = fortran(cupy, np.eye(2)), fortran(cupy, np.zeros((2, 2)))
    workspace = cupy.empty(512, "uint8")
    blas = Blas(stream.ptr)
    pointer, size = ctypes.c_void_p(workspace.data.ptr), ctypes.c_size_t(512)
    blas.set("SetWorkspace_v2", pointer, size)
    blas.set("SetStream_v2", ctypes.c_void_p(stream.ptr))
    stream.begin_capture()
    assert blas.gemm(0, 0, (2, 2, 2), 1.0, a, a, 0.0, c) == EXECUTION_FAILED
    assert "captured without a workspace" in fake.errors[-1]
    with pytest.raises(FakeCudaError, match="invalidated"):
        stream.end_capture()
    off = ctypes.c_void_p(workspace.data.ptr + 16)
    assert blas.library.cublasSetWorkspace_v2(blas.handle, off, size) == INVALID_VALUE
