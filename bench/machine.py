"""What a report says of the machine and of the software on it."""

import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.processes import ROOT, Setup
from xpmlp.processors import usable_processors

LIBRARIES = (
    "numpy",
    "array-api-compat",
    "array-api-strict",
    "torch",
    "jax",
    "jaxlib",
    "cupy-cuda12x",
    "cupy-cuda13x",
    "scikit-learn",
    "scipy",
    "threadpoolctl",
)
FEATURES = ("sse4", "avx", "fma", "f16c", "amx", "asimd", "sve")
AVX512 = ("avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd")
PREFIXES = (
    "OMP",
    "OPENBLAS",
    "MKL",
    "KMP",
    "GOMP",
    "XLA",
    "JAX",
    "TORCH",
    "CUDA",
    "NVIDIA",
    "CUPY",
)
GPU_FIELDS = ("name", "driver_version", "memory.total")


def describe_machine() -> dict[str, Any]:
    """Return processor, memory, GPUs, system, versions and commit, ready for JSON."""
    from xpmlp import __version__
    from xpmlp.backends.base import cpu_name

    return {
        "cpu": cpu_name(),
        "processors": usable_processors(),
        "cpu_features": cpu_features(),
        "memory_bytes": memory(),
        "gpus": gpus(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "libraries": {"xpmlp": __version__, **libraries()},
        "commit": commit(),
    }


def environment(setup: Setup) -> dict[str, str]:
    """Return the variables of the workers' environment that libraries of arrays listen to."""
    variables = setup.environment()
    return {name: variables[name] for name in sorted(variables) if name.startswith(PREFIXES)}


def cpu_features() -> list[str]:
    """Return the vector instructions that the processor has, as Linux names them."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), ":")
    return sorted(flag for flag in flags.split(":")[1].split() if flag.startswith(FEATURES))


def has_avx512() -> bool:
    """Tell whether OpenBLAS's SkylakeX kernels can run here."""
    return set(AVX512) <= set(cpu_features())


def memory() -> int | None:
    """Return the size of the memory in bytes, None where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def gpus() -> list[dict[str, str]]:
    """Return name, driver and memory of each GPU that `nvidia-smi` shows."""
    fields = ",".join(GPU_FIELDS)
    listed = _output("nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader")
    rows = [line.split(", ") for line in listed.splitlines()]
    return [dict(zip(GPU_FIELDS, row, strict=True)) for row in rows if len(row) == len(GPU_FIELDS)]


def libraries() -> dict[str, str]:
    """Return the versions of the libraries that are installed."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """Return the commit of this checkout, marked where files differ from it; None without git."""
    number = _output("git", "-C", str(ROOT), "rev-parse", "HEAD")
    if not number:
        return None
    changed = _output("git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no")
    return f"{number} with changes" if changed else number


def _output(program: str, *arguments: str) -> str:
    """Return what a program prints, or nothing where it is absent or fails."""
    if not shutil.which(program):
        return ""
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""
