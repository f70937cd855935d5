"""Models, histories, evaluations and trainers in a few lines; nothing is computed on a device."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from xpmlp.data.describing import array_text, range_text
from xpmlp.described import Lines, listed
from xpmlp.training.texts import count, loss_text, net_text, training_text

_SHOWN_LAYERS = 4
_SHOWN_NETS = 8


class Net(NamedTuple):
    """What a line says of a net."""

    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    loss: str

    @property
    def n_parameters(self) -> int:
        """The count of all weights and biases."""
        return sum(d * h + h for d, h in pairwise(self.sizes))


def model_lines(model: Any) -> Lines:
    """Return what a `Model` takes, gives and holds."""
    lines = [("net", net_text(model)), ("inputs", _inputs(model)), ("outputs", _outputs(model))]
    for i, (W, b) in enumerate(model.params[:_SHOWN_LAYERS], start=1):
        lines.append((f"layer {i}", f"W {array_text(W)}; b {range_text(b)}"))
    if (more := len(model.params) - _SHOWN_LAYERS) > 0:
        lines.append(("", f"and {count(more, 'layer')} more"))
    return lines


def ensemble_lines(ensemble: Any) -> Lines:
    """Return what an `Ensemble` takes, gives and holds."""
    lines = [("inputs", _inputs(ensemble)), ("outputs", _outputs(ensemble))]
    for i, net in enumerate(ensemble.nets[:_SHOWN_NETS]):
        lines.append((f"net {i + 1}", f"counts {ensemble.counts[i]}: {net_text(net)}"))
    if (more := len(ensemble.nets) - _SHOWN_NETS) > 0:
        lines.append(("", f"and {count(more, 'net')} more"))
    return lines


def _inputs(model: Any) -> str:
    names = [rule.name for rule in model.columns] or model.feature_names
    if model.image_shape:
        text = "images of " + " x ".join(map(str, model.image_shape))
    else:
        columns = count(len(names) or model.sizes[0], "column")
        text = ": ".join(filter(None, [columns, listed(names)]))
    return text if model.scale == "none" else f"{text}; scale {model.scale}"


def _outputs(model: Any) -> str:
    if model.class_names:
        return f"{count(len(model.class_names), 'class')}: {listed(model.class_names)}"
    kind = "label" if model.task == "multilabel" else "value"
    return ": ".join(filter(None, [count(model.sizes[-1], kind), listed(model.label)]))


def history_lines(history: Any) -> Lines:
    """Return how the figures of a `History` went, from the first epoch to the last."""
    lines = []
    for part in ("train", "validation"):
        losses = [getattr(record, f"{part}_loss") for record in history.epochs]
        if text := _course(losses, loss_text):
            lines.append((f"{part} loss", text + _lowest(losses)))
            scores = [getattr(record, f"{part}_accuracy") for record in history.epochs]
            lines.append((f"{part} accuracy", _course(scores, "{:.4f}".format)))
    rates = [record.learning_rate for record in history.epochs]
    lines.append(("learning rate", _course(rates, "{:.4g}".format)))
    lines.append(("of each step", listed(history.metric_names, 8)))
    if steps := sum(map(len, history.failed_steps)):
        lines.append(("failed", f"epoch {len(history.epochs) + 1}, after {count(steps, 'step')}"))
    return [line for line in lines if line[1]]


def _course(values: Sequence[float | None], text: Any) -> str:
    known = [value for value in values if value is not None]
    if len(known) < 2 or known[0] == known[-1]:
        return text(known[-1]) if known else ""
    return f"{text(known[0])} → {text(known[-1])}"


def _lowest(losses: Sequence[float | None]) -> str:
    known = [(loss, epoch) for epoch, loss in enumerate(losses, start=1) if loss is not None]
    lowest, epoch = min(known)
    return f", lowest {loss_text(lowest)} in epoch {epoch}" if epoch < len(losses) else ""


def evaluation_lines(evaluation: Any) -> Lines:
    """Return the figures of an `Evaluation`."""
    lines = [("loss", loss_text(evaluation.loss))]
    if evaluation.accuracy is not None:
        lines.append(("accuracy", f"{evaluation.accuracy:.4f}"))
    return [*lines, ("logits", array_text(evaluation.logits))]


def trainer_lines(trainer: Any) -> Lines:
    """Return what a `Trainer` trains, with what, and how far it is."""
    config, data, objective = trainer.config, trainer.data, trainer.objective
    net = Net(trainer.sizes, objective.activations, objective.loss)
    training = training_text(config, f"{trainer.batch_size:,}")
    parts = ("train", "validation", "test")
    epochs = trainer.history.epochs
    last = f", train loss {loss_text(epochs[-1].train_loss)}" if epochs else ""
    backend = trainer.backend
    on = f"{backend.library} on {backend.device}"
    return [
        ("net", net_text(net)),
        ("training", f"{training}, seed {config.seed}"),
        ("rows", ", ".join(f"{len(getattr(data, part)):,} {part}" for part in parts)),
        ("epochs", f"{len(epochs)} of {config.epochs} done{last}"),
        ("backend", ", ".join(filter(None, (on, backend.dtype, trainer.problem.how)))),
    ]
