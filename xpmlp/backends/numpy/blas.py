"""The BLAS library that NumPy has loaded: what it is, and how C code calls its products."""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

OWN_FOLDERS = ("/numpy.libs", "/numpy/.dylibs", "/numpy/.libs")  # of NumPy's wheels
OPENBLAS_AFFIXES = (("scipy_", "64_"), ("scipy_", ""), ("", "64_"), ("", ""))
OPENMP = 2
ROW_MAJOR, AS_IT_IS, TRANSPOSED = 101, 111, 112
SHAPES = ((3, 2), (4, 2), (3, 4))  # of A, B and C ← A Bᵀ + C
FINDING = Lock()


class NoBlas(Exception):
    """Why NumPy's BLAS can't be called from C here, in words for people."""


class Threads:
    """The number of threads of a library's calls.

    read, write: of all threads of the process; write_own: of the calling thread alone, returning
    the number before, where 0 is that of the process.
    """

    def __init__(
        self,
        read: Callable[[], int],
        write: Callable[[int], object],
        write_own: Callable[[int], int] = lambda _: 0,
    ) -> None:
        self.read, self.write, self.write_own = read, write, write_own
        self.lock, self.users, self.before = Lock(), 0, 1

    @contextmanager
    def one(self) -> Iterator[None]:
        """Let calls use one thread; the last of those that asked puts the number back."""
        own = self.write_own(0)
        with self.lock:
            if not self.users:
                self.before = self.read()
                self.write(1)
            self.users += 1
        try:
            yield
        finally:
            with self.lock:
                self.users -= 1
                if not self.users:
                    self.write(self.before)
            self.write_own(own)


class Blas(NamedTuple):
    """A library of matrix products.

    name: library and version, for reports. sgemm, dgemm: addresses of cblas_sgemm and
    cblas_dgemm; their integers, enumerations apart, have index_bits bits, 32 or 64.
    """

    name: str
    sgemm: int
    dgemm: int
    index_bits: int
    threads: Threads

    def one_thread(self) -> AbstractContextManager[None]:
        """Return a block inside which each call, from any thread, uses no thread but its own.

        The number before is put back after it, also on errors. Blocks may be nested, and open in
        several threads at once: then the last that ends puts it back.
        """
        return self.threads.one()


def blas_in_use() -> str:
    """Return name, version, kernels and threads of NumPy's BLAS library, "" where unknown.

    OpenBLAS chooses kernels by the processor, unless OPENBLAS_CORETYPE was set before NumPy was
    imported: "SkylakeX" are those for AVX-512, "Haswell" those for AVX2.
    """
    try:
        library = loaded_by_numpy()
    except NoBlas:
        return ""
    kernels, threads = library.get("architecture"), library["num_threads"]
    return ", ".join(
        [
            f"{library['internal_api']} {library['version']}",
            *([f"{kernels} kernels"] if kernels else []),
            f"{threads} thread{'s' * (threads > 1)}",
        ]
    )


def numpy_blas() -> Blas:
    """Return the BLAS that NumPy has loaded, once its products were seen to be right.

    OpenBLAS with threads of its own, and MKL. Raises NoBlas with the reason for any other.
    """
    with FINDING:
        return _checked()


@cache
def _checked() -> Blas:
    about = loaded_by_numpy()
    kind, file = about["internal_api"], Path(about["filepath"]).name
    if kind not in MAKERS:
        raise NoBlas(f"NumPy's BLAS is {kind} ({file}), not OpenBLAS or MKL")
    try:
        blas = MAKERS[kind](ctypes.CDLL(about["filepath"]), about)
    except (OSError, AttributeError) as error:
        raise NoBlas(f"NumPy's BLAS, {file}, can't be called from C: {error}") from error
    check_products(blas)
    return blas


def loaded_by_numpy() -> dict[str, Any]:
    """Return what threadpoolctl tells of NumPy's BLAS.

    It is the one that lies in the folder of NumPy's wheel or, where none does, as in conda and
    Linux distributions, the only one that is loaded. Raises NoBlas where that is none, or several.
    """
    from threadpoolctl import threadpool_info

    loaded = [library for library in threadpool_info() if library["user_api"] == "blas"]
    found = [library for library in loaded if _is_numpys_own(library)] or loaded
    if not found:
        raise NoBlas(f"NumPy's BLAS ({_built_with()}) is none whose threads can be set")
    if len(found) > 1:
        files = " and ".join(sorted(Path(library["filepath"]).name for library in found))
        raise NoBlas(f"several BLAS libraries are loaded, and which is NumPy's is unknown: {files}")
    return dict(found[0])


