"""From the names of a backend and a device to a backend that works here.

`auto` takes what is usable; a name is never replaced by another. A GPU counts as usable once
it has computed a small matrix product correctly, and compiled what training has compiled.
"""

import re
import sys
import threading
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, NamedTuple

from xpmlp.backends.cuda_driver import Driver, query_driver
from xpmlp.backends.cupy import install as cupy_install
from xpmlp.described import Described, Lines
from xpmlp.errors import (
    BackendUnavailableError,
    InputError,
    RunError,
    SurroundingsError,
    XpmlpError,
    unknown_name,
)

if TYPE_CHECKING:
    from xpmlp.backends.base import Backend

DTYPES = ("float32", "float64")
PRECISIONS = ("full", "tf32", "bf16")
COMPILE = ("auto", "never", "always")
MOST_THREADS = 1024


class Entry(NamedTuple):
    """Where a backend lives, what brings its library, and the kinds of device it knows."""

    module: str
    class_name: str
    package: str
    devices: tuple[str, ...]


BACKENDS: dict[str, Entry] = {
    "numpy": Entry("numpy.backend", "NumpyBackend", "numpy", ("cpu",)),
    "cupy": Entry("cupy.backend", "CupyBackend", "cupy-cuda13x", ("cuda",)),
    "torch": Entry("torch.backend", "TorchBackend", "torch", ("cpu", "cuda")),
    "jax": Entry("jax_backend", "JaxBackend", "jax", ("cpu", "cuda")),
    "array-api-strict": Entry("strict_backend", "StrictBackend", "array-api-strict", ("cpu",)),
}
OLDEST_CUDA = 12
DRIVERS = "https://www.nvidia.com/drivers"
TORCH_FOR_CUDA_12 = "https://download.pytorch.org/whl/cu126"
CUDA_ORDER = ("cupy", "torch", "jax")
BFLOAT16_BACKEND = "torch"
COMPILED_BACKEND = "numpy"
LONGEST_REASON = 200
MISSING_LIBRARY = re.compile(
    r"(\blib[\w.-]+\.so[.\d]*): cannot open shared object file"
    r"|(?:Failure finding|failed to load|Could not find module) [\"']?([\w.-]+\.(?:so[.\d]*|dll))"
)


@dataclass(frozen=True, repr=False)
class Selection(Described):
    """The backend that will run, and how it came to be chosen.

    device_requested, matmul_precision_requested: what was asked for. fallback_reason: why a wish
    for CUDA, or a GPU that the driver shows, ended on the CPU, with the remedy; None where there
    was neither.
    """

    backend: "Backend"
    device_requested: str
    fallback_reason: str | None = None
    matmul_precision_requested: str = "full"

    def described(self) -> tuple[str, Lines]:
        """Return the backend, and why it is one of the CPU, for its text and its table."""
        title, lines = self.backend.described()
        reason = self.fallback_reason
        return f"selected: {title}", [*lines, *([("fallback", reason)] if reason else [])]


def select_backend(
    backend: str = "auto",
    device: str = "auto",
    dtype: str = "float32",
    *,
    fallback: bool = True,
    matmul_precision: str = "full",
) -> Selection:
    """Return the backend for these names, falling back from CUDA to the CPU where allowed.

    device: `auto`, `cpu`, `cuda` or `cuda:N`. matmul_precision: `full`, or for float32 `tf32` on
    a GPU, or `bf16` on a CPU. After a fallback to the CPU products wished in TF32 are full. As
    bfloat16 is PyTorch's on a CPU alone, `auto` then is these two. On a GPU the same names give a
    thread the same backend again. Raises InputError for names that are
    unknown or don't go together, and BackendUnavailableError, with the reason and the remedy,
    for what can't run here.
    """
    _check_names(backend, device, dtype)
    check_matmul_precision(backend, device, dtype, matmul_precision)
    kind = device.partition(":")[0]
    if matmul_precision == "bf16":
        found = load(BFLOAT16_BACKEND, "cpu", dtype, matmul_precision)
        return Selection(found, device, None, matmul_precision)
    if kind == "cpu" or (backend != "auto" and "cuda" not in BACKENDS[backend].devices):
        return Selection(_on_cpu(backend, dtype), device)
    driver = query_driver()
    try:
        found = _on_gpu(backend, device, dtype, matmul_precision, driver)
        return Selection(found, device, None, matmul_precision)
    except BackendUnavailableError as error:
        if backend == "cupy" or (kind == "cuda" and not fallback):
            raise BackendUnavailableError(
                f"backend {backend} can't run on device {device}: {error}"
            ) from error
        reason = str(error) if kind == "cuda" or driver.gpus > 0 else None
        return Selection(_on_cpu(backend, dtype), device, reason, matmul_precision)


