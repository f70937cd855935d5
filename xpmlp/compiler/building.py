"""From a text of C to a library that is loaded: compiled once, then kept in the user's cache.

Why a C compiler: for bias and ReLU of (128, 300) in float32 all make equally fast code (4 µs). cc
takes 0.13 s, from the cache 0.01 s, and is not ours to install. Numba takes 0.35 s to import and
0.6 s to compile (0.35 s from its cache), llvmlite 0.07 s and 0.04 s; both work on Windows too. They
weigh 213 and 180 MB, Numba compiles Python, which we would write in place of C, llvmlite the text
of LLVM, far from CUDA C; and neither brings vectors of exp and log as libmvec has them.

A kept library is named after its key and the checksum of its bytes, KEY-CHECKSUM.so, so that one
renaming puts both in place. It is loaded where it lies, after its bytes were compared with its
name, and only from a folder that nobody else can write to. Without such a folder a text is
compiled again in every process.
"""

import ctypes
import functools
import hashlib
import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import product, takewhile
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

from xpmlp.files import clear_partials, put_in_place

FORMAT = 1  # of the cache; part of every key
PROGRAMS = ("cc", "gcc", "clang")
# With -ftree-vectorize, -O1 makes loops as fast as those of -O3, at gcc in 0.4 of its time. Without
# contraction an entry has the same bits in the vectors of a loop and in the rest after them.
FLAGS = (
    *("-O1", "-ftree-vectorize", "-std=c11", "-fPIC", "-shared", "-pthread", "-fopenmp-simd"),
    *("-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off"),
)
# What a compiler may refuse, the best first. Vectors of expf and its kin are in libmvec: clang
# finds them by itself, for gcc a text declares them, unless XPMLP_SCALAR_MATH is defined.
PROCESSORS = (("-march=native",), ("-mcpu=native",), ())
ALL_DEFINED = "-Wl,-z,defs"  # refuses a libmvec that lacks some
VECTOR_MATH = (
    ("-fveclib=libmvec", "-lmvec", ALL_DEFINED),
    ("-lmvec", ALL_DEFINED),
    ("-DXPMLP_SCALAR_MATH",),
)
SECONDS, SECONDS_TO_TELL = 120.0, 10.0
MOST_LIBRARIES = 200
OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
# What tells processors apart in /proc/cpuinfo, on x86-64 and on ARM.
TELLING = {
    *("vendor_id", "cpu family", "model", "model name", "stepping", "flags"),
    *("CPU implementer", "CPU architecture", "CPU variant", "CPU part", "Features"),
}

_LOADED: dict[str, ctypes.CDLL] = {}
_LOCK = Lock()


class NoCompiler(Exception):
    """A text can't be compiled here; why, in one line for people."""


def load(text: str) -> ctypes.CDLL:
    """Return the library of a text of C, from the cache or compiled; the same for the same text.

    It is made for the processor of this machine. XPMLP_SCALAR_MATH is defined where there is no
    libmvec to link. Other threads of Python run while one of its functions does.
    Raises NoCompiler.
    """
    with _LOCK:
        if text not in _LOADED:
            _LOADED[text] = _kept_or_compiled(text)
        return _LOADED[text]


def compiler() -> str | None:
    """Return what compiles here, such as "gcc 12.2.0 (/usr/bin/cc)", or None.

    Starts the compiler, once, to have its version.
    """
    try:
        return _told(tuple(_command()))
    except NoCompiler:
        return None


def _kept_or_compiled(text: str) -> ctypes.CDLL:
    command = _command()
    try:
        key = _key(text, command)
        with _cache() as cache:
            return (cache and _kept(cache, key)) or _made(text, command, key, cache)
    except OSError as error:  # such as a full disk, or a function that nothing defines
        raise NoCompiler(f"{command[0]}: no library can be made or loaded: {error}") from error


def _made(text: str, command: list[str], key: str, cache: Path | None) -> ctypes.CDLL:
    with TemporaryDirectory(prefix="xpmlp-", ignore_cleanup_errors=True) as folder:
        library = _compiled(text, command, Path(folder))
        if cache:
            with suppress(OSError):  # such as a cache that can only be read
                return _loaded(_keep(cache, key, library.read_bytes()))
        return _loaded(library)


def _loaded(path: Path) -> ctypes.CDLL:
    return ctypes.CDLL(str(path))


# The compiler.


def _command() -> list[str]:
    """Return the words that start the compiler, of which the first is a path."""
    if sys.platform == "win32":
        raise NoCompiler(
            "on Windows nothing is compiled: the threads of the text are POSIX threads"
        )
    named = os.environ.get("CC", "")
    try:
        words = shlex.split(named)
    except ValueError as error:
        raise NoCompiler(f"the variable CC can't be read: {named!r} ({error})") from None
    for program, *options in [words] if words else [[program] for program in PROGRAMS]:
        if path := shutil.which(program):
            return [os.path.abspath(path), *options]
    if words:
        raise NoCompiler(f"there is no program {words[0]}, which the variable CC names")
    raise NoCompiler(f"there is no C compiler ({', '.join(PROGRAMS)}) on the PATH")


def _compiled(text: str, command: list[str], folder: Path) -> Path:
    """Return the path of the library, in a folder of its own."""
    _must_be_installed(command[0])
    library = folder / "step.so"
    (folder / "step.c").write_text(text, encoding="utf-8")
    problem = ""
    for processor, vector_math in product(PROCESSORS, VECTOR_MATH):
        options = (*FLAGS, *processor, "step.c", "-o", library.name, *vector_math, "-lm")
        status, _, errors = _run([*command, *options], SECONDS, folder)
        if not status:
            break
        problem = _first_error(errors) or f"failed with exit status {status}"
    else:
        raise NoCompiler(f"{command[0]}: {problem}")
    if not library.is_file() or not library.stat().st_size:
        raise NoCompiler(f"{command[0]}: wrote no library")
    return library


