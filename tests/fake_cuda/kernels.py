"""RawModule: kernels compiled from their text, launched with CuPy's argument rules."""

import ctypes
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.fake_cuda.arrays import FakeArray
from tests.fake_cuda.library import CompilerError, FakeCudaError, check, compiled, runtime
from tests.fake_cuda.state import MACHINE, compute

BOUNDS = r"__launch_bounds__\s*\(\s*(\d+)[^)]*\)"
KERNEL = re.compile(rf"__global__\s+(?:{BOUNDS}\s*)?void\s+(?:{BOUNDS}\s*)?(\w+)\s*\(")
MOST_THREADS = 1024
# The shim stands for the library that the check of alignments would be linked with.
FLAGS = ("-O1", "-w", "-ffp-contract=off", "-fsanitize=alignment", "-nodefaultlibs")


class CompileException(Exception):
    """As CuPy's: the messages of the compiler, and the source."""

    def __init__(
        self, msg: str, source: str, name: str, options: Sequence[str], backend: str = "nvrtc"
    ) -> None:
        super().__init__(msg)
        self.msg, self.source, self.name = msg, source, name
        self.options, self.backend = options, backend


class Parameter(ctypes.Structure):
    _fields_ = (
        ("kind", ctypes.c_char),
        ("element", ctypes.c_char),
        ("bytes", ctypes.c_ubyte),
        ("element_bytes", ctypes.c_ubyte),
    )


class RawModule:
    """Kernels of one source text; compiled when the first one is asked for."""

    def __init__(
        self,
        code: str | None = None,
        *,
        path: str | None = None,
        options: tuple[str, ...] = (),
        backend: str = "nvrtc",
        translate_cucomplex: bool = False,
        enable_cooperative_groups: bool = False,
        name_expressions: Sequence[str] | None = None,
        jitify: bool | None = None,
    ) -> None:
        if not isinstance(code, str) or not isinstance(options, tuple):
            raise TypeError("code must be a str, and options a tuple")
        self.code, self.options = code, options
        self.library: ctypes.CDLL | None = None
        self.bounds = {
            name: int(first or second or MOST_THREADS)
            for first, second, name in KERNEL.findall(without_comments(code))
        }

    def compile(self, log_stream: Any = None) -> None:
        MACHINE.compile()
        try:
            library = compiled(self._translation(), *FLAGS)
        except CompilerError as error:
            raise CompileException(str(error), self.code, "kernels.cu", self.options) from error
        self.library = ctypes.CDLL(str(library))
        self.library.xp_bind.argtypes = [ctypes.c_void_p]
        self.library.xp_bind(runtime().fake_services())
        self.library.xp_shared_begin.restype = ctypes.c_void_p
        self.library.xp_shared_bytes.restype = ctypes.c_size_t
        MACHINE.compilations += 1

    def _translation(self) -> str:
        """Return the source for a C++ compiler; macros of the options after the shim's headers."""
        macros = "".join(
            f"#define {option[2:].replace('=', ' ', 1)}\n"
            for option in self.options
            if option.startswith("-D")
        )
        exports = "".join(f"XP_EXPORT({name})\n" for name in self.bounds)
        body = f'namespace {{\n#line 1 "kernels.cu"\n{self.code}\n}}\n'
        return f'#include "shim.h"\n{macros}{body}{exports}'

    def get_function(self, name: str) -> "Kernel":
        compute("RawModule.get_function")
        if self.library is None:
            self.compile()
        if name not in self.bounds:
            raise FakeCudaError(f"{name}: no such kernel among {sorted(self.bounds)}")
        return Kernel(self.library, name, self.bounds[name])


def without_comments(code: str) -> str:
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", code, flags=re.DOTALL)


class Kernel:
    """One kernel, launched on the current stream."""

    def __init__(self, library: Any, name: str, most_threads: int) -> None:
        self.library, self.name, self.most_threads = library, name, most_threads
        count = ctypes.c_int()
        describe = library[f"{name}__parameters"]
        describe.restype = ctypes.POINTER(Parameter)
        self.parameters = describe(ctypes.byref(count))
        self.count = count.value
        self.call = ctypes.cast(library[f"{name}__call"], ctypes.c_void_p)

    def __call__(self, grid: Any, block: Any, args: Any, *, shared_mem: int = 0) -> None:
        if shared_mem:
            raise FakeCudaError(f"{self.name}: no dynamic shared memory here")
        if len(args) != self.count:
            raise FakeCudaError(f"{self.name}: {len(args)} arguments for {self.count} parameters")
        if np.prod(block) > self.most_threads:
            raise FakeCudaError(f"{self.name}: {block} threads, bounds are {self.most_threads}")
        packed = [self._pack(i, argument) for i, argument in enumerate(args)]
        values = (ctypes.c_char_p * max(self.count, 1))(*packed)
        sizes = (ctypes.c_uint * 6)(*filled(grid), *filled(block))
        shared = self.library.xp_shared_begin(), self.library.xp_shared_bytes()
        launch, stream = runtime().fake_launch, MACHINE.stream
        name = self.name.encode()
        check(launch(stream, name, self.call, *shared, sizes, self.count, values, self.parameters))
        if not runtime().fake_is_capturing(stream):
            MACHINE.kernel_launches.append(self.name)

    def _pack(self, i: int, argument: Any) -> bytes:
        """Return the bytes of an argument, after CuPy's rules for its type."""
        parameter = self.parameters[i]
        if isinstance(argument, FakeArray):
            return self._pack_array(i, argument)
        value = scalar(argument)
        kind = {"u": "i", "b": "i"}.get(value.dtype.kind, value.dtype.kind)
        if isinstance(argument, int) and parameter.kind == b"i" and parameter.bytes == 4:
            value = np.asarray(argument & 0xFFFFFFFF, np.uint32)
        if kind != parameter.kind.decode() or value.nbytes != parameter.bytes:
            raise FakeCudaError(
                f"{self.name}, argument {i}: {type(argument).__name__} for a parameter "
                f"of kind {parameter.kind.decode()} and {parameter.bytes} bytes"
            )
        return value.tobytes()

    def _pack_array(self, i: int, array: FakeArray) -> bytes:
        parameter = self.parameters[i]
        kind = {"u": b"i", "b": b"i"}.get(array.dtype.kind, array.dtype.kind.encode())
        wanted = (parameter.element, parameter.element_bytes)
        if parameter.kind != b"p":
            raise FakeCudaError(f"{self.name}, argument {i}: an array for a number")
        raw = 1 in (array.dtype.itemsize, parameter.element_bytes) or parameter.element == b"?"
        if not raw and wanted != (kind, array.dtype.itemsize):
            raise FakeCudaError(
                f"{self.name}, argument {i}: {array.dtype} for a pointer to "
                f"{parameter.element.decode()}{parameter.element_bytes}"
            )
        return np.uint64(array.data.ptr).tobytes()


def scalar(argument: Any) -> np.ndarray:
    """Return a number as CuPy passes it: int64 and float64 for Python's."""
    if isinstance(argument, bool | int | float | np.generic):
        return np.asarray(argument)
    raise TypeError(f"Unsupported type {type(argument)}")


def filled(sizes: Any) -> tuple[int, ...]:
    sizes = (sizes,) if isinstance(sizes, int) else tuple(sizes)
    return (*sizes, 1, 1, 1)[:3]
