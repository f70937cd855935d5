#!/bin/bash
# Guess:   subnormal float32 numbers are kept, or flushed when they are computed; a comparison
#          computes nothing, and `sort` only moves numbers.
# Instead: JAX's compiled code on a CPU reads a subnormal as 0: it equals 0 and isn't above 0,
#          its logarithm is -inf, and `sort` leaves [1e-39, 0, -1e-39] as it is. The array still
#          holds the number: NumPy finds it there.
# Seen:    JAX 0.10.2 on a CPU as below; NumPy 2.4.6 keeps, compares and sorts it
# Source:  xla/pjrt/cpu/cpu_client.cc of XLA: tsl::port::ScopedFlushDenormal around each execution
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" numpy==2.4.6 jax==0.10.2 jaxlib==0.10.2
export JAX_PLATFORMS=cpu

"$python" - <<'PY'
import jax.numpy as jnp
import numpy as np
from finding import show

numbers = np.array([1e-39, 0, -1e-39], dtype=np.float32)
held = jnp.asarray(numbers)
show("the array holds the numbers", np.asarray(held).tobytes() == numbers.tobytes(), True)
for library, xp, x, flushed in (("NumPy", np, numbers, False), ("JAX", jnp, held, True)):
    show(f"{library}: x == 0", (x == 0).tolist(), [flushed, True, flushed])
    show(f"{library}: x[0] > 0", bool((x > 0)[0]), not flushed)
    show(f"{library}: log(x[0]) is -inf", bool(xp.isneginf(xp.log(x[:1]))[0]), flushed)
    order = np.asarray(xp.sort(x)).argsort(kind="stable").tolist()
    show(f"{library}: sort(x) is in order", order == [0, 1, 2], not flushed)
PY
