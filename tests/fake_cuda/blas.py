"""cuBLAS as a caller sees it."""

import ctypes
import importlib

import numpy as np

SINGLE, DOUBLE = 0, 1
COMPUTE = {SINGLE: 68, DOUBLE: 70}


class Blas:
    """cuBLAS as a caller sees it, by ctypes."""

    def __init__(self, stream=0):
        pathfinder = importlib.import_module("cuda.pathfinder")
        self.library = ctypes.CDLL(pathfinder.load_nvidia_dynamic_lib("cublas").abs_path)
        self.handle = ctypes.c_void_p()
        assert self.library.cublasCreate_v2(ctypes.byref(self.handle)) == 0
        self.set("SetStream_v2", ctypes.c_void_p(stream))

    def set(self, what, *values):
        status = getattr(self.library, f"cublas{what}")(self.handle, *values)
        assert status == 0

    def gemm(
        self, transa, transb, sizes, alpha, a, b, beta, c, kind=DOUBLE, compute=None, lds=None
    ):
        lda, ldb, ldc = lds or (m.strides[1] // m.itemsize for m in (a, b, c))
        pointers = [ctypes.c_void_p(m.data.ptr) for m in (a, b, c)]
        numbers = [ctypes.c_int(n) for n in (transa, transb, *sizes)]
        compute = ctypes.c_int(compute or COMPUTE[kind])
        return self.library.cublasGemmEx(
            *(self.handle, *numbers, factor(alpha, kind), pointers[0], kind, lda, pointers[1]),
            *(kind, ldb, factor(beta, kind), pointers[2], kind, ldc, compute, ctypes.c_int(-1)),
        )


def factor(value, kind):
    if isinstance(value, float):
        return ctypes.byref(ctypes.c_double(value) if kind == DOUBLE else ctypes.c_float(value))
    return ctypes.c_void_p(value.data.ptr)


def fortran(cupy, array):
    return cupy.asarray(np.asfortranarray(array))


def random(*shape, dtype="float32"):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)
