"""Which values an estimator's parameters may have."""

import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np

from xpmlp.backends.registry import BACKENDS, COMPILE, DTYPES
from xpmlp.errors import InputError
from xpmlp.nn.activations import ACTIVATIONS

ACTIVATION_ALIASES = {"logistic": "sigmoid"}
LOSS_NAMES = {
    "squared_error": "mean_squared_error",
    "absolute_error": "mean_absolute_error",
    "huber": "huber",
    "poisson": "poisson",
}
EPOCH_SOLVERS = ("sgd", "adam")


class Rule(NamedTuple):
    """A test of a value, and the words for what passes it."""

    holds: Callable[[Any], bool]
    expected: str


def one_of(*names: str) -> Rule:
    """Return the rule for one of some strings."""
    words = ", ".join(map(repr, names))
    return Rule(lambda value: isinstance(value, str) and value in names, f"one of {words}")


def count(value: Any) -> bool:
    """Tell whether a value is an integer from 1, and no bool."""
    return integer(value) and int(value) >= 1


def integer(value: Any) -> bool:
    """Tell whether a value is an integer, of Python or NumPy, and no bool."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def real(low: float, high: float, ends: str = "[)") -> Rule:
    """Return the rule for a number of an interval; ends: its brackets."""

    def holds(value: Any) -> bool:
        if not isinstance(value, Real):
            return False
        x = float(value)
        above = x >= low if ends[0] == "[" else x > low
        return above and (x <= high if ends[1] == "]" else x < high)

    return Rule(holds, f"a float in the range {ends[0]}{low:g}, {high:g}{ends[1]}")


def activations(value: Any) -> bool:
    """Tell whether a value is the name of an activation, or a list of names."""
    names = [value] if isinstance(value, str) else value
    known = {*ACTIVATION_ALIASES, *ACTIVATIONS}
    return isinstance(names, list | tuple) and all(
        isinstance(name, str) and name in known for name in names
    )


def widths(value: Any) -> bool:
    """Tell whether a value is an integer, or a list of them, of whatever size."""
    if isinstance(value, np.ndarray):
        return value.ndim == 1 and value.dtype.kind in "iu"
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return all(map(integer, value))
    return integer(value)


def shares(value: Any) -> bool:
    """Tell whether a value is a share below 1, or a list of them."""
    return all(map(SHARE.holds, value if isinstance(value, list | tuple) else [value]))


SHARE = real(0, 1)
COUNT = Rule(count, "an int in the range [1, inf)")
BOOLEAN = Rule(lambda value: isinstance(value, Integral | np.bool_) and value in (0, 1), "a bool")
RULES = {
    "hidden_layer_sizes": Rule(widths, f"{COUNT.expected}, or a list with one per hidden layer"),
    "activation": Rule(
        activations,
        one_of(*ACTIVATION_ALIASES, *ACTIVATIONS).expected
        + ", or a list with one per hidden layer",
    ),
    "freeze": Rule(lambda value: integer(value) and value >= 0, "an int in the range [0, inf)"),
    "dropout": Rule(shares, f"{SHARE.expected}, or a list with one per hidden layer"),
    "solver": one_of("lbfgs", *EPOCH_SOLVERS),
    "alpha": real(0, math.inf),
    "batch_size": Rule(
        lambda value: value == "auto" or count(value), f"'auto' or {COUNT.expected}"
    ),
    "learning_rate": one_of("constant", "invscaling", "adaptive"),
    "learning_rate_init": real(0, math.inf, "()"),
    "power_t": real(0, math.inf),
    "max_iter": COUNT,
    "shuffle": BOOLEAN,
    "tol": real(0, math.inf),
    "verbose": Rule(lambda value: isinstance(value, Integral | np.bool_), "a bool or an int"),
    "device": Rule(lambda value: isinstance(value, str), "a str"),
    "warm_start": BOOLEAN,
    "momentum": SHARE,
    "nesterovs_momentum": BOOLEAN,
    "early_stopping": BOOLEAN,
    "validation_fraction": SHARE,
    "beta_1": SHARE,
    "beta_2": SHARE,
    "epsilon": real(0, math.inf, "()"),
    "n_iter_no_change": Rule(
        lambda value: count(value) or value == math.inf, f"inf or {COUNT.expected}"
    ),
    "max_fun": COUNT,
    "loss": one_of(*LOSS_NAMES),
    "scoring": Rule(
        lambda value: value is None or isinstance(value, str) or callable(value),
        "None, the name of a scorer, or a callable",
    ),
    "class_weight": Rule(
        lambda value: value is None or value == "balanced" or isinstance(value, dict | list),
        "'balanced', a dict, a list of dicts or None",
    ),
    "backend": one_of("auto", *BACKENDS),
    "dtype": one_of("auto", *DTYPES),
    "compile": one_of(*COMPILE),
    "threads": Rule(lambda value: value is None or count(value), f"None or {COUNT.expected}"),
}


def check_parameters(
    kind: str, parameters: dict[str, Any], rules: Mapping[str, Rule] = RULES
) -> None:
    """Raise InputError, a ValueError, for a value that a parameter can't have.

    kind: the class's name. rules: by the parameters' names.
    """
    for name, value in parameters.items():
        rule = rules.get(name)
        if rule is not None and not rule.holds(value):
            raise InputError(
                f"The {name!r} parameter of {kind} must be {rule.expected}. Got {value!r} instead."
            )


def layer_widths(hidden_layer_sizes: Any) -> tuple[int, ...]:
    """Return the widths of the hidden layers, given as a list or, for one layer, as a number.

    Raises InputError where one is not from 1.
    """
    given = [hidden_layer_sizes] if integer(hidden_layer_sizes) else hidden_layer_sizes
    sizes = tuple(map(int, given))
    if not all(map(count, sizes)):
        raise InputError(f"hidden_layer_sizes must be > 0, got {list(sizes)}.")
    return sizes
