"""array-api-strict: slow, and refuses whatever the Array API standard does not promise."""

from typing import Any

import array_api_strict as strict
import numpy as np

from xpmlp.backends.base import Backend
from xpmlp.errors import InputError
from xpmlp.types import Array

StrictArray = type(strict.empty(0))


class StrictBackend(Backend):
    """Shows that the mathematics stays within the standard.

    device: "cpu", or the name of another of the library's devices, as "device1". Those are no
    devices but in name; arrays of two of them refuse to meet, which shows that the mathematics
    makes its arrays where its operands are. Raises InputError where a device lacks the dtype, or
    int64.
    """

    name = "array-api-strict"
    xp = strict
    library = f"array-api-strict {strict.__version__}"

    def __init__(self, device: str, dtype: str, matmul_precision: str = "full") -> None:
        super().__init__(device, dtype, matmul_precision)
        self.strict_device = strict.Device("CPU_DEVICE" if device == "cpu" else device)
        known = strict.__array_namespace_info__().dtypes(device=self.strict_device)
        if missing := [name for name in (dtype, "int64") if name not in known]:
            raise InputError(f"{self.library} has no {missing[0]} on its device {device}")

    def asarray(self, array: Any) -> Array:
        """Put a host array, or one of the library's on any device, on the device."""
        if isinstance(array, StrictArray):
            floats = strict.isdtype(array.dtype, "real floating")
            dtype = getattr(strict, self.dtype) if floats else None
            return strict.asarray(array, dtype=dtype, device=self.strict_device)
        return strict.asarray(self._host(array), device=self.strict_device)

    def to_numpy(self, array: Array) -> np.ndarray:
        """Fetch an array by way of the only device that NumPy may read."""
        return np.asarray(array.to_device(strict.Device("CPU_DEVICE")))
