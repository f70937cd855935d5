"""Products by cuBLAS: what is asked of the library, against NumPy, on the stand-in."""

import gc
import importlib
import itertools

import numpy as np
import pytest

from tests.fake_cuda import install
from xpmlp.compiler.recording import NotRecordable

SIZES = [(5, 7, 3), (1, 7, 3), (5, 1, 3), (5, 7, 1), (1, 1, 1), (64, 33, 10)]


@pytest.fixture
def cuda(monkeypatch):
    cuda = install(monkeypatch)
    cuda.enter(1)
    yield cuda
    cuda.enter(-1)


@pytest.fixture
def cupy(cuda):
    return importlib.import_module("cupy")


@pytest.fixture
def module(cuda):
    return importlib.import_module("xpmlp.backends.cupy.cublas")


@pytest.fixture
def stream(cupy):
    with cupy.cuda.Stream(non_blocking=True) as stream:
        yield stream


@pytest.fixture
def make(cuda, cupy, module, stream):
    path = importlib.import_module("cuda.pathfinder").load_nvidia_dynamic_lib("cublas").abs_path

    def make(precision="full"):
        workspace = cupy.empty(module.WORKSPACE_BYTES, np.uint8)
        return module.Cublas(path, stream.ptr, workspace, precision)

    return make


def matrix(cupy, shape, transposed, dtype="float64", seed=0):
    """Return a device matrix, or members of it, that lies row by row or column by column."""
    values = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
    if not transposed:
        return cupy.asarray(values), values
    return cupy.asarray(np.ascontiguousarray(values.swapaxes(-1, -2))).swapaxes(-1, -2), values


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_products_of_matrices_however_they_lie(cupy, module, make, sizes, dtype):
    rows, inner, columns = sizes
    cublas, eps = make(), np.finfo(dtype).eps
    for first, second in itertools.product((False, True), repeat=2):
        a, host_a = matrix(cupy, (rows, inner), first, dtype)
        b, host_b = matrix(cupy, (inner, columns), second, dtype, seed=1)
        out = cupy.empty((rows, columns), dtype)
        module.check_product(a, b, out)
        cublas.product(a, b, out)
        assert out.dtype == dtype
        np.testing.assert_allclose(
            cupy.asnumpy(out), host_a @ host_b, rtol=64 * inner * eps, atol=64 * inner * eps
        )


@pytest.mark.parametrize("members", [1, 3])
def test_products_of_members_with_their_own_or_a_shared_factor(cupy, module, make, members):
    cublas = make()
    for shared, transposed in itertools.product((False, True), repeat=2):
        a, host_a = matrix(cupy, (4, 5) if shared else (members, 4, 5), transposed)
        b, host_b = matrix(cupy, (members, 5, 2), not transposed, seed=1)
        out = cupy.empty((members, 4, 2), "float64")
        module.check_product(a, b, out)
        cublas.product(a, b, out)
        np.testing.assert_allclose(cupy.asnumpy(out), host_a @ host_b, rtol=1e-12)


def test_rows_that_are_part_of_a_larger_array(cupy, module, make):
    whole, host = matrix(cupy, (9, 8), transposed=False)
    b, host_b = matrix(cupy, (4, 3), transposed=False, seed=1)
    out = cupy.empty((6, 3), "float64")
    module.check_product(whole[2:8, 1:5], b, out)
    make().product(whole[2:8, 1:5], b, out)
    np.testing.assert_allclose(cupy.asnumpy(out), host[2:8, 1:5] @ host_b)


@pytest.mark.parametrize("on_device", [False, True])
def test_a_product_is_added_to_what_is_there(cuda, cupy, make, on_device):
    a, host_a = matrix(cupy, (5, 7), transposed=True)
    b, host_b = matrix(cupy, (7, 3), transposed=False, seed=1)
    out, host = matrix(cupy, (5, 3), transposed=False, seed=2)
    alpha, beta = -1.5, 0.25
    if on_device:
        alpha, beta = (cupy.asarray(np.array(value)) for value in (alpha, beta))
    make().product(a, b, out, alpha, beta)
    np.testing.assert_allclose(cupy.asnumpy(out), -1.5 * host_a @ host_b + 0.25 * host)
    assert cuda.gemms[-1]["pointer_mode"] == int(on_device)


