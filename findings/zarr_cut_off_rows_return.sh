#!/bin/bash
# Guess:   an array that is made shorter and longer again holds the fill value in its new places,
#          as one of HDF5 does.
# Instead: what shared a chunk with the last row that stayed is there again: after going back to
#          an earlier step, rows that were given up stand where none were written yet.
# Seen:    zarr 3.1.6: [1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0] after 12 rows, 5 rows, 12 rows in
#          chunks of 4; h5py 3.16.0: zeros from the sixth on (NumPy 2.4.6)
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" zarr==3.1.6 h5py==3.16.0 numpy==2.4.6

"$python" - <<'PY'
import h5py
import numpy as np
import zarr
from finding import show

numbers = np.arange(1.0, 13.0)
history = zarr.create_array("history.zarr", shape=(12,), chunks=(4,), dtype="f8")
history[:] = numbers
history.resize((5,))
show("zarr, shorter", zarr.open_array("history.zarr")[:].tolist(), [1, 2, 3, 4, 5])
history.resize((12,))
back = zarr.open_array("history.zarr")[:].tolist()
show("zarr, longer again", back, [1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0])

with h5py.File("history.h5", "w") as file:
    history = file.create_dataset("history", data=numbers, chunks=(4,), maxshape=(None,))
    history.resize((5,))
    history.resize((12,))
    show("h5py, longer again", history[:].tolist(), [1, 2, 3, 4, 5, 0, 0, 0, 0, 0, 0, 0])
PY
