"""Weights to begin with: drawn, or those that another net has learnt."""

from collections.abc import Iterator, Sequence
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

import numpy as np

from xpmlp.data.dataset import Dataset, Scaling
from xpmlp.errors import InputError
from xpmlp.leaves import map_leaves
from xpmlp.nn.initializers import initialize
from xpmlp.training.config import Config
from xpmlp.training.ensemble import Ensemble
from xpmlp.training.model import Model
from xpmlp.training.step import Objective
from xpmlp.types import Affine, Params

MODEL = "model.safetensors"
Shapes = list[tuple[tuple[int, ...], tuple[int, ...]]]


def starting_params(
    initial: Any, drawn: Params, activations: Sequence[str], data: Dataset | None = None
) -> tuple[Params, list[str]]:
    """Return arrays of their own to begin with, and lines on what was assumed of them.

    initial: a run, a model, the file or folder of one, a fitted estimator, or a sequence of layers
    (W, b). Layers are taken from the first on, as far as shapes are those of `drawn`; the others
    are as drawn. activations, data: of the net that begins with them.
    Raises InputError where not even the first fits, and for anything else.
    """
    known, model = _params_of(initial)
    taken = _count_of_same(_shapes(known), _shapes(drawn))
    if not taken:
        raise InputError(
            f"initial weights of shapes {_listed(_shapes(known))} don't fit the net's "
            f"{_listed(_shapes(drawn))}: at least the first layer must be the same"
        )
    notes = [] if taken == len(known) == len(drawn) else [_cut(known, drawn, taken)]
    if model is not None:
        whole = not notes
        notes += _other_functions(model, activations[:taken])
        notes += _other_data(model, data, whole) if data else ()
    return (*known[:taken], *(_own(layer) for layer in drawn[taken:])), notes


def _params_of(initial: Any) -> tuple[Params, Model | None]:
    if isinstance(initial, str | Path):
        path = Path(initial).expanduser()
        initial = Model.load(path / MODEL if path.is_dir() else path)
    model = initial if isinstance(initial, Model) else getattr(initial, "model", None)
    if isinstance(model, Ensemble):
        raise InputError("initial is an ensemble, whose nets differ; give one of them, as nets[0]")
    layers = model.params if isinstance(model, Model) else initial
    if hasattr(initial, "coefs_"):
        layers = tuple(zip(initial.coefs_, initial.intercepts_, strict=True))
    elif hasattr(initial, "get_params"):
        raise InputError(
            "initial is an estimator that is not fitted; scikit-learn's clone, by which searches "
            "copy, empties a fitted one: give list(zip(net.coefs_, net.intercepts_))"
        )
    if not (isinstance(layers, Sequence) and layers and all(map(_is_layer, layers))):
        raise InputError(
            "initial must be a run, a model, the file or folder of one, a fitted estimator, or a "
            f"sequence of layers xpmlp.Affine(W, b), got {type(initial).__name__}"
        )
    params = tuple(_own(layer) for layer in layers)
    for i, layer in enumerate(params, start=1):
        if not all(a.dtype.kind in "fiu" and np.isfinite(a).all() for a in layer):
            raise InputError(f"initial weights of layer {i} are no finite numbers")
    return params, model if isinstance(model, Model) else None


def _is_layer(layer: Any) -> bool:
    return isinstance(layer, Sequence) and len(layer) == 2 and not isinstance(layer, str)


def _own(layer: Sequence[Any]) -> Affine:
    W, b = (np.array(part) for part in layer)
    return Affine(W * 1.0, b * 1.0)


def _shapes(params: Params) -> Shapes:
    return [(tuple(layer.W.shape), tuple(layer.b.shape)) for layer in params]


def _count_of_same(theirs: Shapes, ours: Shapes) -> int:
    pairs = zip(theirs, ours, strict=False)
    return len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))


def _listed(shapes: Shapes) -> str:
    """Return `W (4, 5), W (5, 3)`, with the shape of b where that is not a row of W's width."""
    return ", ".join(f"W {W}" if b == W[-1:] else f"W {W} with b {b}" for W, b in shapes)


def _cut(known: Params, drawn: Params, taken: int) -> str:
    layers = "layer has" if taken == 1 else f"{taken} layers have"
    theirs, ours = _shapes(known)[taken:], _shapes(drawn)[taken:]
    return (
        f"the first {layers} the initial weights; what follows is drawn anew, as it is "
        f"{_listed(theirs) or 'nothing'} there and {_listed(ours) or 'nothing'} here"
    )


def _other_functions(model: Model, activations: Sequence[str]) -> Iterator[str]:
    """Yield a line where the layers that are taken had other activations."""
    theirs = model.activations[: len(activations)]
    if theirs != tuple(activations):
        yield (
            f"the initial weights were learnt under {' '.join(theirs)}, and this net has "
            f"{' '.join(activations)}"
        )


def _other_data(model: Model, data: Dataset, whole: bool) -> Iterator[str]:
    """Yield a line for each thing that the initial weights were learnt for, and is another here."""
    if not _same_scaling(model.scaling, data.scaling):
        yield (
            "the initial weights were learnt on rows that were scaled with other numbers than "
            f"those of {data.name}"
        )
    if whole and model.class_names != data.class_names:
        yield (
            f"the initial weights tell other classes apart than those of {data.name}: "
            f"{_few(data.class_names)} begin with the weights of {_few(model.class_names)}"
        )


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + ", …" * (len(names) > 5) or "values"


def _same_scaling(one: Scaling | None, other: Scaling | None) -> bool:
    """Tell whether two scalings, where both are known, have the same numbers."""
    if one is None or other is None:
        return True
    pairs = zip(one, other, strict=True)
    return all(
        a is b or (a is not None and b is not None and np.array_equal(a, b, equal_nan=True))
        for a, b in pairs
    )


def drawn_params(
    config: Config, sizes: Sequence[int], objective: Objective, seed: np.random.SeedSequence
) -> Params:
    """Return parameters that are drawn as a config says, for a net of these widths."""
    return initialize(
        np,
        np.random.default_rng(seed),
        sizes,
        activations=objective.activations,
        init=config.init,
        std=config.init_std,
        bias_std=config.init_bias_std,
    )


def first_moments(velocity: float, params: Params) -> tuple[Params, ...]:
    """Return the moments of an optimiser whose velocities begin with a number."""
    return (map_leaves(lambda leaf: np.full(leaf.shape, velocity), params),)


def check_shapes(params: Params, sizes: Sequence[int]) -> None:
    """Raise InputError for parameters that are not those of a net of these widths."""
    expected = list(pairwise(sizes))
    given = [tuple(layer.W.shape) for layer in params]
    if given != expected or any(layer.b.shape != layer.W.shape[-1:] for layer in params):
        raise InputError(f"weights of shapes {given} don't fit the net's {expected}")