def _is_numpys_own(library: dict[str, Any]) -> bool:
    return Path(library["filepath"]).parent.as_posix().endswith(OWN_FOLDERS)


def _built_with() -> str:
    """Return the BLAS that NumPy was built with; `accelerate` in its wheels for macOS 14."""
    built: Any = np.show_config(mode="dicts")
    return str(built.get("Build Dependencies", {}).get("blas", {}).get("name", "unknown"))


def openblas(library: ctypes.CDLL, about: dict[str, Any]) -> Blas:
    """Return OpenBLAS, under the names that it was built with.

    Raises NoBlas where it is built with OpenMP: each thread that calls it has then a number of
    threads of its own, which no other can set. Raises AttributeError for names that are missing.
    """
    prefix, suffix = next(
        (affixes for affixes in OPENBLAS_AFFIXES if hasattr(library, "cblas_sgemm".join(affixes))),
        OPENBLAS_AFFIXES[-1],
    )

    def named(name: str) -> Any:
        return library[f"{prefix}{name}{suffix}"]

    name = f"OpenBLAS {about['version']}"
    if named("openblas_get_parallel")() == OPENMP:
        raise NoBlas(f"{name} is built with OpenMP, and counts the threads of each caller apart")
    config = named("openblas_get_config")
    config.restype = ctypes.c_char_p
    return Blas(
        name,
        _address(named("cblas_sgemm")),
        _address(named("cblas_dgemm")),
        64 if b"USE64BITINT" in config() else 32,
        Threads(named("openblas_get_num_threads"), named("openblas_set_num_threads")),
    )


def mkl(library: ctypes.CDLL, about: dict[str, Any]) -> Blas:
    """Return MKL, whose names that end on _64 take 64-bit integers whatever else was chosen.

    Raises NoBlas where it runs on TBB, which has threads that MKL does not set. Raises
    AttributeError for names that are missing, as in versions before 2022.
    """
    name = f"MKL {about['version']}"
    if about.get("threading_layer") == "tbb":
        raise NoBlas(f"{name} runs on TBB, whose number of threads it can't set")
    return Blas(
        name,
        _address(library["cblas_sgemm_64"]),
        _address(library["cblas_dgemm_64"]),
        64,
        Threads(
            library["MKL_Get_Max_Threads"],
            library["MKL_Set_Num_Threads"],
            library["MKL_Set_Num_Threads_Local"],
        ),
    )


MAKERS: dict[str, Callable[[ctypes.CDLL, dict[str, Any]], Blas]] = {
    "openblas": openblas,
    "mkl": mkl,
}


def _address(function: Any) -> int:
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address is not None
    return address


def check_products(blas: Blas) -> None:
    """Compare a small product of each dtype with NumPy's own. Raises NoBlas where they differ."""
    kinds = ((blas.sgemm, ctypes.c_float, "float32"), (blas.dgemm, ctypes.c_double, "float64"))
    for address, real, dtype in kinds:
        a, b, c = (np.arange(m * n).reshape(m, n).astype(dtype) for m, n in SHAPES)
        expected = np.matmul(a, b.T) + c
        _add_product(_gemm(address, blas.index_bits, real), a, b, c)
        if not np.array_equal(c, expected):
            raise NoBlas(f"{blas.name} multiplies {dtype} wrongly when it is called from C")


def _gemm(address: int, index_bits: int, real: Any) -> Callable[..., None]:
    """Return cblas_sgemm, or with double for a real number cblas_dgemm, as a function."""
    index = ctypes.c_int64 if index_bits == 64 else ctypes.c_int32
    enumeration, array = ctypes.c_int, ctypes.c_void_p
    factors = (array, index, array, index)
    types = (*[enumeration] * 3, *[index] * 3, real, *factors, real, array, index)
    return ctypes.CFUNCTYPE(None, *types)(address)


def _add_product(gemm: Callable[..., None], a: Any, b: Any, c: Any) -> None:
    """Compute C ← A Bᵀ + C, where A is (M, K), B is (N, K) and C is (M, N), each row by row."""
    (rows, inner), columns = a.shape, len(b)
    form = (ROW_MAJOR, AS_IT_IS, TRANSPOSED, rows, columns, inner)
    factors = (a.ctypes.data, inner, b.ctypes.data, inner)
    gemm(*form, 1.0, *factors, 1.0, c.ctypes.data, columns)
