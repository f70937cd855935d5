"""Initial weights, drawn on the host in float64 from one generator.

`xp` is here the host's NumPy, handed in like any other namespace, so that every backend
starts from the same numbers. With D inputs and H outputs of a layer, the variances are
Xavier 2/(D + H) (Glorot & Bengio 2010), He 2/D (He et al. 2015, arXiv:1502.01852) and LeCun
1/D (LeCun et al. 1998); a uniform of variance v is U[-√(3v), √(3v)).
Equations: DERIVATION.md, "xavier", "he", "lecun".
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from xpmlp.errors import InputError, unknown_name
from xpmlp.types import Affine, Array, Generator, Namespace, Params

_VARIANCES: dict[str, Callable[[int, int], float]] = {
    "xavier": lambda d, h: 2.0 / (d + h),
    "he": lambda d, h: 2.0 / d,  # noqa: ARG005
    "lecun": lambda d, h: 1.0 / d,  # noqa: ARG005
}
SCALED = tuple(f"{name}_{law}" for name in _VARIANCES for law in ("normal", "uniform"))
INITIALIZERS = ("auto", "zeros", "normal", *SCALED)
_SIGMOIDAL = ("identity", "sigmoid", "tanh")


def _weights(xp: Namespace, rng: Generator, init: str, std: float, shape: tuple[int, int]) -> Array:
    if init == "zeros":
        return xp.zeros(shape, dtype=xp.float64)
    if init == "normal":
        return std * rng.standard_normal(shape)
    name, law = init.split("_")
    variance = _VARIANCES[name](*shape)
    if law == "normal":
        return math.sqrt(variance) * rng.standard_normal(shape)
    limit = math.sqrt(3.0 * variance)
    return rng.uniform(-limit, limit, shape)


def initialize(
    xp: Namespace,
    rng: Generator,
    sizes: Sequence[int],
    *,
    activations: Sequence[str] = (),
    init: str = "auto",
    std: float | Sequence[float] = 0.01,
    bias_std: float = 0.0,
) -> Params:
    """Return parameters for layers of the given sizes (D, H₁, …, C), float64.

    Layer by layer, W is drawn and then b. `auto` is Xavier (normal) below identity, sigmoid
    and tanh, and for the output layer, and He (normal) below the others; `std` is that of
    `normal`, one for all layers or one per layer. Biases are zero, or N(0, bias_std²).
    Raises InputError for an unknown name or a size below one.
    """
    if init not in INITIALIZERS:
        raise unknown_name("initialiser", init, INITIALIZERS)
    if len(sizes) < 2 or min(sizes) < 1:
        raise InputError(f"a net needs two or more layer sizes, each at least 1, got {list(sizes)}")
    layers = []
    n_layers = len(sizes) - 1
    stds = (std,) if isinstance(std, float | int) else tuple(std)
    stds *= n_layers if len(stds) == 1 else 1
    if len(stds) != n_layers:
        raise InputError(f"{len(stds)} standard deviations for {n_layers} layers")
    for i, (d, h) in enumerate(pairwise(sizes)):
        rule = init
        if init == "auto":
            sigmoidal = i >= len(activations) or activations[i] in _SIGMOIDAL
            rule = "xavier_normal" if sigmoidal else "he_normal"
        W = _weights(xp, rng, rule, stds[i], (d, h))
        b = bias_std * rng.standard_normal((h,)) if bias_std else xp.zeros((h,), dtype=xp.float64)
        layers.append(Affine(W, b))
    return tuple(layers)
