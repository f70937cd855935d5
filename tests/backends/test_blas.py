"""The BLAS library under NumPy: named as it is, and called from C only where that is sure."""

import ctypes
import os
import subprocess
import sys
from threading import Event, Thread

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from xpmlp.backends.numpy import blas
from xpmlp.backends.numpy.backend import NumpyBackend
from xpmlp.backends.numpy.blas import NoBlas, blas_in_use, numpy_blas

HERE = "/venv/lib/python3/site-packages"
WHEEL = f"{HERE}/numpy.libs/libscipy_openblas64_-32.so"
SCIPYS = f"{HERE}/scipy.libs/libscipy_openblas-68.so"
CONDAS = "/opt/numpy/lib/libopenblasp-r0.3.30.so"
MKLS = "/opt/conda/lib/libmkl_rt.so.2"


def test_the_blas_in_use_is_that_of_the_environment():
    code = "from xpmlp.backends.numpy.blas import blas_in_use; print(blas_in_use())"
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Haswell"}
    text = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    ).stdout
    assert text.split(",")[0] == blas_in_use().split(",")[0].strip()
    if text.startswith("openblas") and "x86" in os.uname().machine:
        assert text.endswith(", Haswell kernels, 1 thread\n")
    assert NumpyBackend("cpu", "float32").describe()["blas"] == blas_in_use()


@pytest.fixture
def library():
    """NumPy's BLAS with two threads."""
    try:
        found = numpy_blas()
    except NoBlas as reason:
        pytest.skip(str(reason))
    before = found.threads.read()
    found.threads.write(2)
    yield found
    found.threads.write(before)


def test_what_numpy_has_loaded_is_found_once(library):
    name, version = library.name.split()
    assert blas_in_use().startswith(f"{name.lower()} {version}")
    assert numpy_blas() is library


def test_inside_the_block_every_thread_uses_one(library):
    seen = []
    with library.one_thread():
        other = Thread(target=lambda: seen.append(library.threads.read()))
        other.start()
        other.join()
        seen.append(library.threads.read())
    assert seen == [1, 1]
    assert library.threads.read() == 2


def test_the_number_before_is_put_back_also_on_errors(library):
    with pytest.raises(ValueError, match="in the block"), library.one_thread():
        raise ValueError("in the block")
    assert library.threads.read() == 2
    with library.one_thread():
        with library.one_thread():
            pass
        assert library.threads.read() == 1
    assert library.threads.read() == 2


def test_of_blocks_in_several_threads_the_last_puts_it_back(library):
    entered, leave = Event(), Event()

    def elsewhere():
        with library.one_thread():
            entered.set()
            leave.wait()

    other = Thread(target=elsewhere)
    with library.one_thread():
        other.start()
        entered.wait()
    assert library.threads.read() == 1
    leave.set()
    other.join()
    assert library.threads.read() == 2


def test_a_number_of_the_calling_thread_s_own_is_put_back():
    numbers = {"all": 4, "own": 3}

    def write_own(number):
        before, numbers["own"] = numbers["own"], number
        return before

    def read():
        return numbers["own"] or numbers["all"]

    threads = blas.Threads(read, lambda number: numbers.update(all=number), write_own)
    with threads.one():
        assert read() == 1
    assert numbers == {"all": 4, "own": 3}


def told(path, kind="openblas", **more):
    """What threadpoolctl tells of a library."""
    about = {"user_api": "blas", "internal_api": kind, "version": "0.3.30", "num_threads": 2}
    return {**about, "filepath": path, "threading_layer": "pthreads", **more}


@pytest.fixture
def loaded(monkeypatch):
    """Let threadpoolctl tell of other libraries."""

    def tell(*libraries):
        openmp = {"user_api": "openmp", "filepath": f"{HERE}/numpy.libs/libgomp.so"}
        monkeypatch.setattr("threadpoolctl.threadpool_info", lambda: [openmp, *libraries])

    blas._checked.cache_clear()
    yield tell
    blas._checked.cache_clear()


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ([SCIPYS, WHEEL], WHEEL),
        ([f"{HERE}/numpy/.dylibs/libscipy_openblas64_.dylib", SCIPYS], None),
        ([CONDAS], CONDAS),
        (["/home/numpy/scipy.libs/libscipy_openblas.so", WHEEL], WHEEL),
    ],
)
def test_numpys_own_is_the_one_in_its_folder_or_the_only_one(loaded, paths, expected):
    loaded(*map(told, paths))
    assert blas.loaded_by_numpy()["filepath"] == (expected or paths[0])
    assert blas_in_use() == "openblas 0.3.30, 2 threads"


