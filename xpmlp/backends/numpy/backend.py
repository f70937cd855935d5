"""NumPy on the CPU: the reference that the others are compared with, its steps from a plan."""

import array_api_compat.numpy
import numpy as np

from xpmlp.backends.numpy.kernels import NumpyKernels
from xpmlp.backends.planned import PlannedBackend


class NumpyBackend(PlannedBackend):
    """NumPy with BLAS products, replaying the recorded step."""

    name = "numpy"
    xp = array_api_compat.numpy
    library = f"numpy {np.__version__}"
    kernels = NumpyKernels()

    def describe(self) -> dict[str, str]:
        """Return what a report should say, and the BLAS library of the products."""
        return {**super().describe(), "blas": blas_in_use()}


def blas_in_use() -> str:
    """Return name, version, kernels and threads of NumPy's BLAS library, "" where unknown.

    OpenBLAS chooses kernels by the processor, unless OPENBLAS_CORETYPE was set before NumPy was
    imported: "SkylakeX" are those for AVX-512, "Haswell" those for AVX2.
    """
    from threadpoolctl import threadpool_info

    for library in threadpool_info():
        if library["user_api"] == "blas" and "numpy" in library["filepath"]:
            kernels, threads = library.get("architecture"), library["num_threads"]
            return ", ".join(
                [
                    f"{library['internal_api']} {library['version']}",
                    *([f"{kernels} kernels"] if kernels else []),
                    f"{threads} thread{'s' * (threads > 1)}",
                ]
            )
    return ""
