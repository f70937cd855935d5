"""Optimisers as pure `init`/`update` pairs, clipping, and learning-rate schedules.

`OPTIMIZERS` names the optimisers, `SCHEDULES` the schedules. Nothing here writes into an
argument or imports an array library.
"""

from xpmlp.optim import adam, muon, sgd
from xpmlp.optim.base import Optimizer

OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": Optimizer(sgd.init_sgd, sgd.update_sgd),
    "momentum": Optimizer(sgd.init_momentum, sgd.update_momentum),
    "nesterov": Optimizer(sgd.init_momentum, sgd.update_nesterov),
    "rmsprop": Optimizer(adam.init_rmsprop, adam.update_rmsprop),
    "adam": Optimizer(adam.init_adam, adam.update_adam, options=adam.OPTIONS),
    "adam_epsilon_hat": Optimizer(
        adam.init_adam, adam.update_adam_epsilon_hat, options=adam.OPTIONS
    ),
    "adamw": Optimizer(adam.init_adam, adam.update_adamw, decoupled_l2=True, options=adam.OPTIONS),
    "muon": Optimizer(muon.init_muon, muon.update_muon, True, adam.OPTIONS, muon.multiplications),
}
