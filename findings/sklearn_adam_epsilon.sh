#!/bin/bash
# Guess:   Adam with the same rate, betas and epsilon takes the same steps in scikit-learn as in
#          PyTorch and optax: epsilon = 1e-8 stands beside the root of the corrected second moment.
# Instead: scikit-learn corrects the rate and leaves the moments, so its epsilon stands beside the
#          uncorrected root: in the first step it weighs 1 / sqrt(1 - beta2), some 32 times, as
#          much. Where gradients are of epsilon's size, steps are 16 times smaller.
# Seen:    first step of gradient 1e-8 at rate 1e-3: PyTorch 2.13.0 and optax 0.2.8 -5.0e-04,
#          scikit-learn 1.9.1 -3.1e-05; of gradient 1: -1.0e-03 in all three
# Source:  sklearn/neural_network/_stochastic_optimizers.py, AdamOptimizer._get_updates;
#          Kingma and Ba, arXiv:1412.6980, end of section 2 (the two forms, with their epsilons)
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" numpy==2.4.6 scikit-learn==1.9.1 torch==2.13.0 optax==0.2.8 \
    jax==0.10.2 jaxlib==0.10.2
export JAX_PLATFORMS=cpu

"$python" - <<'PY'
import jax.numpy as jnp
import numpy as np
import optax
import torch
from finding import show
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer


def of_torch(gradient):
    w = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    w.grad = torch.tensor([gradient], dtype=torch.float64)
    torch.optim.Adam([w], lr=1e-3, betas=(0.9, 0.999), eps=1e-8).step()
    return w.item()


def of_optax(gradient):
    adam = optax.adam(1e-3, b1=0.9, b2=0.999, eps=1e-8)
    return float(adam.update(jnp.array([gradient]), adam.init(jnp.zeros(1)))[0][0])


def of_sklearn(gradient):
    w = [np.zeros(1)]
    adam = AdamOptimizer(w, 1e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-8)
    adam.update_params(w, [np.array([gradient])])
    return float(w[0][0])


for step, small in ((of_torch, "-5.0e-04"), (of_optax, "-5.0e-04"), (of_sklearn, "-3.1e-05")):
    show(f"{step.__name__}, gradient 1e-8", f"{step(1e-8):.1e}", small)
    show(f"{step.__name__}, gradient 1", f"{step(1.0):.1e}", "-1.0e-03")
PY