def _run(command: list[str], seconds: float, folder: Path | None = None) -> tuple[int, str, str]:
    """Return exit status, output and errors of a program; with it end all that it has started.

    folder: where it runs and has its temporary files. It has a session of its own, so that a
    Ctrl-C is left to us: it may be meant for the end of an epoch.
    """
    surroundings = {**os.environ, "LC_ALL": "C", **({"TMPDIR": str(folder)} if folder else {})}
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=surroundings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise NoCompiler(f"{command[0]}: can't be started ({error.strerror})") from error
    with process:
        try:
            output, errors = process.communicate(timeout=seconds)
        except BaseException as error:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise NoCompiler(f"{command[0]}: did not end within {seconds:g} s") from None
            raise
    if process.returncode < 0:
        reason = signal.strsignal(-process.returncode)
        raise NoCompiler(f"{command[0]}: was ended by a signal ({reason})")
    return process.returncode, output, errors


def _first_error(errors: str) -> str:
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), lines[0] if lines else "")


def _must_be_installed(path: str) -> None:
    """Raise NoCompiler for a program of macOS that only asks whether to install the real one."""
    if sys.platform == "darwin" and path.startswith("/usr/bin/"):
        status, _, _ = _run(["xcode-select", "-p"], SECONDS_TO_TELL)
        if status:
            raise NoCompiler(f"{path}: needs the command line tools (xcode-select --install)")


@functools.cache
def _told(command: tuple[str, ...]) -> str:
    _must_be_installed(command[0])
    _, output, _ = _run([*command, "--version"], SECONDS_TO_TELL)
    name = "gcc" if "Free Software Foundation" in output else Path(command[0]).name
    name = "clang" if "clang" in output else name
    version = re.search(r"\d+(\.\d+)+", output)
    return f"{name} {version[0] if version else 'of an unknown version'} ({command[0]})"


# What a library depends on.


def _key(text: str, command: list[str]) -> str:
    """Return what names the library of a text, without starting the compiler."""
    program = os.path.realpath(command[0])
    about = os.stat(program)
    parts = (
        *(FORMAT, text, command, FLAGS, PROCESSORS, VECTOR_MATH),
        *(program, about.st_size, about.st_mtime_ns, _processor()),
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def _processor() -> str:
    """Return what -march=native goes by."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            lines = [line for line in takewhile(str.strip, file) if _name(line) in TELLING]
    except OSError:
        import platform

        return f"{platform.machine()} {platform.processor()}"
    return os.uname().machine + "".join(lines)


def _name(line: str) -> str:
    return line.partition(":")[0].strip()


# The cache.


@contextmanager
def _cache() -> Iterator[Path | None]:
    """Give the folder of kept libraries, or None where there is none that only we can write to.

    On Linux its path is that of the open folder: whoever may write to one above it could put
    another in its place.
    """
    opened = _opened()
    if opened is None:
        yield None
        return
    try:
        held = Path(f"/proc/self/fd/{opened}")
        trusted = _is_ours(os.fstat(opened))
        yield (held if held.is_dir() else _folder()) if trusted else None
    finally:
        os.close(opened)


def _opened() -> int | None:
    try:
        folder = _folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None


def _folder() -> Path:
    """Return where libraries are kept; raises OSError for somebody without a home."""
    import platformdirs  # what pooch asks too; imported in a fifth of its time

    try:
        folder = Path(platformdirs.user_cache_dir("xpmlp"))
    except RuntimeError as error:
        raise FileNotFoundError(str(error)) from error
    if not folder.is_absolute():
        raise FileNotFoundError(str(folder))
    return folder / "compiled"


def _is_ours(about: os.stat_result) -> bool:
    return about.st_uid == os.geteuid() and not about.st_mode & OTHERS_MAY_WRITE


def _kept(cache: Path, key: str) -> ctypes.CDLL | None:
    """Load the library that is kept under a key; one that can't be is taken away."""
    for path in cache.glob(f"{key}-*.so"):
        with suppress(OSError):
            if _is_whole(path):
                library = _loaded(path)
                with suppress(OSError):
                    os.utime(path)  # so that those used longest ago go first
                return library
        with suppress(OSError):
            path.unlink()
    return None


def _is_whole(path: Path) -> bool:
    """Tell whether a file is ours alone and has the bytes that its name says."""
    with open(path, "rb", opener=_without_links) as file:
        ours = _is_ours(os.fstat(file.fileno()))
        return ours and path.stem.endswith(f"-{hashlib.sha256(file.read()).hexdigest()}")


def _without_links(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW)


def _keep(cache: Path, key: str, content: bytes) -> Path:
    """Put a library into the cache, and those used longest ago out of it. Raises OSError."""
    path = cache / f"{key}-{hashlib.sha256(content).hexdigest()}.so"
    with put_in_place(path) as partial:
        partial.touch(mode=0o600)
        partial.write_bytes(content)
    with suppress(OSError):  # another process takes away the same ones
        clear_partials(cache)  # of this process none is in progress: load has one thread at a time
        libraries = sorted(cache.glob("*.so"), key=lambda kept: kept.stat().st_mtime)
        for old in libraries[:-MOST_LIBRARIES]:
            old.unlink(missing_ok=True)
    return path
