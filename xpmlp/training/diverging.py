"""What there is to say of a loss that is not finite: where it came from, and what helps."""

import numpy as np

from xpmlp.data.dataset import Dataset
from xpmlp.training.history import History

SHOWN = 3  # norms, of as many steps


def what_went_first(history: History, steps_per_epoch: int) -> str:
    """Return which layer's gradient was lost first, with its last norms, as a clause with a colon.

    history: its last step is the one whose loss is not finite, or after which a loss was not. Of
    several gradients that are lost in one step it is that of the last layer, which
    backpropagation reaches first. Where all are lost with the loss itself, the clause names the
    largest of the step before. "" where no step before has norms.
    """
    layers, norms = _norms(history)
    lost = ~np.isfinite(norms)
    when = int(np.append(lost.any(axis=1), True).argmax())
    if when < len(norms) and not (lost[when].all() and _is_lost(history, when)):
        layer = int(np.flatnonzero(lost[when])[-1])
        return (
            f": the gradient of layer {layers[layer]} was the first whose norm was not finite, at "
            f"step {_called(history, when, steps_per_epoch)} ({_last(norms[: when + 1, layer])})"
        )
    if when == 0 or not layers:
        return ""
    layer = int(norms[when - 1].argmax())
    return (
        f": all gradients were finite until then, that of layer {layers[layer]} the largest "
        f"({_last(norms[:when, layer])})"
    )


def remedy(rate: float, data: Dataset) -> str:
    """Return what to try, where a run at this learning rate has diverged.

    Values to learn that are large aren't made smaller by scaled inputs, and are named.
    """
    largest = float(np.abs(data.train.y).max()) if data.task == "regression" else 0.0
    labels = f"labels divided by about {largest:.1g}, " if largest > 100 else ""
    return f"try a smaller learning_rate than {rate:g}, scaled inputs, {labels}or clip_norm"


def _norms(history: History) -> tuple[list[int], np.ndarray]:
    """Return the trained layers, from 1, and the norms of their gradients in each step, (S, L)."""
    start = "norm_dW"
    layers = [int(n.removeprefix(start)) for n in history.metric_names if n.startswith(start)]
    steps = dict(zip(history.metric_names, history.steps.T, strict=True))
    both = [np.hypot(steps[f"norm_dW{i}"], steps[f"norm_db{i}"]) for i in layers]
    return layers, np.array(both).reshape(len(layers), len(history.steps)).T


def _is_lost(history: History, step: int) -> bool:
    return not np.isfinite(history.metric("loss")[step])


def _called(history: History, step: int, steps_per_epoch: int) -> str:
    """Return the number of a step, counted from 0 over all, with its epoch where that is past."""
    epoch, place = divmod(step, steps_per_epoch)
    of_epoch = "" if epoch == len(history.epochs) else f" of epoch {epoch + 1}"
    return f"{place + 1}{of_epoch}"


def _last(norms: np.ndarray) -> str:
    shown = ", ".join(f"{norm:.2g}" for norm in norms[-SHOWN:])
    return f"norms up to there: {shown}"