def test_numbers_on_the_device_are_read_when_a_graph_runs(cupy, make, stream):
    """A velocity's momentum may change without a new capture."""
    a, host_a = matrix(cupy, (5, 7), transposed=False)
    b, host_b = matrix(cupy, (7, 3), transposed=False, seed=1)
    out, host = matrix(cupy, (5, 3), transposed=False, seed=2)
    one, momentum = (cupy.asarray(np.array(value)) for value in (1.0, 0.5))
    cublas = make()
    cublas.product(a, b, cupy.empty((5, 3), "float64"), one, momentum)
    stream.begin_capture()
    cublas.product(a, b, out, one, momentum)
    graph = stream.end_capture()
    np.testing.assert_array_equal(cupy.asnumpy(out), host)
    graph.launch(stream)
    expected = host_a @ host_b + 0.5 * host
    np.testing.assert_allclose(cupy.asnumpy(out), expected)
    momentum[...] = 0.0
    graph.launch(stream)
    np.testing.assert_allclose(cupy.asnumpy(out), host_a @ host_b)


@pytest.mark.parametrize(("precision", "compute", "least"), [("full", 68, 0), ("tf32", 77, 1e-5)])
def test_tf32_only_where_it_was_asked_for(cuda, cupy, make, precision, compute, least):
    a, host_a = matrix(cupy, (40, 50), transposed=False, dtype="float32")
    b, host_b = matrix(cupy, (50, 30), transposed=False, dtype="float32", seed=1)
    out = cupy.empty((40, 30), "float32")
    make(precision).product(a, b, out)
    exact = host_a.astype("float64") @ host_b.astype("float64")
    error = np.linalg.norm(cupy.asnumpy(out) - exact) / np.linalg.norm(exact)
    assert cuda.gemms[-1]["compute_type"] == compute
    assert least < error < (2e-3 if least else 1e-6)


def test_stream_and_workspace_are_the_handles_own(cuda, cupy, make, stream, module):
    cublas = make()
    a, _ = matrix(cupy, (2, 2), transposed=False)
    cublas.product(a, a, cupy.empty((2, 2), "float64"))
    (call,) = cuda.gemms
    assert (call["stream"], call["workspace_bytes"]) == (stream.ptr, module.WORKSPACE_BYTES)
    assert call["workspace"] == cublas.workspace.data.ptr
    assert call["workspace"] % 256 == 0


def test_a_handle_ends_with_its_object(make, module):
    cublas = make()
    (finalizer,) = (f for f in module.weakref.finalize._registry if f.peek()[0] is cublas)
    assert finalizer.peek()[1] is cublas.library.cublasDestroy_v2
    assert not finalizer.atexit
    del cublas
    gc.collect()
    assert not finalizer.alive


def test_what_the_library_says_is_passed_on(cuda, cupy, module, stream):
    path = importlib.import_module("cuda.pathfinder").load_nvidia_dynamic_lib("cublas").abs_path
    workspace = cupy.empty(module.WORKSPACE_BYTES + 8, np.uint8)[8:]
    with pytest.raises(module.CublasError, match=r"cublasSetWorkspace_v2 failed: .* \(status 7\)"):
        module.Cublas(path, stream.ptr, workspace)


@pytest.mark.parametrize(
    ("a", "b", "out", "reason"),
    [
        (np.ones((2, 3)), np.ones((3, 4), "float32"), np.ones((2, 4)), "float32 and float64"),
        (np.ones((2, 3), int), np.ones((3, 4), int), np.ones((2, 4), int), "a product of int64"),
        (np.ones(3), np.ones((3, 4)), np.ones(4), "other than matrices"),
        (np.ones((2, 2, 3)), np.ones((3, 3, 4)), np.ones((3, 2, 4)), "numbers of members"),
        (np.ones((2, 6))[:, ::2], np.ones((3, 4)), np.ones((2, 4)), "neither row by row"),
        (np.ones((2, 3)), np.ones((3, 4)), np.ones((4, 2)).T, "column by column"),
    ],
)
def test_what_it_cannot_multiply_is_refused(cupy, module, a, b, out, reason):
    on_device = [x.view(cupy.ndarray) for x in (a, b, out)]
    with pytest.raises(NotRecordable, match=reason):
        module.check_product(*on_device)
