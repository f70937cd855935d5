"""The words that all of xpmlp shares: arrays, parameters, and what goes into a step.

Arrays and namespaces are typed `Any`: the Python Array API standard defines what they can
do, and array-api-strict, in the tests, checks that nothing beyond it is used.
"""

from typing import Any, NamedTuple, Protocol

Array = Any
Namespace = Any


class Affine(NamedTuple):
    """One layer's parameters, or their gradients: `W: (..., D, H)`, `b: (..., H)`."""

    W: Array
    b: Array


Params = tuple[Affine, ...]


class Batch(NamedTuple):
    """Rows of one step: `x: (..., N, D)`, targets `t`, and optional row weights `(..., N)`."""

    x: Array
    t: Array
    weights: Array | None = None


class Part(NamedTuple):
    """Which of a step's rows the batch has, where several processes share them: two numbers, ().

    shift: an integer, what the number of its first row adds to the counter of dropout's masks.
    counts: 1, or 0 where none of the step's rows is its own and the batch is a stand-in.
    """

    shift: Array
    counts: Array


class Hyper(NamedTuple):
    """The numbers of one step, each a scalar or one per ensemble member `(K,)`.

    seed: an integer of 32 bits, of the masks of dropout; None without dropout.
    own: a tuple of further numbers in which members differ, in the order of `Objective.own`.
    part: a `Part`, None where the batch has all rows of the step.
    """

    learning_rate: Array
    l2: Array
    l1: Array
    momentum: Array
    seed: Array | None = None
    own: Any = ()
    part: Any = None


class Generator(Protocol):
    """What the initialisers need of a host `numpy.random.Generator` (or `RandomState`)."""

    def standard_normal(self, size: Any = ...) -> Any:
        """Draw from N(0, 1), float64."""
        ...

    def uniform(self, low: float = ..., high: float = ..., size: Any = ...) -> Any:
        """Draw from U[low, high), float64."""
        ...
