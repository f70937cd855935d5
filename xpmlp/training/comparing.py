"""`compare_gradients`: gradients of one's own against ours, and what mistake would explain them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from xpmlp.described import Described, Lines
from xpmlp.errors import InputError
from xpmlp.leaves import map_leaves
from xpmlp.nn import affine
from xpmlp.nn.activations import ACTIVATIONS
from xpmlp.nn.checking import SOFTMAX, checked_inputs, checked_targets
from xpmlp.nn.losses import LOSSES
from xpmlp.nn.network import backpropagate, hidden_activations, propagate
from xpmlp.types import Affine, Array, Batch, Params

TOLERANCE = 1e-6
ROUNDINGS = 1000.0  # of the dtype of what is compared
FLOOR = 1e-8


@dataclass(frozen=True)
class ArrayComparison:
    """The verdict on one gradient.

    error: ‖m - g‖ / max(‖m‖ + ‖g‖, 1e-8), m mine and g ours; infinite for another shape. ratio:
    m / g where that is one number in all entries, else None. note: what would explain it, or
    where it differs most.
    """

    name: str
    verdict: str
    error: float
    ratio: float | None
    note: str


class GradientComparison(Described, tuple[ArrayComparison, ...]):
    """The verdicts on each W and b, in the order of the layers."""

    __slots__ = ()

    def described(self) -> tuple[str, Lines]:
        """Return a line for each array."""
        wrong = sum(array.verdict == "WRONG" for array in self)
        lines = [(array.name, f"{array.verdict:<9}{array.note}".rstrip()) for array in self]
        return f"{wrong} of {len(self)} gradients WRONG" if wrong else "all CORRECT", lines


def compare_gradients(
    mine: Any,
    params: Params,
    batch: Batch,
    *,
    activations: str | Sequence[str],
    loss: str,
    l2: float = 0.0,
    l1: float = 0.0,
    label_smoothing: float = 0.0,
    masks: Sequence[Array | None] = (),
) -> GradientComparison:
    """Return a verdict on each of your gradients, with what would explain a wrong one.

    mine: a pair (dW, db) for each layer, or a dict with `W1`, `b1`, `W2`, … (or `dW1`, …), of any
    library. params, batch: host arrays, W: (D, H), b: (H,), x: (N, D); these and the options are
    those of `check_gradients`. Ours are computed in float64, for the mean loss plus the penalty.
    CORRECT is an error below 1e-6, or 1000 roundings of your dtype.
    Raises InputError for what is no such gradients, and as `loss_and_grads` does.
    """
    if not isinstance(batch, Batch):
        raise InputError(f"the rows come in as xpmlp.Batch(x, t), got {type(batch).__name__}")
    names = hidden_activations(activations, len(params) - 1)
    batch = batch._replace(x=checked_inputs(np, params, batch.x, len(names), masks))
    batch = checked_targets(np, params, batch, loss, label_smoothing)
    if params[0].W.ndim != 2 or batch.x.ndim != 2:
        raise InputError("compare_gradients takes one net: W (D, H), and x (N, D)")
    given = _arrays(mine, len(params))
    net, rows = map_leaves(_double, params), Batch(*map(_double, batch))
    case = _Case(net, rows, names, loss, label_smoothing, tuple(map(_double, masks)))
    base, whole = case.gradients(), case.gradients(l2=l2, l1=l1)
    others = list(case.mistakes())
    of_both = _factors(rows, net[-1].b.shape[0], loss)
    factors = _Factors(of_both, [(2.0, "the ½ of l2"), *of_both] if l2 and not l1 else of_both)
    results = []
    for i in range(len(net)):
        for leaf in Affine._fields:
            ours = getattr(whole[i], leaf)
            parts = [getattr(base[i], leaf), ours - getattr(base[i], leaf)]
            wrong = [(text, getattr(layers[i], leaf)) for text, layers in others]
            name = f"{leaf}{i + 1}"
            results.append(_compare(name, given[name], ours, parts, wrong, factors))
    return GradientComparison(results)


def _double(array: Any) -> Any:
    """Return floats in float64; None and whole numbers as they are."""
    if array is None or np.asarray(array).dtype.kind != "f":
        return array
    return np.asarray(array, dtype=np.float64)


def _arrays(mine: Any, n_layers: int) -> dict[str, np.ndarray]:
    """Return the gradients by name. Raises InputError where they are not those of the net."""
    names = _names(n_layers)
    if isinstance(mine, Mapping):
        given = {str(name).removeprefix("d"): array for name, array in mine.items()}
    elif isinstance(mine, list | tuple) and all(_is_pair(layer) for layer in mine):
        leaves = [array for layer in mine for array in layer]
        given = dict(zip(_names(len(mine)), leaves, strict=True))
    else:
        given = {}
    if set(given) != set(names):
        raise InputError(
            f"the net has {', '.join(names)}; give a pair (dW, db) for each layer, or a dict with "
            f"these names, got {', '.join(given) or type(mine).__name__}"
        )
    return {name: _numbers(name, array) for name, array in given.items()}


def _names(n_layers: int) -> list[str]:
    return [f"{leaf}{i + 1}" for i in range(n_layers) for leaf in Affine._fields]


def _is_pair(layer: Any) -> bool:
    return isinstance(layer, list | tuple) and len(layer) == 2


def _numbers(name: str, array: Any) -> np.ndarray:
    try:
        found = np.asarray(array)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{name}: expected an array that numpy.asarray takes: {error}") from error
    if found.dtype.kind not in "biuf":
        raise InputError(f"{name} must be numbers, got an array of dtype {found.dtype}")
    return found


class _Case(NamedTuple):
    """The net, rows and options of one comparison, all in float64."""

    params: Params
    batch: Batch
    names: tuple[str, ...]
    loss: str
    label_smoothing: float
    masks: tuple[Array | None, ...]

    def gradients(self, l2: float | None = None, l1: float | None = None) -> Params:
        """Return those of the mean loss, with penalties where there are any."""
        return backpropagate(
            np,
            self.params,
            self.batch,
            activations=self.names,
            loss=self.loss,
            l2=l2 or None,
            l1=l1 or None,
            label_smoothing=self.label_smoothing,
            masks=self.masks,
        ).grads

    def mistakes(self) -> Iterable[tuple[str, Params]]:
        """Yield what a forgotten part would give, with a text for it."""
        if self.label_smoothing:
            yield "without the label smoothing", self._replace(label_smoothing=0.0).gradients()
        if any(mask is not None for mask in self.masks):
            yield "without the masks of dropout", self._replace(masks=()).gradients()
        if self.batch.weights is not None:
            unweighted = self.batch._replace(weights=None)
            yield "without the weights of the rows", self._replace(batch=unweighted).gradients()
        if self.names:
            yield (
                "without the derivative of the layer's own activation",
                self._without_derivatives(everywhere=False),
            )
        if len(self.names) > 1:
            yield (
                "without the derivatives of the activations",
                self._without_derivatives(everywhere=True),
            )

    def _without_derivatives(self, *, everywhere: bool) -> Params:
        """Return the gradients with f'(z) left out, at the layer itself or everywhere above too."""
        logits, kept = propagate(np, self.params, self.batch.x, self.names, self.masks)
        options = {"label_smoothing": self.label_smoothing} if self.label_smoothing else {}
        _, dz = LOSSES[self.loss].function(np, logits, self.batch.t, self.batch.weights, **options)
        inputs = (self.batch.x, *(layer.out for layer in kept))
        grads = [affine.backward(np, inputs[-1], dz)]
        for i in range(len(kept) - 1, -1, -1):
            z, a, _, mask = kept[i]
            da = affine.backward_input(np, self.params[i + 1], dz)
            da = da if mask is None else da * mask
            grads.append(affine.backward(np, inputs[i], da))
            dz = da if everywhere else da * ACTIVATIONS[self.names[i]].derivative(np, z, a)
        return tuple(reversed(grads))


