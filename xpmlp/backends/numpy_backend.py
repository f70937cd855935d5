"""NumPy on the CPU: the reference that the others are compared with."""

import array_api_compat.numpy
import numpy as np

from xpmlp.backends.base import Backend


class NumpyBackend(Backend):
    """Runs the mathematics as it is written."""

    name = "numpy"
    xp = array_api_compat.numpy
    library = f"numpy {np.__version__}"
