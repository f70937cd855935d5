"""Matrix products by cuBLAS, called so that a CUDA graph can record them.

CuPy's own products can't be captured (cupy issue 6290), and cuBLAS must not allocate while a
stream is captured: this handle has its own stream and workspace. Signatures: NVIDIA's cuBLAS
documentation, "cublasGemmEx" and "cublasGemmStridedBatchedEx".
"""

import ctypes
import weakref
from ctypes import (
    POINTER,
    byref,
    c_char_p,
    c_double,
    c_float,
    c_int,
    c_longlong,
    c_size_t,
    c_void_p,
)
from typing import Any, NamedTuple

from xpmlp.compiler.recording import NotRecordable
from xpmlp.errors import SurroundingsError
from xpmlp.types import Array

WORKSPACE_BYTES = 32 * 2**20  # what NVIDIA recommends for Hopper
HOST, DEVICE = 0, 1
DEFAULT_ALGORITHM = -1
MAJOR_VERSION = 0
REAL = {"float32": (0, c_float), "float64": (1, c_double)}  # CUDA_R_32F, CUDA_R_64F
COMPUTE = {
    ("float32", "full"): 68,  # CUBLAS_COMPUTE_32F
    ("float32", "tf32"): 77,  # CUBLAS_COMPUTE_32F_FAST_TF32
    ("float64", "full"): 70,  # CUBLAS_COMPUTE_64F
}
SHAPE = (c_void_p, *(c_int,) * 5, c_void_p)
SIGNATURES: dict[str, tuple[Any, ...]] = {
    "cublasCreate_v2": (POINTER(c_void_p),),
    "cublasDestroy_v2": (c_void_p,),
    "cublasSetStream_v2": (c_void_p, c_void_p),
    "cublasSetWorkspace_v2": (c_void_p, c_void_p, c_size_t),
    "cublasSetPointerMode_v2": (c_void_p, c_int),
    "cublasGemmEx": (
        *SHAPE,
        *(c_void_p, c_int, c_int),
        *(c_void_p, c_int, c_int),
        c_void_p,
        *(c_void_p, c_int, c_int),
        *(c_int, c_int),
    ),
    "cublasGemmStridedBatchedEx": (
        *SHAPE,
        *(c_void_p, c_int, c_int, c_longlong),
        *(c_void_p, c_int, c_int, c_longlong),
        c_void_p,
        *(c_void_p, c_int, c_int, c_longlong),
        *(c_int, c_int, c_int),
    ),
}


class CublasError(Exception):
    """A call of cuBLAS failed."""


class Factor(NamedTuple):
    """A matrix, or one for each member, as cuBLAS sees it.

    transposed: whether its columns lie in one piece, not its rows. leading: entries from one
    row (or column) to the next. stride: entries from one member to the next, 0 for the same.
    """

    address: int
    transposed: bool
    leading: int
    stride: int


