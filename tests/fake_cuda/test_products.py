"""The stand-in for cuBLAS: its products against NumPy's, and what it refuses."""

import ctypes

import numpy as np
import pytest

from tests.fake_cuda.blas import COMPUTE, DOUBLE, SINGLE, Blas, factor, fortran, random

INVALID_VALUE, EXECUTION_FAILED, NOT_SUPPORTED = 7, 13, 15
TF32 = 77


@pytest.mark.parametrize("kind", [SINGLE, DOUBLE])
@pytest.mark.parametrize("transa", [0, 1])
@pytest.mark.parametrize("transb", [0, 1])
def test_products(fake, cupy, kind, transa, transb):
    dtype = ["float32", "float64"][kind]
    a, b, c = random(5, 7, dtype=dtype), random(7, 3, dtype=dtype), random(5, 3, dtype=dtype)
    put_a, put_b = (fortran(cupy, m.T if t else m) for m, t in ((a, transa), (b, transb)))
    put_c = fortran(cupy, c)
    blas = Blas()
    assert blas.gemm(transa, transb, (5, 3, 7), 1.5, put_a, put_b, -0.5, put_c, kind) == 0
    expected = 1.5 * a @ b - 0.5 * c
    np.testing.assert_allclose(cupy.asnumpy(put_c), expected, rtol=1e-4 if kind == 0 else 1e-12)
    logged = fake.gemms[0]
    assert logged["function"] == "cublasGemmEx"
    assert [logged[name] for name in ("m", "n", "k", "transa", "transb")] == [
        *(5, 3, 7, transa, transb)
    ]
    assert (logged["compute_type"], logged["batch"]) == (COMPUTE[kind], 1)


def test_rows_first_by_swapped_operands(fake, cupy):
    a, b = random(5, 7, dtype="float64"), random(7, 3, dtype="float64")
    c = cupy.empty((5, 3))
    blas = Blas()
    put_a, put_b = cupy.asarray(a), cupy.asarray(b)
    assert blas.gemm(0, 0, (3, 5, 7), 1.0, put_b, put_a, 0.0, c, lds=(3, 7, 3)) == 0
    np.testing.assert_allclose(cupy.asnumpy(c), a @ b)


def test_tf32_rounds_its_inputs(fake, cupy):
    a, b = random(8, 8), random(8, 8)
    errors = {}
    for compute in (COMPUTE[SINGLE], TF32):
        c = fortran(cupy, np.zeros((8, 8), "float32"))
        blas = Blas()
        put = (fortran(cupy, a), fortran(cupy, b))
        assert blas.gemm(0, 0, (8, 8, 8), 1.0, *put, 0.0, c, SINGLE, compute) == 0
        errors[compute] = np.abs(cupy.asnumpy(c) - a @ b).max()
    assert errors[COMPUTE[SINGLE]] < 1e-5 < errors[TF32] < 1e-2


@pytest.mark.parametrize("kind", [SINGLE, DOUBLE])
def test_batches(fake, cupy, kind):
    dtype = ["float32", "float64"][kind]
    a, b = random(4, 5, 7, dtype=dtype), random(7, 3, dtype=dtype)
    c, blas = cupy.empty((4, 5, 3), dtype), Blas()
    one, zero = factor(1.0, kind), factor(0.0, kind)
    put_a, put_b = cupy.asarray(a), cupy.asarray(b)
    pointers = [ctypes.c_void_p(m.data.ptr) for m in (put_b, put_a, c)]
    strides = [ctypes.c_longlong(n) for n in (0, 35, 15)]
    status = blas.library.cublasGemmStridedBatchedEx(
        *(blas.handle, 0, 0, 3, 5, 7, one, pointers[0], kind, 3, strides[0]),
        *(pointers[1], kind, 7, strides[1], zero, pointers[2], kind, 3, strides[2], 4),
        *(COMPUTE[kind], -1),
    )
    assert status == 0
    np.testing.assert_allclose(cupy.asnumpy(c), a @ b, rtol=1e-3)


def test_products_poison_the_workspace(fake, cupy):
    a, c, workspace = fortran(cupy, np.eye(2)), cupy.empty((2, 2)), cupy.zeros(128)
    blas = Blas()
    blas.set("SetWorkspace_v2", ctypes.c_void_p(workspace.data.ptr), ctypes.c_size_t(1024))
    assert blas.gemm(0, 0, (2, 2, 2), 1.0, a, a, 0.0, c, lds=(2, 2, 2)) == 0
    assert np.isnan(cupy.asnumpy(workspace)).all()
    inside = workspace[:4].reshape(2, 2)
    assert blas.gemm(0, 0, (2, 2, 2), 1.0, a, a, 0.0, inside, lds=(2, 2, 2)) == EXECUTION_FAILED
    assert "overlaps the workspace" in fake.errors[-1]


@pytest.mark.parametrize("lds", [(4, 7, 5), (5, 6, 5), (5, 7, 4)])
def test_leading_dimensions_that_are_too_small(fake, cupy, lds):
    a, b, c = cupy.zeros((7, 5)), cupy.zeros((3, 7)), cupy.zeros((3, 5))
    assert Blas().gemm(0, 0, (5, 3, 7), 1.0, a, b, 0.0, c, lds=lds) == INVALID_VALUE


def test_products_that_are_refused(fake, cupy):
    a, c = cupy.zeros((4, 4)), cupy.zeros((4, 4))
    blas, alpha, square = Blas(), cupy.asarray(1.0), (4, 4, 4)
    assert blas.gemm(0, 0, (4, 4, 4), 1.0, a, a, 0.0, c, compute=TF32, lds=square) == NOT_SUPPORTED
    assert blas.gemm(0, 0, (4, 4, 4), alpha, a, a, 0.0, c, lds=square) == EXECUTION_FAILED
    assert "in host pointer mode" in fake.errors[-1]
    large = (8, 4, 4)
    assert blas.gemm(0, 0, large, 1.0, a, a, 0.0, c, lds=(8, 4, 8)) == EXECUTION_FAILED
    assert "beyond the end" in fake.errors[-1]
    blas.library.cublasGetStatusString.restype = ctypes.c_char_p
    assert blas.library.cublasGetStatusString(INVALID_VALUE).startswith(b"an unsupported value")
    version = ctypes.c_int()
    assert blas.library.cublasGetProperty(0, ctypes.byref(version)) == 0
    assert version.value == 13
    blas.set("Destroy_v2")
