"""What a check says of the GPU and of the libraries for it; what is not told is None."""

import subprocess
import sys
import time
from importlib.metadata import distributions
from typing import Any

from bench.machine import describe_machine
from xpmlp.backends.cuda_driver import query_driver

PREFIXES = ("nvidia-", "cupy", "jax", "torch", "triton", "numpy", "array-api", "cuda-")
CUDA_OF = {
    "cupy": "import cupy; print(cupy.cuda.runtime.runtimeGetVersion())",
    "torch": "import torch; print(torch.version.cuda)",
    "jax": "from jax._src.lib import cuda_versions as v; print(v.cuda_runtime_get_version())",
}
LONGEST = 60.0


def describe_hardware() -> dict[str, Any]:
    """Return the machine, the driver's CUDA, each library's CUDA, and the packages."""
    driver = query_driver()
    return {
        **describe_machine(),
        "driver_gpus": driver.gpus,
        "driver_cuda": ".".join(map(str, driver.cuda_version)),
        "cuda_runtimes": cuda_runtimes(),
        "packages": packages(),
    }


def packages() -> dict[str, str]:
    """Return the versions of what takes part in computing on a GPU."""
    found = {str(one.metadata["Name"]).lower(): one.version for one in distributions()}
    return {name: found[name] for name in sorted(found) if name.startswith(PREFIXES)}


def cuda_runtimes() -> dict[str, str | None]:
    """Return the CUDA that each library was built for or has loaded, asked side by side."""
    asked = {
        name: subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for name, code in CUDA_OF.items()
    }
    end = time.monotonic() + LONGEST
    return {name: _answer(process, end) for name, process in asked.items()}


def _answer(process: "subprocess.Popen[str]", end: float) -> str | None:
    try:
        text, _ = process.communicate(timeout=max(0.0, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return None
    return text.strip() or None if process.returncode == 0 else None
