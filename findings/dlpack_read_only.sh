#!/bin/bash
# Guess:   arrays that are read-only stay so when they cross to another library by DLPack, whose
#          version 1 has a flag for it: PyTorch refuses them, copies, or warns as from_numpy does.
# Instead: torch.from_dlpack takes a read-only NumPy array and a JAX array, which is immutable,
#          without a word; writing to the tensor changes both. The other way NumPy heeds the flag:
#          what it gets from JAX is read-only.
# Seen:    PyTorch 2.13.0, NumPy 2.4.6, JAX 0.10.2 (CPU) as below
# Source:  include/dlpack/dlpack.h of dmlc/dlpack, DLPACK_FLAG_BITMASK_READ_ONLY;
#          https://github.com/pytorch/pytorch/issues/5442 (PyTorch has no read-only tensors)
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" numpy==2.4.6 torch==2.13.0 jax==0.10.2 jaxlib==0.10.2
export JAX_PLATFORMS=cpu

"$python" - <<'PY'
import warnings

import jax.numpy as jnp
import numpy as np
import torch
from finding import show

warnings.simplefilter("always")
array = np.zeros(64, dtype=np.float32)
array.flags.writeable = False
with warnings.catch_warnings(record=True) as said:
    torch.from_numpy(array)
show("torch.from_numpy warns of the read-only array", len(said), 1)

immutable = jnp.zeros(64)
show("np.from_dlpack of JAX's is writable", np.from_dlpack(immutable).flags.writeable, False)
for name, source in (("NumPy's read-only array", array), ("JAX's array", immutable)):
    with warnings.catch_warnings(record=True) as said:
        tensor = torch.from_dlpack(source)
    show(f"torch.from_dlpack warns of {name}", len(said), 0)
    tensor[0] = 7.0
    show(f"{name}, after tensor[0] = 7, has first", float(source[0]), 7.0)
show("NumPy's array still says that it is writable", array.flags.writeable, False)
PY
