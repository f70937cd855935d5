"""Arrays of a backend's own library: they stay where they are, in their own memory."""

import array_api_strict
import numpy as np
import pytest

from tests.conftest import load_or_skip

HOST = np.arange(24.0).reshape(4, 6) / 7.0
LAID_OUT = ("numpy", "torch", "cupy")
FORMS = {
    "as it is": lambda x: x,
    "transposed": lambda x: x.mT,
    "every other row": lambda x: x[::2, ...],
    "some columns": lambda x: x[:, 1:4],
    "one number": lambda x: x[0, 0, ...],
    "no rows": lambda x: x[:0, ...],
}


def address(backend, array) -> int:
    for name in ("data_ptr", "unsafe_buffer_pointer"):
        if hasattr(array, name):
            return getattr(array, name)()
    data = getattr(array, "data", None)
    return data.ptr if hasattr(data, "ptr") else backend.to_numpy(array).ctypes.data


def assert_put(backend, array, expected: np.ndarray) -> None:
    """The backend puts an array of its library as it would put the same from the host."""
    put, from_host = backend.asarray(array), backend.asarray(expected)
    assert type(put) is type(from_host)
    assert put.dtype == from_host.dtype
    assert getattr(put, "device", None) == getattr(from_host, "device", None)
    fetched = backend.to_numpy(put)
    np.testing.assert_array_equal(fetched, backend.to_numpy(from_host), strict=True)
    if backend.name in LAID_OUT:
        assert fetched.flags.c_contiguous


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_own_arrays_of_any_layout(backend, form):
    with backend.running():
        own = form(backend.asarray(HOST))
        assert_put(backend, own, form(HOST))
        np.testing.assert_array_equal(backend.to_numpy(own), form(HOST))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_own_arrays_come_in_the_dtype_of_the_backend(backend, dtype):
    with backend.running():
        own = backend.xp.astype(backend.asarray(HOST), getattr(backend.xp, dtype))
        assert_put(backend, own, HOST.astype(dtype))
        shared = address(backend, backend.asarray(own)) == address(backend, own)
        assert shared == (dtype == backend.dtype)


@pytest.mark.parametrize("dtype", ["int32", "int64", "bool"])
def test_own_integers_stay_as_they_are(backend, dtype):
    with backend.running():
        own = backend.xp.astype(backend.asarray(HOST), getattr(backend.xp, dtype))
        put = backend.asarray(own)
        assert put.dtype == own.dtype
        assert address(backend, put) == address(backend, own)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_cupys_own_arrays(cuda, cupy_backend, form, dtype):
    with cupy_backend.running():
        own = form(cupy_backend.xp.asarray(HOST.astype(dtype)))
        cuda.uploads.clear()
        cuda.downloads.clear()
        put = cupy_backend.asarray(own)
        assert not cuda.uploads
        assert not cuda.downloads
        assert put.flags.c_contiguous
        assert_put(cupy_backend, own, form(HOST.astype(dtype)))
        if dtype != "float32" and own.size and own.flags.c_contiguous:
            assert address(cupy_backend, put) == address(cupy_backend, own)


def test_cupys_arrays_are_waited_for(cuda, cupy_backend):
    with cupy_backend.running():
        own, waits = cupy_backend.asarray(HOST), cuda.synchronizations
        cupy_backend.asarray(own)
    assert cuda.synchronizations == waits + 1


def test_a_tensor_comes_without_its_gradient():
    backend = load_or_skip("torch")
    own = backend.asarray(HOST.copy()).requires_grad_()
    put = backend.asarray(own)
    assert own.requires_grad
    assert not put.requires_grad
    assert put.data_ptr() == own.data_ptr()
    assert_put(backend, own * 2.0, HOST * 2.0)


@pytest.mark.parametrize(("home", "away"), [("cpu", "device1"), ("device1", "cpu")])
def test_an_array_of_another_device_is_moved(home, away):
    own = load_or_skip("array-api-strict", device=away).asarray(HOST)
    assert_put(load_or_skip("array-api-strict", device=home), own, HOST)


def test_arrays_of_other_libraries_come_by_way_of_the_host(backend):
    with backend.running():
        assert_put(backend, array_api_strict.asarray(HOST), HOST)
