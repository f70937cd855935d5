"""The backward pass against central differences, entry by entry.

All perturbed nets of one parameter array are the members of one ensemble, so that a single
forward pass over a leading axis gives every difference of that array.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from xpmlp.backends.base import Backend, Compilation, EpochPlan
from xpmlp.errors import InputError
from xpmlp.nn.activations import ACTIVATIONS
from xpmlp.nn.checking import checked_inputs, checked_targets
from xpmlp.nn.losses import LOSSES
from xpmlp.nn.network import backpropagate, hidden_activations, propagate
from xpmlp.nn.regularizers import penalty
from xpmlp.types import Affine, Array, Batch, Hyper, Namespace, Params

EPSILON = 1e-5
TOLERANCE = 1e-6
FLOOR = 1e-8
MEMBER_ENTRIES = 2**20


@dataclass(frozen=True)
class ArrayCheck:
    """The verdict on one parameter array.

    error: ‖a - n‖ / max(‖a‖ + ‖n‖, 1e-8) over the entries that were compared, a analytic and n
    numeric. entries: all entries of the array. skipped: those whose perturbation crosses a
    kink, where the central difference is no derivative.
    """

    name: str
    error: float
    entries: int
    skipped: int

    @property
    def verdict(self) -> str:
        """CORRECT below 1e-6, else WRONG, also where nothing could be compared."""
        good = self.error < TOLERANCE and self.skipped < self.entries
        return "CORRECT" if good else "WRONG"


def check_gradients(
    backend: Backend,
    params: Params,
    batch: Batch,
    *,
    activations: str | Sequence[str],
    loss: str,
    l2: float = 0.0,
    l1: float = 0.0,
    label_smoothing: float = 0.0,
    masks: Sequence[Array | None] = (),
    epsilon: float = EPSILON,
    wish: Compilation | None = None,
) -> list[ArrayCheck]:
    """Return a verdict for each W and b, in the order of the layers.

    backend: of dtype float64. params and batch: host arrays, W: (D, H), b: (H,), x: (N, D).
    activations: one name per hidden layer, or one for all. masks: of dropout, (N, H) or None for
    each hidden layer, the same in all evaluations. wish: that the gradients be those of a compiled
    step, which then runs as in an epoch; the differences are never compiled.
    numeric = (J(θ + ε) - J(θ - ε)) / 2ε with J the loss plus the penalty. Raises InputError for
    a backend of float32, where a step can't be compiled, and as `loss_and_grads` does.
    Equation: DERIVATION.md, "gradient-check".
    """
    if backend.dtype != "float64":
        raise InputError(f"central differences need float64, and the backend has {backend.dtype}")
    names = hidden_activations(activations, len(params) - 1)
    batch = batch._replace(x=checked_inputs(np, params, batch.x, len(names), masks))
    batch = checked_targets(np, params, batch, loss, label_smoothing)
    options: dict[str, Any] = {"activations": names, "loss": loss, "l2": l2, "l1": l1}
    options["label_smoothing"] = label_smoothing
    checks = []
    with backend.running():
        params, batch = backend.put(params), backend.put(batch)
        options["masks"] = backend.put(tuple(masks))
        exact = _exact(backend, options, params, batch, wish)
        evaluate = backend.compile(lambda xp: partial(_evaluate, xp, options))
        for i in range(len(params)):
            for leaf in Affine._fields:
                analytic = backend.to_numpy(getattr(exact[i], leaf)).reshape(-1)
                numeric, crossed = _differences(backend, evaluate, params, i, leaf, batch, epsilon)
                checks.append(_compare(f"{leaf}{i + 1}", analytic, numeric, crossed))
    return checks


def _exact(
    backend: Backend,
    options: dict[str, Any],
    params: Params,
    batch: Batch,
    wish: Compilation | None,
) -> Params:
    """Return the gradients; compiled, they are what a step leaves in place of the parameters."""
    if wish is None:
        written: Params = backend.compile(lambda xp: partial(_gradients, xp, options))(
            params, batch
        )
        return written

    def make(xp: Namespace) -> Callable[..., tuple[Params, Array]]:
        def step(params: Params, batch: Batch, _: Hyper) -> tuple[Params, Array]:
            result = backpropagate(xp, params, batch, **options)
            return result.grads, xp.stack([result.loss])

        return step

    reason = backend.why_not_compiled()
    if not reason:
        compiled, once = backend.compile(make, wish), EpochPlan(None, len(batch.x), np.ones(1))
        unread = backend.put(Hyper(*[np.float64(0.0)] * 4))
        gradients: Params = backend.run_epoch(compiled, params, batch, once, unread)[0]
        reason = getattr(compiled, "why_not", "")
    if reason:
        raise InputError(f"the gradients can't be compiled: {reason}")
    return gradients


def _differences(
    backend: Backend,
    evaluate: Callable[..., Any],
    params: Params,
    i: int,
    leaf: str,
    batch: Batch,
    epsilon: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the central difference of every entry of an array, and whether it crosses a kink."""
    size = math.prod(getattr(params[i], leaf).shape)
    members = max(1, MEMBER_ENTRIES // size)
    numeric, crossed = [], []
    for start in range(0, size, members):
        shifts = _shifts(backend, getattr(params[i], leaf), start, members, epsilon)
        above, below = (
            _members(backend, *evaluate(_moved(params, i, leaf, moves), batch))
            for moves in (shifts, -shifts)
        )
        numeric.append((above.objective - below.objective) / (2.0 * epsilon))
        crossed.append((above.sides != below.sides).any(axis=-1))
    return np.concatenate(numeric), np.concatenate(crossed)


class _Members(NamedTuple):
    """Of n perturbed nets: J (n,), and on which side of every kink each lies (n, kinks)."""

    objective: np.ndarray
    sides: np.ndarray


def _shifts(backend: Backend, theta: Array, start: int, members: int, epsilon: float) -> Array:
    """Return ε in one entry of θ at a time, from entry `start`: (at most members, *θ.shape)."""
    size = math.prod(theta.shape)
    entries = np.arange(start, min(start + members, size))
    shifts = np.zeros((len(entries), size))
    shifts[np.arange(len(entries)), entries] = epsilon
    return backend.asarray(shifts.reshape(-1, *theta.shape))


def _moved(params: Params, i: int, leaf: str, shifts: Array) -> Params:
    """Return the nets that differ from params by a shift of one array of layer i."""
    changed = params[i]._replace(**{leaf: getattr(params[i], leaf) + shifts})
    return (*params[:i], changed, *params[i + 1 :])


def _gradients(xp: Namespace, options: dict[str, Any], params: Params, batch: Batch) -> Params:
    return backpropagate(xp, params, batch, **options).grads


def _evaluate(
    xp: Namespace, options: dict[str, Any], params: Params, batch: Batch
) -> tuple[Array, tuple[Array, ...]]:
    """Return J of n perturbed nets, (n,), and all that has a kink at zero."""
    loss = LOSSES[options["loss"]]
    logits, kept = propagate(xp, params, batch.x, options["activations"], options["masks"])
    smoothing = options["label_smoothing"]
    value, _ = loss.function(
        xp, logits, batch.t, batch.weights, **({"label_smoothing": smoothing} if smoothing else {})
    )
    kinked = [
        k.z
        for k, name in zip(kept, options["activations"], strict=True)
        if ACTIVATIONS[name].kinked
    ]
    kinked += [logits - batch.t - kink for kink in loss.kinks]
    kinked += [layer.W for layer in params] if options["l1"] else []
    return value + penalty(xp, params, options["l2"], options["l1"]), tuple(kinked)


def _members(backend: Backend, objective: Array, kinked: tuple[Array, ...]) -> _Members:
    host = backend.to_numpy(objective)
    n = len(host)
    sides = [backend.to_numpy(z) > 0.0 for z in kinked]
    flat = [np.broadcast_to(side, (n, *side.shape[-2:])).reshape(n, -1) for side in sides]
    return _Members(host, np.concatenate([np.empty((n, 0), dtype=bool), *flat], axis=1))


def _compare(
    name: str, analytic: np.ndarray, numeric: np.ndarray, crossed: np.ndarray
) -> ArrayCheck:
    a, n = analytic[~crossed], numeric[~crossed]
    scale = max(float(np.linalg.norm(a) + np.linalg.norm(n)), FLOOR)
    error = float(np.linalg.norm(a - n)) / scale
    return ArrayCheck(name, error, len(analytic), int(crossed.sum()))
