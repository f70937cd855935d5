#!/bin/bash
# Guess:   netCDF4 masks what the file declares as a fill value, and a variable that declares none
#          is read back as it was written, its bytes above all.
# Instead: each type has a value that counts as missing by itself: 255 of uint8, -127 of int8,
#          65535 of uint16. White pixels are masked, left out of means, and equal to nothing;
#          xarray reads the same file in full. set_auto_mask(False) mends it.
# Seen:    netCDF4 1.7.5.1.post1, xarray 2026.9.0 as below (NumPy 2.4.6)
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" netCDF4==1.7.5.1.post1 xarray==2026.9.0 numpy==2.4.6

"$python" - <<'PY'
import netCDF4
import numpy as np
import xarray
from finding import show


def written(name, numbers):
    with netCDF4.Dataset("numbers.nc", "w") as file:
        file.createDimension("place", len(numbers))
        variable = file.createVariable(name, numbers.dtype, ("place",))
        variable[:] = numbers
        show(f"attributes of {name}", variable.ncattrs(), [])


pixels = np.array([0, 100, 255, 255], np.uint8)
written("pixels", pixels)
with netCDF4.Dataset("numbers.nc") as file:
    read = file["pixels"][:]
    show("netCDF4", read.tolist(), [0, 100, None, None])
    show("its mean", float(read.mean()), 50.0)
    show("its white pixels", int((read == 255).sum()), 0)
    file.set_auto_mask(False)
    show("netCDF4, set_auto_mask(False)", file["pixels"][:].tolist(), pixels.tolist())
with xarray.open_dataset("numbers.nc", engine="netcdf4") as table:
    show("xarray", table["pixels"].values.tolist(), pixels.tolist())
    show("its mean", float(table["pixels"].mean()), 152.5)

for kind, missing in ((np.int8, -127), (np.uint16, 65535), (np.int64, -(2**63) + 2)):
    written(kind.__name__, np.array([1, missing], kind))
    with netCDF4.Dataset("numbers.nc") as file:
        show(f"{missing} of {kind.__name__}", file[kind.__name__][:].tolist(), [1, None])
PY
