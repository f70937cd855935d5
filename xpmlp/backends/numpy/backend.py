"""NumPy on the CPU: the reference that the others are compared with, its steps from a plan."""

import array_api_compat.numpy
import numpy as np

from xpmlp.backends.numpy.blas import blas_in_use
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
