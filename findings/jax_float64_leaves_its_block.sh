#!/bin/bash
# Guess:   a float64 array made within `with jax.enable_x64(True)` either stays float64 outside
#          the block, or all that is computed from it there is float32.
# Instead: it depends on the operation. Outside, exp(d), d * d and d @ d are float64; d + 1,
#          d * 0.5, sum, mean and max are float32. No error, at most a warning.
# Seen:    JAX 0.10.2, NumPy 2.4.6 as below
# Source:  jax/_src/dtypes.py (canonicalize_dtype heeds the switch when it is called),
#          https://docs.jax.dev/en/latest/default_dtypes.html (dtypes and the switch)
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" numpy==2.4.6 jax==0.10.2 jaxlib==0.10.2
export JAX_PLATFORMS=cpu

"$python" - <<'PY'
import jax
import jax.numpy as jnp
from finding import show

with jax.enable_x64(True):
    d = jnp.ones(3, dtype=jnp.float64)
operations = {
    "d": (lambda: d, "float64"),
    "d * d": (lambda: d * d, "float64"),
    "d + d": (lambda: d + d, "float64"),
    "exp(d)": (lambda: jnp.exp(d), "float64"),
    "d @ d": (lambda: d @ d, "float64"),
    "maximum(d, d)": (lambda: jnp.maximum(d, d), "float64"),
    "d + 1": (lambda: d + 1, "float32"),
    "d * 0.5": (lambda: d * 0.5, "float32"),
    "sum(d)": (lambda: d.sum(), "float32"),
    "mean(d)": (lambda: d.mean(), "float32"),
    "max(d)": (lambda: d.max(), "float32"),
}
for name, (f, known) in operations.items():
    show(name, str(f().dtype), known)
PY
