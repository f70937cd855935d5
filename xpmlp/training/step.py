"""One training step and one evaluation, as pure functions for a backend to compile."""

from collections.abc import Callable
from typing import Any, NamedTuple

from xpmlp.nn import metrics as nn_metrics
from xpmlp.nn.dropout import masks
from xpmlp.nn.losses import LOSSES
from xpmlp.nn.network import backpropagate, forward_hidden, propagate
from xpmlp.nn.regularizers import add_penalty_gradient, penalty
from xpmlp.optim import OPTIMIZERS
from xpmlp.optim.clipping import clip_by_global_norm
from xpmlp.types import Array, Batch, Hyper, Namespace, Params

DROPOUT, SMOOTHING, CLIPPING = "dropout", "label_smoothing", "clip_norm"
Across = Callable[[Namespace, Array, Params, Array], tuple[Array, Params, Array]]


class TrainState(NamedTuple):
    """What a step changes: parameters, the optimiser's moments, the count of steps (0-d)."""

    params: Params
    moments: tuple[Params, ...]
    step: Array


class Objective(NamedTuple):
    """What is trained: the names that the mathematics looks up, fixed before compiling.

    l2, l1: whether there is such a penalty; its size is a number of the step. l2_per: `batch`, or
    `row` where l2 is divided by the count, or the weight, of the batch's rows. dropout: the rate
    of each hidden layer, () for none. frozen: how many layers, from the first on, keep their
    weights; penalty, norms, clipping and the optimiser are those of the others.
    optimizer_options: numbers of the optimiser's own, by name. own: names of the numbers in which
    members differ: they come with each step, and those here are not read.
    """

    activations: tuple[str, ...]
    loss: str
    optimizer: str
    l2: bool = False
    l2_per: str = "batch"
    l1: bool = False
    label_smoothing: float = 0.0
    clip_norm: float | None = None
    gradient_norms: bool = True
    dropout: tuple[float, ...] = ()
    optimizer_options: tuple[tuple[str, float], ...] = ()
    frozen: int = 0
    own: tuple[str, ...] = ()


def numbers_of(objective: Objective) -> dict[str, Any]:
    """Return the numbers with which a step is compiled where all members share them, by name."""
    return {
        DROPOUT: objective.dropout,
        SMOOTHING: objective.label_smoothing,
        CLIPPING: objective.clip_norm,
        **dict(objective.optimizer_options),
    }


def initial_state(xp: Namespace, objective: Objective, params: Params, step: Array) -> TrainState:
    """Return the state before the first step; `step` is a 0-d integer zero on the device."""
    moments = OPTIMIZERS[objective.optimizer].init(xp, params[objective.frozen :])
    return TrainState(params, moments, step)


def metric_names(objective: Objective, n_layers: int) -> tuple[str, ...]:
    """Return the names of a step's metrics, in the order in which `make_step` stacks them."""
    penalty = ("penalty",) if _penalised(objective) else ()
    norms: tuple[str, ...] = ()
    if objective.gradient_norms:
        trained = range(objective.frozen, n_layers)
        norms = tuple(f"norm_d{leaf}{i + 1}" for i in trained for leaf in "Wb")
    return ("loss", *penalty, *norms)


def columns_of(own: Objective, shared: Objective, n_layers: int) -> list[int] | None:
    """Return which metrics of a shared step a net has of its own; None for all of them."""
    all_of_them, names = metric_names(shared, n_layers), metric_names(own, n_layers)
    return None if names == all_of_them else [all_of_them.index(name) for name in names]


def make_step(
    xp: Namespace, objective: Objective, across: Across | None = None
) -> Callable[[TrainState, Batch, Hyper], tuple[TrainState, Array]]:
    """Return step(state, batch, hyper) -> (state, metrics), pure.

    metrics: (M,), or (M, K) for K members, named by `metric_names`. The loss and the gradients
    are those before the update; the norms include the penalty and come before clipping.
    across: where several processes share the rows of a step, what makes of a part's loss,
    gradients and weight those of all; hyper.part is then given.
    """
    optimizer = OPTIMIZERS[objective.optimizer]
    coupled_l2 = objective.l2 and not optimizer.decoupled_l2
    penalised, n = _penalised(objective), objective.frozen

    def step(state: TrainState, batch: Batch, hyper: Hyper) -> tuple[TrainState, Array]:
        numbers = numbers_of(objective) | dict(zip(objective.own, hyper.own, strict=True))
        names = objective.activations
        counter = state.step if hyper.part is None else state.step + hyper.part.shift
        dropped = masks(xp, numbers[DROPOUT], state.params, batch.x, counter, hyper.seed)
        frozen, params = state.params[:n], state.params[n:]
        x, _ = forward_hidden(xp, frozen, batch.x, names[:n], dropped[:n])
        result = backpropagate(
            xp,
            params,
            batch._replace(x=x),
            activations=names[n:],
            loss=objective.loss,
            label_smoothing=numbers[SMOOTHING],
            masks=dropped[n:],
        )
        loss, grads, weight = result.loss, result.grads, _total_weight(xp, batch)
        if across is not None and hyper.part is not None:
            loss, grads, weight = across(xp, loss, grads, weight * hyper.part.counts)
        if objective.l2_per == "row":
            hyper = hyper._replace(l2=hyper.l2 / weight)
        metrics = [loss]
        if penalised:
            sizes = hyper.l2 if coupled_l2 else None, hyper.l1 if objective.l1 else None
            grads = add_penalty_gradient(xp, grads, params, *sizes)
            metrics.append(penalty(xp, params, *sizes))
        if objective.gradient_norms:
            metrics += [leaf for pair in nn_metrics.gradient_norms(xp, grads) for leaf in pair]
        if objective.clip_norm is not None:
            grads = clip_by_global_norm(xp, grads, numbers[CLIPPING])
        options = {name: numbers[name] for name, _ in objective.optimizer_options}
        params, moments = optimizer.update(
            xp, params, grads, state.moments, state.step, hyper, **options
        )
        return TrainState((*frozen, *params), moments, state.step + 1), xp.stack(metrics)

    return step


def make_evaluation(
    xp: Namespace, objective: Objective, classify: bool
) -> Callable[[Params, Batch], tuple[Array, Array]]:
    """Return evaluate(params, batch) -> (logits, metrics), pure.

    logits: (..., N, C); metrics: the mean loss, without smoothing or penalty; where there are
    classes, the weight of the rows that are right; and that of all rows, each 1 unless the batch
    says otherwise: (2 or 3,), with K members (2 or 3, K).
    """

    def evaluate(params: Params, batch: Batch) -> tuple[Array, Array]:
        logits, _ = propagate(xp, params, batch.x, objective.activations)
        loss, _ = LOSSES[objective.loss].function(xp, logits, batch.t, batch.weights)
        each = xp.ones_like(logits[..., 0]) if batch.weights is None else batch.weights
        metrics = [loss]
        if classify:
            metrics.append(xp.sum(each * nn_metrics.correct(xp, logits, batch.t), axis=-1))
        total = xp.sum(each, axis=-1)
        return logits, xp.stack([*metrics, total + xp.zeros_like(loss)])

    return evaluate


def _total_weight(xp: Namespace, batch: Batch) -> Array:
    """Return the weight of a batch's rows, (...,), or without weights their count."""
    if batch.weights is None:
        return batch.x.shape[-2]
    return xp.sum(batch.weights, axis=-1)


def _penalised(objective: Objective) -> bool:
    decoupled = OPTIMIZERS[objective.optimizer].decoupled_l2
    return objective.l1 or (objective.l2 and not decoupled)
