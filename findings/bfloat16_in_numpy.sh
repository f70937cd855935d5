#!/bin/bash
# Guess:   bfloat16 arrays in NumPy, as np.asarray of a JAX array gives them, behave as float16:
#          a Python number doesn't widen them (NEP 50), and np.load returns what np.save wrote.
# Instead: b * 2.0 is float32, where(b > 0, b, 0.0) is float64; np.load returns two-byte voids;
#          the sum of 1000 ones is 256, added one by one in bfloat16. As a JAX array it stays
#          bfloat16 and sums to 1000.
# Seen:    NumPy 2.4.6, ml_dtypes 0.6.0, JAX 0.10.2 as below
# Source:  https://numpy.org/neps/nep-0050-scalar-promotion.html (the rule for NumPy's own dtypes)
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" numpy==2.4.6 ml_dtypes==0.6.0 jax==0.10.2 jaxlib==0.10.2
export JAX_PLATFORMS=cpu

"$python" - <<'PY'
import jax.numpy as jnp
import numpy as np
from finding import show

half, jax_b = np.ones(1000, dtype=np.float16), jnp.ones(1000, dtype=jnp.bfloat16)
b = np.asarray(jax_b)
show("np.asarray of JAX's", str(b.dtype), "bfloat16")
for name, xp, x, wide, wider in (
    ("NumPy float16", np, half, "float16", "float16"),
    ("JAX bfloat16", jnp, jax_b, "bfloat16", "bfloat16"),
    ("NumPy bfloat16", np, b, "float32", "float64"),
):
    show(f"{name}: x * 2.0", str((x * 2.0).dtype), wide)
    show(f"{name}: where(x > 0, x, 0.0)", str(xp.where(x > 0, x, 0.0).dtype), wider)
    show(f"{name}: sum of 1000 ones", float(x.sum()), 256.0 if xp is np and x is b else 1000.0)
np.save("b.npy", b)
show("np.load of what np.save wrote", np.load("b.npy").dtype.str, "|V2")
PY
