#!/bin/bash
# Guess:   at a kink a library's autograd takes one convention (0 for |x| and for ReLU, or half of
#          each side), whichever of its functions says the same thing.
# Instead: the name decides. ReLU's derivative at 0 is 0, 0.5 or 1, in one library; JAX gives |x|
#          the derivative 1 at 0, PyTorch 0; fmax(x, 0) is 0 in JAX and 1 in PyTorch.
# Seen:    JAX 0.10.2, PyTorch 2.13.0 as below
# Source:  jax/_src/lax/lax.py, _abs_jvp_rule: select(x >= 0, g, -g);
#          tools/autograd/derivatives.yaml of PyTorch: abs, maximum, clamp, fmax
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" numpy==2.4.6 jax==0.10.2 jaxlib==0.10.2 torch==2.13.0
export JAX_PLATFORMS=cpu

"$python" - <<'PY'
import jax
import jax.numpy as jnp
import torch
from finding import show
from torch.nn import functional

zero = torch.tensor(0.0)
cases = {  # derivatives at 0
    "jax.nn.relu(x)": (jax.nn.relu, 0.0),
    "jnp.maximum(x, 0)": (lambda x: jnp.maximum(x, 0.0), 0.5),
    "jnp.clip(x, 0)": (lambda x: jnp.clip(x, 0.0), 0.5),
    "jnp.fmax(x, 0)": (lambda x: jnp.fmax(x, 0.0), 0.0),
    "jax.nn.leaky_relu(x)": (jax.nn.leaky_relu, 1.0),
    "jnp.abs(x)": (jnp.abs, 1.0),
    "torch.relu(x)": (torch.relu, 0.0),
    "torch.maximum(x, 0)": (lambda x: torch.maximum(x, zero), 0.5),
    "torch.clamp(x, 0)": (lambda x: torch.clamp(x, 0.0), 1.0),
    "torch.fmax(x, 0)": (lambda x: torch.fmax(x, zero), 1.0),
    "torch leaky_relu(x)": (functional.leaky_relu, 0.01),
    "torch.abs(x)": (torch.abs, 0.0),
}
for name, (f, known) in cases.items():
    if name.startswith("j"):
        slope = jax.grad(f)(0.0).item()
    else:
        x = torch.tensor(0.0, requires_grad=True)
        f(x).backward()
        slope = x.grad.item()
    show(name, round(slope, 6), known)
PY
