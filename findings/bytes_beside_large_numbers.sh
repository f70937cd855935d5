#!/bin/bash
# Guess:   comparing an array of uint8 with a Python number that no byte can be answers as
#          mathematics does, or raises: 200 < 300 is true, 1 == 257 is false.
# Instead: PyTorch and JAX bring the number into the array's dtype first, modulo 256: 200 < 300 is
#          false, 1 == 257 is true, 200 > -1 is false. NumPy is right. PyTorch's clamp raises for
#          the same number.
# Seen:    PyTorch 2.13.0, JAX 0.10.2: wrong; NumPy 2.4.6: right
# Source:  https://github.com/pytorch/pytorch/issues/101653 and
#          https://github.com/pytorch/pytorch/issues/114679
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" numpy==2.4.6 torch==2.13.0 jax==0.10.2 jaxlib==0.10.2
export JAX_PLATFORMS=cpu

"$python" - <<'PY'
import jax.numpy as jnp
import numpy as np
import torch
from finding import show

arrays = {
    "NumPy": np.array([1, 200], dtype=np.uint8),
    "PyTorch": torch.tensor([1, 200], dtype=torch.uint8),
    "JAX": jnp.array([1, 200], dtype=jnp.uint8),
}
for library, x in arrays.items():
    right = library == "NumPy"
    show(f"{library}: [1, 200] < 300", (x < 300).tolist(), [True, right])
    show(f"{library}: [1, 200] == 257", (x == 257).tolist(), [not right, False])
    show(f"{library}: [1, 200] > -1", (x > -1).tolist(), [right, right])
try:
    arrays["PyTorch"].clamp(max=300)
    refused = False
except RuntimeError:
    refused = True
show("PyTorch: clamp(max=300) raises", refused, True)
PY
