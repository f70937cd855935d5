"""Whether a net, rows and targets belong together: asked at the door, never in a step.

Shapes and dtypes are known everywhere; values are looked at where there are any, which is not so
while JAX or PyTorch traces a function.
"""

from collections.abc import Sequence
from typing import Any

from xpmlp.errors import InputError, unknown_name
from xpmlp.nn.losses import LOSSES
from xpmlp.types import Affine, Array, Batch, Namespace, Params

SOFTMAX = "softmax_cross_entropy"
SUM_OF_PROBABILITIES = 1e-3  # how far the sum of a row may be from one
Shape = tuple[int, ...]


def checked_inputs(
    xp: Namespace, params: Params, x: Array, n_hidden: int, masks: Sequence[Array | None]
) -> Array:
    """Return x, whole numbers as floats. Raises InputError for what can't go through the net."""
    _require_array("x", x)
    for i, layer in enumerate(params, start=1):
        _check_layer(i, layer)
    for i in range(1, len(params)):
        before, after = tuple(params[i - 1].W.shape), tuple(params[i].W.shape)
        if before[-1] != after[-2] or before[:-2] != after[:-2]:
            raise InputError(
                f"layers {i} and {i + 1} don't fit together: W has shape {before}, then {after}; "
                f"the second must begin with the {before[-1]} outputs of the first"
            )
    width = params[0].W.shape[-2]
    if x.ndim < 2 or x.shape[-1] != width:
        raise InputError(
            f"x has shape {tuple(x.shape)}; the net takes x of shape (N, {width}), one row per "
            "example"
        )
    if x.shape[-2] == 0:
        raise InputError("x has no rows")
    _leading(params, x)
    _check_masks(params, x, n_hidden, masks)
    if not xp.isdtype(x.dtype, "real floating"):
        if not xp.isdtype(x.dtype, ("bool", "integral")):
            raise InputError(f"x must be float32 or float64, got dtype {x.dtype}")
        return xp.astype(x, params[0].W.dtype)
    if _fails(lambda: xp.all(xp.isfinite(x))):
        raise InputError("x contains NaN or infinity")
    return x


def checked_targets(
    xp: Namespace, params: Params, batch: Batch, loss: str, label_smoothing: float
) -> Batch:
    """Return the batch, whole numbers in t and weights as floats where the loss takes floats.

    batch: x as of `checked_inputs`. Raises InputError for targets that the loss does not take.
    """
    if loss not in LOSSES:
        raise unknown_name("loss", loss, LOSSES)
    if label_smoothing and loss != SOFTMAX:
        raise InputError(f"label_smoothing goes with {SOFTMAX}, not {loss}")
    if not 0 <= label_smoothing < 1:
        raise InputError(f"label_smoothing is {label_smoothing:g}; it must be in [0, 1)")
    x, t, weights = batch
    _require_array("t", t)
    leading, n, n_outputs = _leading(params, x), x.shape[-2], params[-1].W.shape[-1]
    if loss == SOFTMAX and not xp.isdtype(t.dtype, "real floating"):
        _check_classes(xp, t, (*leading, n), n_outputs)
    else:
        t = _checked_values(xp, t, (*leading, n, n_outputs), loss, x.dtype)
    if weights is not None:
        weights = _checked_weights(xp, weights, (*leading, n), x.dtype)
    return Batch(x, t, weights)


def _require_array(name: str, value: Any) -> None:
    if not (hasattr(value, "shape") and hasattr(value, "dtype")):
        raise InputError(
            f"{name} must be an array, got {type(value).__name__}; xp.asarray({name}) makes one"
        )


def _check_layer(i: int, layer: Any) -> None:
    if not isinstance(layer, Affine):
        raise InputError(f"layer {i} must be xpmlp.Affine(W, b), got {type(layer).__name__}")
    _require_array(f"W of layer {i}", layer.W)
    _require_array(f"b of layer {i}", layer.b)
    W, b = tuple(layer.W.shape), tuple(layer.b.shape)
    if len(W) < 2:
        raise InputError(f"layer {i}: W has shape {W}; it must be (D, H)")
    if b != (*W[:-2], W[-1]):
        raise InputError(
            f"layer {i}: b has shape {b}, and W {W}; b must be {(*W[:-2], W[-1])}, a number for "
            "each output"
        )


def _check_masks(params: Params, x: Array, n_hidden: int, masks: Sequence[Array | None]) -> None:
    if masks and len(masks) != n_hidden:
        raise InputError(
            f"{len(masks)} masks for {n_hidden} hidden layers; give an array or None for each, or "
            "() for no dropout"
        )
    for i, mask in enumerate(masks):
        if mask is None:
            continue
        shape = (x.shape[-2], params[i].W.shape[-1])
        if tuple(mask.shape[-2:]) != shape:
            raise InputError(
                f"the mask of hidden layer {i + 1} has shape {tuple(mask.shape)}; it must be "
                f"{shape}, a factor for each row and unit"
            )


