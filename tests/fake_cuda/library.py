"""The runtime compiled and loaded, and how kernels get compiled."""

import atexit
import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
FLAGS = ("-std=c++17", "-shared", "-fPIC", "-U_FORTIFY_SOURCE", "-fno-strict-aliasing")
POINTER, SIZE, NUMBER = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
SIGNATURES = {
    "fake_allocate": (POINTER, SIZE),
    "fake_free": (None, POINTER),
    "fake_is_live": (NUMBER, POINTER),
    "fake_live_bytes": (SIZE,),
    "fake_problem_count": (SIZE,),
    "fake_problem": (ctypes.c_char_p, SIZE),
    "fake_services": (POINTER,),
    "fake_set_order": (None, NUMBER, ctypes.c_uint),
    "fake_enter_device": (None, NUMBER),
    "fake_captures_running": (NUMBER,),
    "fake_invalidate_captures": (None,),
    "fake_stream_create": (POINTER, NUMBER),
    "fake_stream_destroy": (None, POINTER),
    "fake_wait": (NUMBER, POINTER),
    "fake_wait_for_all": (NUMBER,),
    "fake_is_idle": (NUMBER, POINTER),
    "fake_begin_capture": (NUMBER, POINTER),
    "fake_end_capture": (POINTER, POINTER),
    "fake_is_capturing": (NUMBER, POINTER),
    "fake_graph_launch": (NUMBER, POINTER, POINTER),
    "fake_graph_destroy": (None, POINTER),
    "fake_graph_size": (SIZE, POINTER),
    "fake_graph_node": (ctypes.c_char_p, POINTER, SIZE),
    "fake_launch": (
        NUMBER,
        *(POINTER, ctypes.c_char_p, POINTER, POINTER, SIZE, POINTER, NUMBER, POINTER, POINTER),
    ),
    "fake_copy": (NUMBER, POINTER, POINTER, POINTER, SIZE),
    "fake_host_work": (NUMBER, POINTER, ctypes.c_char_p, POINTER, ctypes.c_long),
    "fake_product_count": (SIZE,),
    "fake_product": (POINTER, SIZE),
    "fake_reset": (None,),
}


class FakeCudaError(AssertionError):
    """What CUDA would answer with wrong numbers, a crash, or an error."""


class CompilerError(Exception):
    """The compiler's messages."""


def compiler() -> str | None:
    return shutil.which("g++") or shutil.which("c++")


@functools.cache
def build_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="fake_cuda_"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def compiled(source: str, *flags: str) -> Path:
    """Compile C++ into a shared library, once for each text. Raises CompilerError."""
    library = build_folder() / f"{hashlib.sha256(repr((source, flags)).encode()).hexdigest()}.so"
    if not library.exists():
        command = [compiler(), *FLAGS, *flags, f"-I{HERE}", "-x", "c++", "-", "-o", str(library)]
        plain = {**os.environ, "LC_ALL": "C"}
        result = subprocess.run(command, input=source, capture_output=True, text=True, env=plain)
        if result.returncode:
            raise CompilerError(result.stderr)
    return library


@functools.cache
def runtime_path() -> Path:
    return compiled((HERE / "runtime.cpp").read_text(), "-O2", "-ftree-vectorize", "-Wall")


@functools.cache
def runtime() -> ctypes.CDLL:
    library = ctypes.CDLL(str(runtime_path()))
    for name, (result, *arguments) in SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def problems() -> list[str]:
    library = runtime()
    return [library.fake_problem(i).decode() for i in range(library.fake_problem_count())]


def check(success: object) -> None:
    if not success:
        raise FakeCudaError(problems()[-1])
