"""What an estimator's parameters mean to the trainer."""

import warnings
from typing import Any

from xpmlp.errors import InputError
from xpmlp.estimator.parameters import ACTIVATION_ALIASES, EPOCH_SOLVERS
from xpmlp.estimator.targets import Targets
from xpmlp.nn.dropout import dropout_rates
from xpmlp.training.config import Config


def activation_names(activation: Any) -> tuple[str, ...]:
    """Return the trainer's names of one activation for all hidden layers, or of one each."""
    names = (activation,) if isinstance(activation, str) else tuple(activation)
    return tuple(ACTIVATION_ALIASES.get(name, name) for name in names)


def dropout_of(settings: Any, n_hidden: int) -> tuple[float, ...]:
    """Return one share per hidden layer, () for none. Raises InputError for what can't be."""
    dropout = settings.dropout
    shares = tuple(dropout) if hasattr(dropout, "__iter__") else (dropout,)
    rates = dropout_rates(tuple(map(float, shares)), n_hidden)
    if rates and settings.solver == "lbfgs":
        raise InputError("dropout needs solver sgd or adam; lbfgs can't search along chance")
    return rates


def optimizer_of(settings: Any) -> str:
    """Return the trainer's name of what takes the steps of a solver that goes by epochs."""
    if settings.solver == "adam":
        return "adam_epsilon_hat"
    if settings.momentum == 0:
        return "sgd"
    return "nesterov" if settings.nesterovs_momentum else "momentum"


def batch_size_of(settings: Any, n: int) -> int:
    """Return the rows of a step out of N; warns where more were asked for."""
    if settings.batch_size == "auto":
        return min(200, n)
    if settings.batch_size > n and settings.solver in EPOCH_SOLVERS:
        warnings.warn(
            f"batch_size {settings.batch_size} is larger than the sample size, {n}; "
            "it is going to be clipped",
            stacklevel=7,
        )
    return min(int(settings.batch_size), n)


def config_of(
    settings: Any,
    targets: Targets,
    sizes: tuple[int, ...],
    dtype: str,
    n: int,
    **more: Any,
) -> Config:
    """Return the trainer's config for N rows; numbers of other solvers than this one stay out.

    more: options that are no parameters of the estimator.
    """
    hidden = sizes[1:-1]
    own: dict[str, Any] = {}
    if settings.solver == "sgd":
        own = {"momentum": float(settings.momentum)}
    elif settings.solver == "adam":
        own = {
            "beta1": float(settings.beta_1),
            "beta2": float(settings.beta_2),
            "epsilon": float(settings.epsilon),
        }
    return Config(
        hidden=hidden,
        activation=activation_names(settings.activation),
        dropout=dropout_of(settings, len(hidden)) or (0.0,),
        loss=targets.loss,
        lr_schedule="constant",
        l2=float(settings.alpha),
        l2_per="row",
        batch_size=batch_size_of(settings, n),
        record="loss",
        freeze=int(settings.freeze),
        dtype=dtype,
        compile=settings.compile,
        threads=settings.threads,
        **own,
        **more,
    )
