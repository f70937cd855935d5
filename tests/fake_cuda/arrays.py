"""Arrays in fake device memory: NumPy's, at known addresses that only the device may use."""

import ctypes
import functools
import types
import weakref
from typing import Any

import numpy as np

from tests.fake_cuda.library import runtime
from tests.fake_cuda.state import MACHINE, compute

VIEWS = ("reshape", "transpose", "squeeze", "ravel", "swapaxes", "diagonal")
METHODS = (
    *("astype", "copy", "sum", "mean", "max", "min", "flatten", "take", "dot", "argmax", "argmin"),
    *("prod", "std", "var", "repeat", "cumsum", "fill", "clip", "any", "all", "round", "nonzero"),
)
ABOUT_FORMS = (np.shape, np.ndim, np.size, np.may_share_memory, np.shares_memory)
DOWNLOADS = ("__float__", "__int__", "__bool__", "__index__", "__complex__", "item", "tolist")


class Pointer:
    """The memory of an array, as CuPy's MemoryPointer names it."""

    def __init__(self, address: int) -> None:
        self.ptr = address


class FakeArray(np.ndarray):
    """An array of the device."""

    @property
    def data(self) -> Pointer:
        return Pointer(self.ctypes.data)

    def get(self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True):
        return asnumpy(self, stream, order, out, blocking=blocking)

    def set(self, array: np.ndarray, stream: Any = None) -> None:
        compute("set")
        MACHINE.uploads.append(array.shape)
        host(self)[...] = array

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **options):
        compute(ufunc.__name__)
        refuse_host_arrays(ufunc.__name__, inputs)
        if out:
            options["out"] = tuple(map(host, out))
        result = getattr(ufunc, method)(*map(host, inputs), **options)
        return out[0] if len(out) == 1 else device(result)

    def __array_function__(self, function, types, arguments, options):
        if function in ABOUT_FORMS:
            return function(*map(host, arguments), **options)
        return on_device(function.__name__, function)(*arguments, **options)

    def __getitem__(self, key):
        plain = host(self)
        result = plain[host(key)]
        if isinstance(result, np.ndarray) and np.may_share_memory(result, plain):
            return device(result)
        if isinstance(result, np.generic):
            keys = key if isinstance(key, tuple) else (key,)
            return device(plain[(*map(host, keys), ...)])
        compute("indexing by arrays")
        return device(result)

    def __setitem__(self, key, value) -> None:
        compute("assignment")
        refuse_host_arrays("assignment", (value,))
        host(self)[host(key)] = host(value)

    def __repr__(self) -> str:
        return f"FakeArray({host(self)!r})"

    __str__ = __repr__


def host(value: Any) -> Any:
    """View device arrays as NumPy's, in nested lists and tuples too."""
    if isinstance(value, FakeArray):
        return value.view(np.ndarray)
    if type(value) in (list, tuple):
        return type(value)(map(host, value))
    return value


def device(value: Any) -> Any:
    """Put what NumPy returned into device memory, where it isn't there already."""
    if isinstance(value, FakeArray):
        return value
    if isinstance(value, np.ndarray):
        if value.size and runtime().fake_is_live(value.ctypes.data):
            return value.view(FakeArray)
        return to_new_memory(value)
    if isinstance(value, np.generic):
        return to_new_memory(np.asarray(value))
    if isinstance(value, tuple):
        values = map(device, value)
        return type(value)(*values) if hasattr(value, "_fields") else tuple(values)
    return list(map(device, value)) if type(value) is list else value


def refuse_host_arrays(what: str, values: Any) -> None:
    for value in values:
        if type(value) is np.ndarray:
            raise TypeError(f"{what}: Unsupported type {np.ndarray}")
        if type(value) in (list, tuple):
            refuse_host_arrays(what, value)


def new_memory(shape: Any, dtype: Any, strides: Any = None, order: str = "C") -> FakeArray:
    shape = (shape,) if np.ndim(shape) == 0 else tuple(shape)
    dtype = np.dtype(dtype)
    size = max(int(np.prod(shape, dtype=np.int64)) * dtype.itemsize, 1)
    address = runtime().fake_allocate(size)
    if not address:
        raise MACHINE.out_of_memory(f"{size} bytes")
    buffer = (ctypes.c_ubyte * size).from_address(address)
    weakref.finalize(buffer, runtime().fake_free, address).atexit = False
    return np.ndarray(shape, dtype, buffer, strides=strides, order=order).view(FakeArray)