Factors = list[tuple[float, str]]


class _Factors(NamedTuple):
    """What a mistake of convention makes of a gradient, and what of its penalty."""

    whole: Factors
    penalty: Factors


def _factors(batch: Batch, n_outputs: int, loss: str) -> Factors:
    """Return the factors that a mistake of convention gives, those of a single one first."""
    size, what = float(len(batch.x)), "the batch's size"
    if batch.weights is not None:
        size, what = float(batch.weights.sum()), "the sum of the weights"
    groups: list[Factors] = [[(1.0, ""), (-1.0, "the sign")]]
    groups.append([(1.0, ""), (size, what), (1.0 / size, f"{what}, by which it is divided twice")])
    if loss == "mean_squared_error":
        groups.append([(1.0, ""), (2.0, "the ½ of the loss")])
    if loss != SOFTMAX:
        summed = "the mean over the outputs, where ours is their sum"
        groups.append([(1.0, ""), (1.0 / n_outputs, summed)])
    found = []
    for combination in product(*groups):
        texts = [text for _, text in combination if text]
        value = float(np.prod([value for value, _ in combination]))
        if texts and value != 1.0:
            found.append((len(texts), value, " and ".join(texts)))
    return [(value, text) for _, value, text in sorted(found, key=lambda item: item[0])]


def _reason(ratio: float, factors: Factors, tolerance: float) -> str:
    """Return the simplest mistakes that give a ratio: `: the sign`, or nothing."""
    texts = [text for value, text in factors if abs(ratio - value) <= tolerance * abs(value)]
    fewest = min((text.count(" and ") for text in texts), default=0)
    simplest = dict.fromkeys(text for text in texts if text.count(" and ") == fewest)
    return f": {', or '.join(simplest)}" if simplest else ""


