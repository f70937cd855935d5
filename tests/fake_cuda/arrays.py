"""Arrays in fake device memory: NumPy's, at known addresses that only the device may use.

What CuPy does by kernels gets its memory at once, and its values when its stream has its turn.
"""

import ctypes
import functools
import types
import weakref
from typing import Any

import numpy as np

from tests.fake_cuda.late import later, unowned, wait
from tests.fake_cuda.library import runtime
from tests.fake_cuda.state import MACHINE, compute

VIEWS = ("reshape", "transpose", "squeeze", "ravel", "swapaxes", "diagonal")
METHODS = (
    *("astype", "copy", "sum", "mean", "max", "min", "flatten", "take", "dot", "argmax", "argmin"),
    *("prod", "std", "var", "repeat", "cumsum", "fill", "clip", "any", "all", "round", "nonzero"),
)
ABOUT_FORMS = (np.shape, np.ndim, np.size, np.may_share_memory, np.shares_memory)
AFTER_A_WAIT = (
    *("nonzero", "argwhere", "flatnonzero", "unique", "unique_all", "unique_counts"),
    *("unique_inverse", "unique_values", "allclose", "array_equal"),
)
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
        fill(self, array.copy(), None if stream is None else stream.ptr)

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **options):
        compute(ufunc.__name__)
        refuse_host_arrays(ufunc.__name__, inputs)
        function = getattr(ufunc, method)
        if not out:
            return deferred(function, inputs, options)
        plain, places = on_loan(inputs), on_loan(out)
        later(ufunc.__name__, lambda: function(*plain, out=places, **options))
        return out[0] if len(out) == 1 else out

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
        keys = key if isinstance(key, tuple) else (key,)
        if any(getattr(getattr(one, "dtype", None), "kind", "") == "b" for one in keys):
            wait()
        return deferred(lambda rows, at: rows[at], (self, key), {})

    def __setitem__(self, key, value) -> None:
        compute("assignment")
        refuse_host_arrays("assignment", (value,))
        target, at, source = on_loan((self, key, value))

        def assign():
            target[at] = source

        later("assignment", assign)

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


def on_loan(value: Any) -> Any:
    """View device arrays as NumPy's for work that waits, in nested lists and tuples too."""
    if isinstance(value, FakeArray):
        return unowned(host(value))
    if type(value) in (list, tuple):
        return type(value)(map(on_loan, value))
    return value


def deferred(function: Any, arguments: Any, options: dict[str, Any], name: str = "") -> Any:
    """Return what a NumPy function makes of device arrays; its values follow on the stream.

    It is run once for the forms of its results, then for their values.
    """
    name = name or getattr(function, "__name__", "kernel")
    if name != "matmul":  # that is cuBLAS's
        MACHINE.compile()
    if name in AFTER_A_WAIT:
        wait()
    with np.errstate(all="ignore"):
        tried = function(*map(host, arguments), **{k: host(v) for k, v in options.items()})
    result = device(tried)
    if all(map(is_in_place, leaves_of(result), leaves_of(tried))):
        return result
    plain, named = on_loan(tuple(arguments)), {k: on_loan(v) for k, v in options.items()}
    places = on_loan(tuple(leaves_of(result)))

    def compute_values():
        for place, value in zip(places, leaves_of(function(*plain, **named)), strict=True):
            if isinstance(place, np.ndarray):
                place[...] = value

    later(name, compute_values)
    return result


def leaves_of(value: Any) -> list[Any]:
    return [leaf for one in value for leaf in leaves_of(one)] if is_nested(value) else [value]


def is_nested(value: Any) -> bool:
    return isinstance(value, list | tuple)


def is_in_place(made: Any, tried: Any) -> bool:
    """Tell whether a result is a view of what there was, or no array."""
    return not isinstance(made, FakeArray) or np.may_share_memory(host(made), host(tried))


def device(value: Any) -> Any:
    """Return device memory of the same form for what is not there already."""
    if isinstance(value, FakeArray):
        return value
    if isinstance(value, np.ndarray):
        if value.size and runtime().fake_is_live(value.ctypes.data):
            return value.view(FakeArray)
        return memory_like(value)
    if isinstance(value, np.generic):
        return memory_like(np.asarray(value))
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


def memory_like(array: np.ndarray) -> FakeArray:
    array = array if array.flags.forc else array.copy("K")
    array = array if array.flags.forc else np.ascontiguousarray(array)
    return new_memory(array.shape, array.dtype, array.strides if array.size else None)


def fill(target: FakeArray, values: Any, stream: int | None = None) -> None:
    """Have a stream write values of the host into an array."""
    place = on_loan(target)
    later("upload", lambda: np.copyto(place, values), stream)


def asarray(a, dtype=None, order=None, *, copy=None, blocking=False) -> FakeArray:
    compute("asarray")
    if isinstance(a, FakeArray):
        plain, options = host(a), {"dtype": dtype, "order": order or "K", "copy": copy}
        kept = np.array(plain, **options) is plain
        return a if kept else deferred(np.array, (a,), options, "asarray")
    array = np.array(a, dtype=dtype, order=order or "K")
    MACHINE.uploads.append(array.shape)
    result = memory_like(array)
    fill(result, array)
    if blocking:
        wait()
    return result


def asnumpy(a, stream=None, order="C", out=None, *, blocking=True) -> np.ndarray:
    compute("asnumpy")
    if not isinstance(a, FakeArray):
        return np.array(a, order=order)
    MACHINE.downloads.append(a.shape)
    order = order if order in "CF" else "F" if a.flags.fnc else "C"
    target = np.empty(a.shape, a.dtype, order) if out is None else out
    source, pointer = on_loan(a), None if stream is None else stream.ptr
    later("download", lambda: np.copyto(target, source), pointer)
    if blocking:
        wait(pointer)
    return target


def empty(shape, dtype=float, order="C") -> FakeArray:
    compute("empty")
    return new_memory(shape, dtype, order=order)


def zeros(shape, dtype=float, order="C") -> FakeArray:
    result = empty(shape, dtype, order)
    fill(result, 0)
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
    target, source, mask = on_loan((dst, src, True if where is None else where))
    later("copyto", lambda: np.copyto(target, source, casting=casting, where=mask))


def on_device(name: str, function: Any) -> Any:
    """Let a NumPy function take and return device arrays, on the device only."""

    @functools.wraps(function)
    def checked(*arguments, **options):
        compute(name)
        if name == "asarray":
            dtype, copy = options.get("dtype"), options.get("copy")
            return asarray(*arguments, dtype=dtype, copy=copy)
        refuse_host_arrays(name, (*arguments, *options.values()))
        return deferred(function, arguments, options, name)

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
        if np.may_share_memory(result, host(self)):
            return device(result)
        compute(name)
        return deferred(getattr(np.ndarray, name), (self, *arguments), options, name)

    return viewed


def download(name: str) -> Any:
    def fetch(self, *arguments):
        compute(name)
        MACHINE.downloads.append(self.shape)
        wait()
        return getattr(host(self), name)(*arguments)

    return fetch


for each in METHODS:
    setattr(FakeArray, each, method(each))
for each in VIEWS:
    setattr(FakeArray, each, view(each))
for each in DOWNLOADS:
    setattr(FakeArray, each, download(each))