class Cublas:
    """A handle of cuBLAS for one stream, with a workspace that is its own.

    workspace: a device array of at least WORKSPACE_BYTES bytes, 256-byte aligned. precision:
    full or tf32, of float32 products. Made and used where its device is the current one.
    Raises CublasError where the library refuses.
    """

    def __init__(self, path: str, stream: int, workspace: Array, precision: str = "full") -> None:
        self.library = ctypes.CDLL(path)
        for name, arguments in SIGNATURES.items():
            getattr(self.library, name).argtypes = arguments
        self.library.cublasGetStatusString.restype = c_char_p
        self.precision, self.workspace = precision, workspace
        handle = c_void_p()
        self._call("cublasCreate_v2", byref(handle))
        self.handle = handle
        weakref.finalize(self, self.library.cublasDestroy_v2, handle).atexit = False
        self._call("cublasSetStream_v2", handle, stream)
        self._call("cublasSetWorkspace_v2", handle, workspace.data.ptr, WORKSPACE_BYTES)

    def product(
        self,
        a: Array,
        b: Array,
        out: Array,
        alpha: float | Array = 1.0,
        beta: float | Array = 0.0,
    ) -> None:
        """Write alpha·ab + beta·out into `out`: (..., N, H), from a: (..., N, D), b: (..., D, H).

        With at most one leading axis, which a or b may lack. alpha and beta are numbers, or
        both arrays of one number on the device, in the dtype of the factors. cuBLAS stores
        columns: what it sees is outᵀ = bᵀaᵀ.
        """
        dtype = str(out.dtype)
        real, number = REAL[dtype]
        (rows, inner), columns = a.shape[-2:], b.shape[-1]
        left, right, result = _factor(b), _factor(a), _factor(out)
        on_device = not isinstance(alpha, float)
        self._call("cublasSetPointerMode_v2", self.handle, DEVICE if on_device else HOST)
        scales = [
            c_void_p(scale.data.ptr) if on_device else byref(number(scale))  # type: ignore[union-attr]
            for scale in (alpha, beta)
        ]
        members = out.shape[0] if out.ndim == 3 else 0
        name = "cublasGemmStridedBatchedEx" if members else "cublasGemmEx"
        matrices = [
            (f.address, real, f.leading, *((f.stride,) if members else ()))
            for f in (left, right, result)
        ]
        self._call(
            name,
            self.handle,
            *(int(left.transposed), int(right.transposed)),
            *(columns, rows, inner),
            scales[0],
            *matrices[0],
            *matrices[1],
            scales[1],
            *matrices[2],
            *((members,) if members else ()),
            COMPUTE[dtype, self.precision],
            DEFAULT_ALGORITHM,
        )

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self.library, name)(*arguments)
        if status:
            text = (self.library.cublasGetStatusString(status) or b"").decode()
            raise CublasError(f"{name} failed: {text or 'unknown'} (status {status})")


def check_version(path: str, major: int) -> None:
    """Raise SurroundingsError unless the library is of this major version, which is CUDA's."""
    found = c_int()
    status = ctypes.CDLL(path).cublasGetProperty(MAJOR_VERSION, byref(found))
    if status or found.value != major:
        raise SurroundingsError(
            f"CuPy is for CUDA {major}, and this process has cuBLAS {found.value} ({path}), as "
            f"from another library; install both for the same CUDA, or use CuPy in a process "
            "without the other"
        )


def check_product(a: Array, b: Array, out: Array) -> None:
    """Raise NotRecordable unless cuBLAS can multiply these arrays as they lie."""
    dtypes = {str(array.dtype) for array in (a, b, out)}
    if len(dtypes) != 1 or not dtypes <= set(REAL):
        raise NotRecordable(f"a product of {' and '.join(sorted(dtypes))}")
    if not all(2 <= array.ndim <= 3 for array in (a, b, out)):
        raise NotRecordable("a product of other than matrices, or members of them")
    if out.ndim == 3 and any(x.ndim == 3 and len(x) not in (1, len(out)) for x in (a, b)):
        raise NotRecordable("a product of different numbers of members")
    *_, result = map(_factor, (a, b, out))
    if result.transposed:
        raise NotRecordable("a product is to be written column by column")


def _factor(array: Array) -> Factor:
    """Return how a matrix lies. Raises NotRecordable where no row and no column is in one piece."""
    size = array.itemsize
    rows, columns = array.shape[-2:]
    down, across = (stride // size for stride in array.strides[-2:])
    shared = array.ndim == 2 or len(array) == 1
    stride = 0 if shared else array.strides[0] // size
    address = array.data.ptr
    if (across == 1 or columns == 1) and (down >= columns or rows == 1):
        return Factor(address, False, max(down if rows > 1 else columns, 1), stride)
    if (down == 1 or rows == 1) and (across >= rows or columns == 1):
        return Factor(address, True, max(across if columns > 1 else rows, 1), stride)
    raise NotRecordable("a factor lies neither row by row nor column by column")
