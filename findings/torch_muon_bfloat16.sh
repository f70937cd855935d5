#!/bin/bash
# Guess:   torch.optim.Muon on a float64 weight takes its Newton-Schulz steps in float64, so that the
#          step equals those computed in float64 to some 1e-12; the input's dtype decides, as in
#          every other optimiser of torch.optim.
# Instead: it iterates in bfloat16 whatever the dtype of the weight. The step is of float64 and off
#          by a few thousandths. A bias, or any tensor that is no matrix, is refused when the
#          optimiser is made.
# Seen:    torch 2.13.0 (CPU) as below
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" torch==2.13.0 numpy==2.4.6

"$python" - <<'PY'
import numpy as np
import torch
from finding import show

rng = np.random.default_rng(0)
G = rng.standard_normal((6, 4))


def step(dtype):
    W = torch.zeros(6, 4, dtype=dtype, requires_grad=True)
    W.grad = torch.tensor(G, dtype=dtype)
    optimizer = torch.optim.Muon([W], lr=1.0, momentum=0.0, nesterov=False, weight_decay=0.0)
    optimizer.step()
    return W.detach()


X = G.T / np.linalg.norm(G)
for _ in range(5):
    A = X @ X.T
    X = 3.4445 * X + (-4.7750 * A + 2.0315 * A @ A) @ X
expected = -X.T * np.sqrt(max(1, 6 / 4))
made = step(torch.float64)
off = np.abs(made.numpy() - expected).max()
show("dtype of the step", str(made.dtype), "torch.float64")
show("off by more than 1e-3", bool(off > 1e-3), True)
show("off by less than 5e-2", bool(off < 5e-2), True)
try:
    torch.optim.Muon([torch.zeros(3, requires_grad=True)])
    seen = "taken"
except ValueError:
    seen = "ValueError"
show("a bias", seen, "ValueError")
PY
