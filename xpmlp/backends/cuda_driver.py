"""What the NVIDIA driver says, asked without any array library."""

import ctypes
import sys
from typing import NamedTuple

CUDA_SUCCESS = 0
REASONS = {
    3: "the driver could not be initialised",
    34: "the driver library is a stub without a driver",
    100: "no GPU is visible (see CUDA_VISIBLE_DEVICES)",
    802: "the GPUs are not ready yet",
    803: "the driver library and the driver in the kernel are of different versions",
}


class Driver(NamedTuple):
    """GPUs that the driver shows, the newest CUDA it supports, and why there are none."""

    gpus: int
    cuda_version: tuple[int, int]
    problem: str

    def too_old_for(self, major: int) -> str:
        """Return how a library built for this major version of CUDA misses its driver, else ""."""
        if not (0, 0) < self.cuda_version < (major, 0):
            return ""
        newest = ".".join(map(str, self.cuda_version))
        return (
            f"is built for CUDA {major}, and the driver supports CUDA {newest} (update the driver "
            "or change the build)"
        )


def query_driver() -> Driver:
    """Ask the driver for its GPUs; never raises, takes milliseconds where there is none."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        library = ctypes.CDLL(name)
    except OSError:
        return Driver(0, (0, 0), f"no NVIDIA driver is installed ({name} is missing)")
    version, count = ctypes.c_int(0), ctypes.c_int(0)
    library.cuDriverGetVersion(ctypes.byref(version))
    cuda = (version.value // 1000, version.value % 1000 // 10)
    code = library.cuInit(0) or library.cuDeviceGetCount(ctypes.byref(count))
    if code != CUDA_SUCCESS:
        return Driver(0, cuda, f"{REASONS.get(code, 'the driver failed')} (CUDA error {code})")
    return Driver(count.value, cuda, "" if count.value else REASONS[100])