def _leading(params: Params, x: Array) -> Shape:
    """Return the axes in front of rows and outputs: those of the nets with those of x."""
    nets, rows = tuple(params[0].W.shape[:-2]), tuple(x.shape[:-2])
    joined = _joined(nets, rows)
    if joined is None:
        raise InputError(
            f"the axes in front don't fit together: {nets} of the nets and {rows} of x; they must "
            "be the same, or one of them 1 or missing"
        )
    return joined


def _joined(a: Shape, b: Shape) -> Shape | None:
    """Return the shape to which two shapes broadcast, None where they don't."""
    size = max(len(a), len(b))
    a, b = (1,) * (size - len(a)) + a, (1,) * (size - len(b)) + b
    if any(m != n and 1 not in (m, n) for m, n in zip(a, b, strict=True)):
        return None
    return tuple(n if m == 1 else m for m, n in zip(a, b, strict=True))


def _fits(shape: Shape, wanted: Shape, own: int) -> bool:
    """Tell whether the last `own` axes are those wanted, and those in front broadcast to them."""
    return shape[-own:] == wanted[-own:] and _joined(shape[:-own], wanted[:-own]) == wanted[:-own]


def _check_classes(xp: Namespace, t: Array, wanted: Shape, n_classes: int) -> None:
    shape = tuple(t.shape)
    if not xp.isdtype(t.dtype, "integral") or not _fits(shape, wanted, 1):
        raise InputError(
            f"t is {t.dtype} of shape {shape}; {SOFTMAX} takes class indices {wanted}, integers, "
            f"or rows of probabilities {(*wanted, n_classes)}, floats"
        )
    if _fails(lambda: xp.all((t >= 0) & (t < n_classes))):
        raise InputError(
            f"labels from {int(xp.min(t))} to {int(xp.max(t))}, but there are {n_classes} "
            "classes, numbered from 0"
        )


def _checked_values(xp: Namespace, t: Array, wanted: Shape, loss: str, dtype: Any) -> Array:
    shape = tuple(t.shape)
    if not _fits(shape, wanted, 2):
        if loss == SOFTMAX:
            takes = f"class indices {wanted[:-1]}, integers, or rows of probabilities {wanted}"
        else:
            takes = f"{wanted}, a number for each output" + (
                "; t[:, None] has it" if (*shape, 1) == wanted else ""
            )
        raise InputError(f"t is {t.dtype} of shape {shape}; {loss} takes {takes}")
    if not xp.isdtype(t.dtype, "real floating"):
        if not xp.isdtype(t.dtype, ("bool", "integral")):
            raise InputError(f"t must be numbers, got dtype {t.dtype}")
        t = xp.astype(t, dtype)
    if _fails(lambda: xp.all(xp.isfinite(t))):
        raise InputError("t contains NaN or infinity")
    if loss == "poisson" and _fails(lambda: xp.all(t >= 0.0)):
        raise InputError(f"loss poisson needs t of 0 or more, and the smallest is {_least(xp, t)}")
    if loss in (SOFTMAX, "binary_cross_entropy") and _fails(
        lambda: xp.all((t >= 0.0) & (t <= 1.0))
    ):
        raise InputError(
            f"{loss} takes probabilities from 0 to 1, and t is from {_least(xp, t)} to "
            f"{float(xp.max(t)):g}"
        )
    if loss == SOFTMAX and _fails(
        lambda: xp.all(xp.abs(xp.sum(t, axis=-1) - 1.0) < SUM_OF_PROBABILITIES)
    ):
        raise InputError("the rows of t are probabilities of classes, and must sum to one")
    return t


def _checked_weights(xp: Namespace, weights: Array, wanted: Shape, dtype: Any) -> Array:
    _require_array("weights", weights)
    if not _fits(tuple(weights.shape), wanted, 1):
        raise InputError(
            f"weights have shape {tuple(weights.shape)}; they must be {wanted}, one for each row"
        )
    if not xp.isdtype(weights.dtype, "real floating"):
        weights = xp.astype(weights, dtype)
    if _fails(
        lambda: (
            xp.all(xp.isfinite(weights) & (weights >= 0.0)) & xp.all(xp.sum(weights, axis=-1) > 0.0)
        )
    ):
        raise InputError("weights must be finite, 0 or more, and not all 0")
    return weights


def _least(xp: Namespace, t: Array) -> str:
    return f"{float(xp.min(t)):g}"


def _fails(condition: Any) -> bool:
    """Tell whether a condition is known not to hold."""
    try:
        return not bool(condition())
    except Exception:  # every library raises its own where a function is traced, without values
        return False