def _compare(
    name: str,
    mine: np.ndarray,
    ours: np.ndarray,
    parts: list[np.ndarray],
    mistakes: list[tuple[str, np.ndarray]],
    factors: _Factors,
) -> ArrayComparison:
    """Return the verdict. parts: of ours that of the loss and that of the penalty."""
    eps = np.finfo(mine.dtype).eps if mine.dtype.kind == "f" else 0.0
    tolerance = max(TOLERANCE, min(ROUNDINGS * float(eps), 0.05))
    m = mine.astype(np.float64)
    if not np.isfinite(m).all():
        wrong = int((~np.isfinite(m)).sum())
        return ArrayComparison(name, "WRONG", np.inf, None, f"NaN or infinity in {wrong} entries")
    if m.shape == ours.shape:
        error = _error(m, ours)
        if error < tolerance:
            return ArrayComparison(name, "CORRECT", error, 1.0, f"error {error:.0e}")
        ratio = _ratio(m, ours, tolerance)
        note = (
            _explained(m, parts, factors, tolerance)
            or _turned(m, ours, factors, tolerance)
            or next((f"ours {text}" for text, g in mistakes if _error(m, g) < tolerance), "")
            or _largest_difference(m, ours)
        )
        return ArrayComparison(name, "WRONG", error, ratio, note)
    note = f"of shape {m.shape}, not {ours.shape}"
    if m.size == ours.size and m.ndim <= 2:
        turned = _turned(m, ours, factors, tolerance)
        if not turned and ours.ndim == 1:
            same = _error(m.ravel(), ours) < tolerance
            turned = "else ours" if same else _explained(m.ravel(), parts, factors, tolerance)
        note = f"{note}: {turned}" if turned else note
    return ArrayComparison(name, "WRONG", np.inf, None, note)


def _error(m: np.ndarray, g: np.ndarray) -> float:
    return float(np.linalg.norm(m - g)) / max(float(np.linalg.norm(m) + np.linalg.norm(g)), FLOOR)


def _ratio(m: np.ndarray, g: np.ndarray, tolerance: float) -> float | None:
    """Return m / g where that is one number in all entries, else None."""
    square = float(np.vdot(g, g))
    ratio = float(np.vdot(m, g)) / square if square else 0.0
    return ratio if ratio and _error(m, ratio * g) < tolerance else None


def _turned(m: np.ndarray, ours: np.ndarray, factors: _Factors, tolerance: float) -> str:
    """Return that an array is the transpose of ours, or nothing."""
    if m.ndim != 2 or m.size == 1 or m.shape != ours.shape[::-1]:
        return ""
    if _error(m.T, ours) < tolerance:
        return "the transpose of ours"
    ratio = _ratio(m.T, ours, tolerance)
    return _times(ratio, "the transpose of ours", factors.whole, tolerance) if ratio else ""


def _explained(m: np.ndarray, parts: list[np.ndarray], factors: _Factors, tolerance: float) -> str:
    """Return how an array is made of the parts of ours, or nothing."""
    loss, penalty = parts
    if not m.any():
        return "all 0"
    ratio = _ratio(m, loss + penalty, tolerance)
    if ratio:
        known = _reason(ratio, factors.whole, tolerance)
        return _times(ratio, "ours", factors.whole, tolerance) if m.size > 1 or known else ""
    if not (penalty.any() and loss.any()):
        return ""
    if _error(m, loss) < tolerance:
        return "ours without the penalty"
    if m.size < 3:
        return ""
    columns = np.stack([loss.ravel(), penalty.ravel()], axis=1)
    scales = np.linalg.norm(columns, axis=0)
    found, _, rank, _ = np.linalg.lstsq(columns / scales, m.ravel())
    if rank < 2 or _error(m.ravel(), (columns / scales) @ found) >= tolerance:
        return ""
    a, c = (0.0 if abs(f) < tolerance * abs(found).max() else f for f in found)
    a, c = float(a / scales[0]), float(c / scales[1])
    if abs(a - 1.0) < tolerance:
        return _of_the_penalty(c, factors.penalty, tolerance)
    if c == 0.0:
        return _times(a, "ours without the penalty", factors.whole, tolerance)
    if a == 0.0:
        return "of the penalty alone"
    right = (
        "its penalty is right"
        if abs(c - 1.0) < 1e3 * tolerance
        else f"{_number(c)} times its penalty"
    )
    return f"{_times(a, 'the part of the loss', factors.whole, tolerance)}; {right}"


def _of_the_penalty(times: float, factors: Factors, tolerance: float) -> str:
    """Return what is wrong with the penalty, where the loss's part is right."""
    reason = _reason(times, factors, 1e3 * tolerance)
    return f"ours with {_number(times)} times the penalty{reason}"


def _times(ratio: float, what: str, factors: Factors, tolerance: float) -> str:
    return f"{_number(ratio)} times {what}{_reason(ratio, factors, tolerance)}"


def _number(value: float) -> str:
    return str(float(f"{value:.5g}"))


def _largest_difference(m: np.ndarray, ours: np.ndarray) -> str:
    off = np.abs(m - ours)
    differ = int((off > TOLERANCE * max(float(np.abs(ours).max()), FLOOR)).sum())
    place = tuple(int(i) for i in np.unravel_index(int(off.argmax()), off.shape))
    where = ", ".join(map(str, place))
    most = f"most [{where}]: {m[place]:.4g}, ours {ours[place]:.4g}"
    return f"{differ} of {m.size} entries differ, {most}"
