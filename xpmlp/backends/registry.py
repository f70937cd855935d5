"""From the names of a backend and a device to a backend that works here.

`auto` takes what is usable; a name is never replaced by another. A GPU counts as usable once
it has computed a small matrix product correctly.
"""

import re
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, NamedTuple

from xpmlp.backends.cuda_driver import Driver, query_driver
from xpmlp.errors import BackendUnavailableError, InputError, unknown_name

if TYPE_CHECKING:
    from xpmlp.backends.base import Backend

DTYPES = ("float32", "float64")


class Entry(NamedTuple):
    """Where a backend lives, what brings its library, and the kinds of device it knows."""

    module: str
    class_name: str
    package: str
    devices: tuple[str, ...]


BACKENDS: dict[str, Entry] = {
    "numpy": Entry("numpy_backend", "NumpyBackend", "numpy", ("cpu",)),
    "cupy": Entry("cupy_backend", "CupyBackend", "cupy-cuda13x", ("cuda",)),
    "torch": Entry("torch_backend", "TorchBackend", "torch", ("cpu", "cuda")),
    "jax": Entry("jax_backend", "JaxBackend", "jax", ("cpu", "cuda")),
    "array-api-strict": Entry("strict_backend", "StrictBackend", "array-api-strict", ("cpu",)),
}
CUDA_ORDER = ("cupy", "torch", "jax")
LONGEST_REASON = 200


@dataclass(frozen=True)
class Selection:
    """The backend that will run, and how it came to be chosen.

    device_requested: what was asked for. fallback_reason: why a wish for CUDA, or a GPU that
    the driver shows, ended on the CPU, with the remedy; None where there was neither.
    """

    backend: "Backend"
    device_requested: str
    fallback_reason: str | None = None


def select_backend(
    backend: str = "auto", device: str = "auto", dtype: str = "float32", *, fallback: bool = True
) -> Selection:
    """Return the backend for these names, falling back from CUDA to the CPU where allowed.

    device: `auto`, `cpu`, `cuda` or `cuda:N`. Raises InputError for unknown names, and
    BackendUnavailableError, with the reason and the remedy, for what can't run here.
    """
    _check_names(backend, device, dtype)
    kind = device.partition(":")[0]
    if kind == "cpu" or (backend != "auto" and "cuda" not in BACKENDS[backend].devices):
        return Selection(_on_cpu(backend, dtype), device)
    driver = query_driver()
    try:
        return Selection(_on_gpu(backend, device, dtype, driver), device)
    except BackendUnavailableError as error:
        if backend == "cupy" or (kind == "cuda" and not fallback):
            raise BackendUnavailableError(
                f"backend {backend} can't run on device {device}: {error}"
            ) from error
        wished = kind == "cuda" or driver.gpus > 0
        return Selection(_on_cpu(backend, dtype), device, str(error) if wished else None)


def load(name: str, device: str, dtype: str) -> "Backend":
    """Import and make one backend. Raises BackendUnavailableError with the pip line it needs."""
    entry = BACKENDS[name]
    try:
        module = import_module(f"xpmlp.backends.{entry.module}")
    except ImportError as error:
        raise BackendUnavailableError(
            f"backend {name} can't be imported ({_first_line(error)}); "
            f"install it with: {pip_install(_package(name, query_driver()))}"
        ) from error
    made: Backend = getattr(module, entry.class_name)(device, dtype)
    return made


def pip_install(package: str) -> str:
    """Return the command line that installs a package into the running Python."""
    python = Path(sys.executable)
    if python.is_relative_to(Path.cwd()):
        python = python.relative_to(Path.cwd())
    return f"{python} -m pip install {package}"


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


def _on_gpu(backend: str, device: str, dtype: str, driver: Driver) -> "Backend":
    """Return the first backend that computes on the GPU; raise with the reasons if none does."""
    if driver.problem:
        raise BackendUnavailableError(
            f"{driver.problem}; a GPU needs NVIDIA's driver (https://www.nvidia.com/drivers)"
        )
    number = int(device.partition(":")[2] or 0)
    if number >= driver.gpus:
        raise BackendUnavailableError(
            f"there is no GPU {number}; the driver shows {driver.gpus}, numbered from 0"
        )
    reasons = []
    for name in CUDA_ORDER if backend == "auto" else (backend,):
        try:
            return _probed(name, f"cuda:{number}", dtype)
        except Exception as error:  # libraries fail in many ways on a GPU that they can't use
            missing = isinstance(error, BackendUnavailableError) and error.__cause__
            reasons.append(f"{name}: {_first_line(missing or error)}")
    remedy = pip_install(_package("cupy" if backend == "auto" else backend, driver))
    raise BackendUnavailableError(f"{'; '.join(reasons)}; install one with: {remedy}")


def _probed(name: str, device: str, dtype: str) -> "Backend":
    backend = load(name, device, dtype)
    with backend.running():
        ones = backend.asarray([[1.0, 1.0], [1.0, 1.0]])
        product = backend.to_numpy(backend.compile(lambda xp: xp.matmul)(ones, ones))
    if product.tolist() != [[2.0, 2.0], [2.0, 2.0]]:
        raise BackendUnavailableError("a small matrix product came out wrong on the GPU")
    return backend


def _package(name: str, driver: Driver) -> str:
    """Return what pip has to install; the driver's CUDA decides which."""
    if name == "cupy":
        return "cupy-cuda12x" if (0, 0) < driver.cuda_version < (13, 0) else "cupy-cuda13x"
    if name == "torch" and driver.gpus:
        return "--force-reinstall torch"
    if name == "jax" and driver.gpus:
        return "'jax[cuda12]'" if driver.cuda_version < (13, 0) else "'jax[cuda13]'"
    return BACKENDS[name].package


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return shorten(text.splitlines()[0].rstrip("."), LONGEST_REASON, placeholder=" …")