def to_new_memory(array: np.ndarray) -> FakeArray:
    array = array if array.flags.c_contiguous or array.flags.f_contiguous else array.copy("K")
    array = array if array.flags.forc else np.ascontiguousarray(array)
    result = new_memory(array.shape, array.dtype, array.strides if array.size else None)
    host(result)[...] = array
    return result


def asarray(a, dtype=None, order=None, *, copy=None, blocking=False) -> FakeArray:
    compute("asarray")
    if isinstance(a, FakeArray):
        plain = host(a)
        converted = np.array(plain, dtype=dtype, order=order or "K", copy=copy)
        return a if converted is plain else device(converted)
    array = np.array(a, dtype=dtype, order=order or "K")
    MACHINE.uploads.append(array.shape)
    return to_new_memory(array)


def asnumpy(a, stream=None, order="C", out=None, *, blocking=True) -> np.ndarray:
    compute("asnumpy")
    if isinstance(a, FakeArray):
        MACHINE.downloads.append(a.shape)
    if out is None:
        return np.array(host(a), order=order)
    out[...] = host(a)
    return out


def empty(shape, dtype=float, order="C") -> FakeArray:
    compute("empty")
    return new_memory(shape, dtype, order=order)


def zeros(shape, dtype=float, order="C") -> FakeArray:
    result = empty(shape, dtype, order)
    host(result)[...] = 0
    return result


def copyto(dst, src, casting="same_kind", where=None) -> None:
    if not isinstance(dst, FakeArray):
        raise TypeError(f"copyto: Unsupported type {type(dst)}")
    refuse_host_arrays("copyto", (src,))
    alike = isinstance(src, FakeArray) and (dst.shape, dst.dtype) == (src.shape, src.dtype)
    both = alike and (
        (dst.flags.c_contiguous and src.flags.c_contiguous)
        or (dst.flags.f_contiguous and src.flags.f_contiguous)
    )
    if both and where is None:
        if dst.size:
            MACHINE.copy(dst.data.ptr, src.data.ptr, dst.nbytes)
        return
    compute("copyto between arrays that differ in form")
    np.copyto(host(dst), host(src), casting=casting, **({} if where is None else {"where": where}))


def on_device(name: str, function: Any) -> Any:
    """Let a NumPy function take and return device arrays, on the device only."""

    @functools.wraps(function)
    def checked(*arguments, **options):
        compute(name)
        if name == "asarray":
            dtype, copy = options.get("dtype"), options.get("copy")
            return asarray(*arguments, dtype=dtype, copy=copy)
        refuse_host_arrays(name, (*arguments, *options.values()))
        options = {key: host(value) for key, value in options.items()}
        return device(function(*map(host, arguments), **options))

    return checked


def namespace_of(module: types.ModuleType, name: str) -> types.ModuleType:
    """Copy a namespace over NumPy's arrays for device arrays."""
    copy = types.ModuleType(name)
    for key, value in vars(module).items():
        if key.startswith("__") and "array" not in key:
            continue
        if key in ("linalg", "fft") and isinstance(value, types.ModuleType):
            value = namespace_of(value, f"{name}.{key}")
        elif callable(value) and not isinstance(value, type) and not key.startswith("_"):
            value = on_device(key, value)
        setattr(copy, key, value)
    return copy


def method(name: str) -> Any:
    return lambda self, *arguments, **options: on_device(name, getattr(np.ndarray, name))(
        self, *arguments, **options
    )


def view(name: str) -> Any:
    def viewed(self, *arguments, **options):
        result = getattr(host(self), name)(*arguments, **options)
        if not np.may_share_memory(result, host(self)):
            compute(name)
        return device(result)

    return viewed


def download(name: str) -> Any:
    def fetch(self, *arguments):
        compute(name)
        MACHINE.downloads.append(self.shape)
        return getattr(host(self), name)(*arguments)

    return fetch


for each in METHODS:
    setattr(FakeArray, each, method(each))
for each in VIEWS:
    setattr(FakeArray, each, view(each))
for each in DOWNLOADS:
    setattr(FakeArray, each, download(each))