def load(name: str, device: str, dtype: str, matmul_precision: str = "full") -> "Backend":
    """Import and make one backend. Raises BackendUnavailableError with the pip line it needs."""
    entry = BACKENDS[name]
    try:
        module = import_module(f"xpmlp.backends.{entry.module}")
    except (ImportError, OSError) as error:
        raise BackendUnavailableError(
            f"backend {name} can't be imported ({_reason(error)}); "
            f"install it with: {_install(name, query_driver())}"
        ) from error
    made: Backend = getattr(module, entry.class_name)(device, dtype, matmul_precision)
    return made


class _Kept(threading.local):
    """The backends on a GPU that a thread has, and which of them have passed their probe."""

    def __init__(self) -> None:
        self.backends: dict[tuple[str, ...], Backend] = {}
        self.sound: set[Backend] = set()


KEPT = _Kept()


def kept(name: str, device: str, dtype: str, matmul_precision: str = "full") -> "Backend":
    """Return the backend that this thread has by these names; make it where there is none.

    On a GPU a backend has a stream, the memory that its library keeps for that, and a handle of
    cuBLAS with its workspace: one of each is enough for a thread. Threads don't share one, as a
    backend serves one at a time. On a CPU there is nothing to keep. Raises as `load` does.
    """
    names = (name, device, dtype, matmul_precision)
    if not device.startswith("cuda"):
        return load(*names)
    if names not in KEPT.backends:
        KEPT.backends[names] = load(*names)
    return KEPT.backends[names]


def pip_install(package: str) -> str:
    """Return the command line that installs a package into the running Python."""
    return f"{_pip()} install {package}"


def _pip() -> str:
    python = Path(sys.executable)
    if python.is_relative_to(Path.cwd()):
        python = python.relative_to(Path.cwd())
    return f"{python} -m pip"


def check_matmul_precision(backend: str, device: str, dtype: str, precision: str) -> None:
    """Raise InputError for a precision that is unknown, or TF32 or bfloat16 where it can't be.

    Whether the processor has bfloat16 its backend says.
    """
    if precision not in PRECISIONS:
        raise unknown_name("matmul_precision", precision, PRECISIONS)
    if precision == "full":
        return
    if dtype != "float32":
        raise InputError(
            f"matmul_precision {precision} is of float32 products, and dtype is {dtype}; "
            "choose --matmul-precision full or --dtype float32"
        )
    if precision == "bf16":
        _check_bfloat16(backend, device)
    else:
        _check_tf32(backend, device)


def _check_bfloat16(backend: str, device: str) -> None:
    if device.startswith("cuda"):
        raise InputError(
            f"matmul_precision bf16 is of products on a CPU, and device is {device}; "
            "choose --matmul-precision tf32, full or --device cpu"
        )
    if backend in BACKENDS and backend != BFLOAT16_BACKEND:
        other = "full" if "cpu" in BACKENDS[backend].devices else "tf32"
        raise InputError(
            f"matmul_precision bf16 is of {BFLOAT16_BACKEND} on a CPU, and backend is {backend}; "
            f"choose --backend {BFLOAT16_BACKEND} or --matmul-precision {other}"
        )


def _check_tf32(backend: str, device: str) -> None:
    remedy = "choose --matmul-precision full"
    if device == "cpu":
        raise InputError(
            f"matmul_precision tf32 needs a GPU, and device is {device}; "
            f"{remedy} or another --device"
        )
    if backend in BACKENDS and "cuda" not in BACKENDS[backend].devices:
        raise InputError(
            f"matmul_precision tf32 needs a GPU, and backend {backend} knows only the CPU; "
            f"{remedy} or another --backend"
        )


def compiles(backend: str, device: str) -> bool:
    """Tell whether steps can be compiled under these names, on a machine that has what it takes."""
    return backend in ("auto", COMPILED_BACKEND) and not device.startswith("cuda")


def check_compile(backend: str, device: str, compile: str, threads: int | None) -> None:
    """Raise InputError for a wish to compile, or for threads, that can't be.

    Whether there is a compiler its backend says.
    """
    if compile not in COMPILE:
        raise unknown_name("compile", compile, COMPILE)
    if threads is not None and not 1 <= threads <= MOST_THREADS:
        raise InputError(f"threads is {threads}; it must be from 1 to {MOST_THREADS}")
    if compiles(backend, device):
        return
    where = f"device is {device}" if device.startswith("cuda") else f"backend is {backend}"
    remedy = f"choose --backend {COMPILED_BACKEND} --device cpu"
    if compile == "always":
        raise InputError(
            f"compile always is of {COMPILED_BACKEND} on a CPU, and {where}; {remedy}, or "
            f"--compile auto{' without --threads' if threads else ''}"
        )
    if threads is not None:
        raise InputError(
            f"threads are set for {COMPILED_BACKEND} on a CPU, and {where}; {remedy}, or leave "
            "--threads out"
        )


