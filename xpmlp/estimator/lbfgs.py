"""The solver `lbfgs`: SciPy's L-BFGS-B on loss and gradients over all rows, in float64."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize

from xpmlp.estimator.notices import warn_unconverged
from xpmlp.leaves import leaves
from xpmlp.nn.network import backpropagate, forward_hidden
from xpmlp.training.problem import Problem
from xpmlp.training.step import Objective
from xpmlp.types import Affine, Array, Batch, Namespace, Params

LossAndGrads = Callable[[Params, Batch, Array], tuple[Array, Array, Params]]


class Minimum(NamedTuple):
    """Where L-BFGS-B ended: parameters (float64), the loss and the penalty there.

    converged: whether it is a minimum by `tol`.
    """

    params: Params
    loss: float
    penalty: float
    iterations: int
    converged: bool


def minimise(settings: Any, problem: Problem, start: Params) -> Minimum:
    """Minimise the mean loss plus ½·alpha·ΣW² over the weight of all rows.

    settings: the estimator, for its parameters alone. Warns where the end is not a minimum.
    """
    backend, rows = problem.backend, problem.data.train
    weight = len(rows) if rows.weights is None else rows.weights.sum()
    objective, n = problem.objective, problem.objective.frozen
    frozen, sizes = start[:n], problem.sizes[n:]

    def evaluate(flat: np.ndarray) -> tuple[float, float, np.ndarray]:
        params = backend.put(unpack(flat, sizes))
        loss, penalty, grads = backend.fetch(compiled(params, batch, l2))
        return float(loss), float(penalty), pack(grads)

    def total(flat: np.ndarray) -> tuple[float, np.ndarray]:
        loss, penalty, grads = evaluate(flat)
        return loss + penalty, grads

    def report(intermediate_result: Any) -> None:
        counter.append(1)
        print(f"Iteration {len(counter)}, loss = {intermediate_result.fun:.8f}")

    counter: list[int] = []
    with problem.running():
        l2 = backend.asarray(np.float64(settings.alpha / weight))
        compiled = backend.compile(
            lambda xp: make_loss_and_grads(xp, objective), problem.compilation
        )
        x, _ = forward_hidden(
            backend.xp, backend.put(frozen), problem.train.x, objective.activations[:n]
        )
        batch = problem.train._replace(x=x)
        result = minimize(
            total,
            pack(start[n:]),
            method="L-BFGS-B",
            jac=True,
            callback=report if settings.verbose else None,
            options={
                "maxfun": settings.max_fun,
                "maxiter": settings.max_iter,
                "gtol": settings.tol,
            },
        )
        loss, penalty, _ = evaluate(result.x)
    iterations = min(int(result.nit), settings.max_iter)
    if result.status != 0:
        _warn(result, iterations, settings.max_iter)
    params = (*frozen, *unpack(result.x, sizes))
    return Minimum(params, loss, penalty, iterations, result.status == 0)


def make_loss_and_grads(xp: Namespace, objective: Objective) -> LossAndGrads:
    """Return the pure function from parameters, rows and l2 to loss, penalty and gradients.

    params, batch: the layers that are not frozen, and what those hand on to them.
    """

    def function(params: Params, batch: Batch, l2: Array) -> tuple[Array, Array, Params]:
        result = backpropagate(
            xp,
            params,
            batch,
            activations=objective.activations[objective.frozen :],
            loss=objective.loss,
            l2=l2,
        )
        assert result.penalty is not None
        return result.loss, result.penalty, result.grads

    return function


def pack(params: Params) -> np.ndarray:
    """Return all parameters, or their gradients, as one vector, float64."""
    return np.concatenate([np.ravel(leaf) for leaf in leaves(params)]).astype(np.float64)


def unpack(flat: np.ndarray, sizes: tuple[int, ...]) -> Params:
    """Return the parameters of a net of these widths from the vector that `pack` makes."""
    layers, start = [], 0
    for fan_in, fan_out in pairwise(sizes):
        middle = start + fan_in * fan_out
        W, b = flat[start:middle].reshape(fan_in, fan_out), flat[middle : middle + fan_out]
        layers.append(Affine(W, b))
        start = middle + fan_out
    return tuple(layers)


def _warn(result: Any, iterations: int, max_iter: int) -> None:
    more = f"; increase max_iter (now {max_iter})" if iterations == max_iter else ""
    warn_unconverged(
        f"lbfgs failed to converge after {iterations} iteration(s) (status={result.status}): "
        f"{result.message}{more}, or scale the data"
    )