@pytest.mark.parametrize(
    ("libraries", "reason"),
    [
        (
            [told(CONDAS), told(SCIPYS)],
            "several BLAS libraries are loaded, and which is NumPy's is unknown: "
            "libopenblasp-r0.3.30.so and libscipy_openblas-68.so",
        ),
        ([], "NumPy's BLAS (accelerate) is none whose threads can be set"),
        ([told("/lib/libblis.so.4", "blis")], "NumPy's BLAS is blis (libblis.so.4), not OpenBLAS"),
        ([told("/nowhere/libopenblas.so")], "libopenblas.so, can't be called from C: "),
        ([told(MKLS, "mkl", threading_layer="tbb")], "MKL 0.3.30 runs on TBB"),
    ],
)
def test_what_is_not_sure_is_refused_with_the_reason(loaded, monkeypatch, libraries, reason):
    monkeypatch.setattr(blas, "_built_with", lambda: "accelerate")
    if any(library["internal_api"] == "mkl" for library in libraries):
        monkeypatch.setattr(ctypes, "CDLL", lambda path: Library({}))
    loaded(*libraries)
    with pytest.raises(NoBlas) as refused:
        numpy_blas()
    assert reason in str(refused.value)


class Library:
    """Stands in for a loaded library that has these names."""

    def __init__(self, names):
        self.names = names

    def __getattr__(self, name):
        if name not in self.names:
            raise AttributeError(f"undefined symbol: {name}")
        return self.names[name]

    __getitem__ = __getattr__


SIGNATURE = ctypes.CFUNCTYPE(None)
GEMM = SIGNATURE(lambda: None)


def openblas(prefix, suffix, parallel=1, config=b"OpenBLAS 0.3.30 DYNAMIC_ARCH", without=()):
    names = {
        **dict.fromkeys(("cblas_sgemm", "cblas_dgemm"), GEMM),
        "openblas_get_parallel": lambda: parallel,
        "openblas_get_config": lambda: config,
        "openblas_get_num_threads": lambda: 2,
        "openblas_set_num_threads": lambda number: None,
    }
    names = {name: entry for name, entry in names.items() if name not in without}
    return Library({f"{prefix}{name}{suffix}": entry for name, entry in names.items()})


@pytest.mark.parametrize(("prefix", "suffix"), blas.OPENBLAS_AFFIXES)
def test_openblas_is_known_by_all_its_names(prefix, suffix):
    found = blas.openblas(openblas(prefix, suffix), told(CONDAS))
    assert (found.name, found.index_bits) == ("OpenBLAS 0.3.30", 32)
    assert found.sgemm == found.dgemm == ctypes.cast(GEMM, ctypes.c_void_p).value
    wide = openblas(prefix, suffix, config=b"OpenBLAS 0.3.30 USE64BITINT DYNAMIC_ARCH")
    assert blas.openblas(wide, told(CONDAS)).index_bits == 64


def test_the_openblas_of_scipys_wheel_has_integers_of_32_bits():
    import scipy.linalg  # noqa: F401

    for about in threadpool_info():
        if "/scipy.libs/libscipy_openblas-" in about["filepath"]:
            found = blas.openblas(ctypes.CDLL(about["filepath"]), about)
            assert found.index_bits == 32
            blas.check_products(found)
            return
    pytest.skip("SciPy has another BLAS here")


def test_an_openblas_that_counts_the_threads_of_each_caller_is_refused():
    with pytest.raises(NoBlas, match=r"OpenBLAS 0\.3\.30 is built with OpenMP"):
        blas.openblas(openblas("", "", parallel=blas.OPENMP), told(CONDAS))


@pytest.mark.parametrize("name", ["cblas_sgemm", "cblas_dgemm", "openblas_set_num_threads"])
def test_a_name_that_is_missing_is_named(loaded, monkeypatch, name):
    monkeypatch.setattr(ctypes, "CDLL", lambda path: openblas("", "", without=(name,)))
    loaded(told(CONDAS))
    with pytest.raises(NoBlas, match=f"can't be called from C: undefined symbol: {name}"):
        numpy_blas()


def test_mkl_is_called_by_names_whose_integers_are_sure():
    names = ("MKL_Get_Max_Threads", "MKL_Set_Num_Threads", "MKL_Set_Num_Threads_Local")
    threads = dict.fromkeys(names, lambda *number: 0)
    products = dict.fromkeys(("cblas_sgemm_64", "cblas_dgemm_64"), GEMM)
    found = blas.mkl(Library({**threads, **products}), told(MKLS, "mkl", version="2025.3"))
    assert (found.name, found.index_bits) == ("MKL 2025.3", 64)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_wrong_products_are_refused(library, dtype):
    """The product is left out: C stays what it was."""
    name = "sgemm" if dtype is np.float32 else "dgemm"
    wrong = library._replace(name="A library", **{name: ctypes.cast(GEMM, ctypes.c_void_p).value})
    with pytest.raises(NoBlas, match=f"^A library multiplies {np.dtype(dtype)} wrongly"):
        blas.check_products(wrong)