def _check_names(backend: str, device: str, dtype: str) -> None:
    if backend != "auto" and backend not in BACKENDS:
        raise unknown_name("backend", backend, ("auto", *BACKENDS))
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
        raise unknown_name("device", device, ("auto", "cpu", "cuda", "cuda:N"))
    if dtype not in DTYPES:
        raise unknown_name("dtype", dtype, DTYPES)
    kind = device.partition(":")[0]
    if backend != "auto" and kind != "auto" and kind not in BACKENDS[backend].devices:
        able = [name for name, entry in BACKENDS.items() if kind in entry.devices]
        raise InputError(
            f"backend {backend} does not run on {kind}; "
            f"choose --backend auto, {', '.join(able[:-1])} or {able[-1]}, or another --device"
        )


def _on_cpu(backend: str, dtype: str) -> "Backend":
    return load("numpy" if backend == "auto" else backend, "cpu", dtype)


def _on_gpu(
    backend: str, device: str, dtype: str, matmul_precision: str, driver: Driver
) -> "Backend":
    """Return the first backend that computes on the GPU; raise with the reasons if none does."""
    if driver.problem:
        raise BackendUnavailableError(f"{driver.problem}; a GPU needs NVIDIA's driver ({DRIVERS})")
    number = int(device.partition(":")[2] or 0)
    if number >= driver.gpus:
        raise BackendUnavailableError(
            f"there is no GPU {number}; the driver shows {driver.gpus}, numbered from 0"
        )
    reasons, has_remedy = [], False
    for name in CUDA_ORDER if backend == "auto" else (backend,):
        try:
            _refuse_unsuited(name, driver)
            return _probed(name, f"cuda:{number}", dtype, matmul_precision)
        except Exception as error:  # libraries fail in many ways on a GPU that they can't use
            reasons.append(f"{name}: {_reason(error)}")
            has_remedy = has_remedy or isinstance(error, SurroundingsError)
    if has_remedy:
        raise BackendUnavailableError("; ".join(reasons))
    remedy = f"install one with: {_install('cupy' if backend == 'auto' else backend, driver)}"
    if driver.too_old_for(OLDEST_CUDA):
        remedy = f"update NVIDIA's driver ({DRIVERS}) to one for CUDA {OLDEST_CUDA} or newer"
    raise BackendUnavailableError(f"{'; '.join(reasons)}; {remedy}")


def _refuse_unsuited(name: str, driver: Driver) -> None:
    """Raise BackendUnavailableError where the installed CuPy can't run with this driver."""
    if name == "cupy" and (problem := cupy_install.problem(driver)):
        raise BackendUnavailableError(problem)


def _probed(name: str, device: str, dtype: str, matmul_precision: str = "full") -> "Backend":
    backend = kept(name, device, dtype, matmul_precision)
    if backend in KEPT.sound:
        return backend
    backend.probe()
    with backend.running():
        ones = backend.asarray([[1.0, 1.0], [1.0, 1.0]])
        product = backend.to_numpy(backend.compile(lambda xp: xp.matmul)(ones, ones))
    if product.tolist() != [[2.0, 2.0], [2.0, 2.0]]:
        raise BackendUnavailableError("a small matrix product came out wrong on the GPU")
    KEPT.sound.add(backend)
    return backend


def _install(name: str, driver: Driver) -> str:
    """Return the command that brings a library for the driver, in place of one that is not."""
    wrong = cupy_install.packages_in_the_way(driver) if name == "cupy" else []
    uninstall = f"{_pip()} uninstall -y {' '.join(wrong)} && " if wrong else ""
    return uninstall + pip_install(_package(name, driver))


def _package(name: str, driver: Driver) -> str:
    """Return what pip has to install; the driver's CUDA decides which.

    CuPy's wheels hold none of NVIDIA's libraries: the extra `ctk`, of 14 and newer, brings them.
    """
    if name == "cupy":
        return f"'{cupy_install.suited_package(driver)}[ctk]>=14'"
    if name == "torch" and driver.gpus:
        old = driver.cuda_version < (13, 0)
        return "--force-reinstall torch" + f" --index-url {TORCH_FOR_CUDA_12}" * old
    if name == "jax" and driver.gpus:
        return "'jax[cuda12]'" if driver.cuda_version < (13, 0) else "'jax[cuda13]'"
    return BACKENDS[name].package


def _reason(error: BaseException) -> str:
    """Return in a line why a library does not work, from the error at the root of it."""
    while error.__cause__ and not isinstance(error, RunError):
        error = error.__cause__
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"{error.name} is not installed"
    text = str(error).strip() or type(error).__name__
    if library := MISSING_LIBRARY.search(text):
        return f"the library {library[1] or library[2]} is missing"
    line = text.splitlines()[0].rstrip(".")
    if isinstance(error, XpmlpError):
        return line
    return shorten(line, LONGEST_REASON, placeholder=" …")
