#!/bin/bash
# Guess:   np.savez does with each array what np.save does with one.
# Instead: of a masked array np.save into a file raises, as the mask would be lost, while np.savez
#          and np.savez_compressed, and np.save into memory, write what lies under the mask: the
#          entries that were invalid come back as numbers, without a warning.
# Seen:    NumPy 2.4.6 as below
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" numpy==2.4.6

"$python" -W error - <<'PY'
import io

import numpy as np
from finding import show

rows = np.ma.masked_greater([1.0, -2.0, 9999.0], 1000)
show("given", rows.tolist(), [1.0, -2.0, None])
try:
    np.save("rows.npy", rows)
except NotImplementedError as error:
    show("np.save", str(error), "MaskedArray.tofile() not implemented yet.")
else:
    raise SystemExit("CHANGED: np.save refused it")

for save in (np.savez, np.savez_compressed):
    save("rows.npz", x=rows)
    with np.load("rows.npz") as archive:
        read = archive["x"]
    show(save.__name__, (type(read).__name__, read.tolist()), ("ndarray", [1, -2, 9999]))
memory = io.BytesIO()
np.save(memory, rows)
memory.seek(0)
show("np.save into memory", np.load(memory).tolist(), [1, -2, 9999])
PY
