"""Which pictures a run gets, and the files they go to."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from xpmlp.reporting.curves import (
    Curve,
    epoch_curves,
    gradient_magnitude,
    loss_per_step,
    stack_runs,
)
from xpmlp.reporting.outcomes import (
    confusion_matrix,
    misclassified,
    mistake_caption,
    predicted_against_true,
    worst_mistakes,
)
from xpmlp.reporting.regions import Panel, chosen_outputs, decision_panels, decision_regions
from xpmlp.reporting.style import save
from xpmlp.reporting.weights import first_layer_weights

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from xpmlp.training.fitting import Run
    from xpmlp.training.history import History
    from xpmlp.training.model import Model

Named = Iterator[tuple[str, "Figure"]]

DRAWN_SEEDS = 6
_PARTS = {"train": "training", "validation": "validation"}
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def write_pictures(run: "Run", directory: Path) -> list[Path]:
    """Write every picture that applies to a run as PNG into a folder, and return the paths."""
    return _write(pictures(run), directory)


def write_seed_pictures(runs: Sequence["Run"], directory: Path) -> list[Path]:
    """Write the pictures of several seeds together as PNG into a folder; return the paths."""
    return _write(seed_pictures(runs), directory)


def pictures(run: "Run") -> Named:
    """Yield name and figure of every picture that applies to a run, drawn one at a time."""
    stopping = run.trainer.stopping
    yield from _training([run.history], stopping.best_epoch or None if stopping else None)
    yield from _network(run)
    if run.test is not None:
        yield from _outcomes(run, run.test.logits)


def seed_pictures(runs: Sequence["Run"]) -> Named:
    """Yield name and figure of how the runs of several seeds went, each curve with a band.

    Of two features also the decision regions of up to six nets, side by side.
    """
    yield from _training([run.history for run in runs])
    if _classifies_a_plane(runs[0].model):
        panels = [
            Panel(f"seed {run.trainer.config.seed}", run.model, run.trainer.data.train)
            for run in runs[:DRAWN_SEEDS]
        ]
        yield "decision-regions", decision_panels(panels)


def _write(named: Named, directory: Path) -> list[Path]:
    directory.mkdir(parents=True, exist_ok=True)
    return [save(figure, directory / f"{name}.png") for name, figure in named]


def _training(histories: Sequence["History"], best_epoch: int | None = None) -> Named:
    histories = [history for history in histories if history.epochs]
    if not histories:
        return
    steps_per_epoch = len(histories[0].step_parts[0])
    names = histories[0].metric_names
    losses = [_metric(histories, name, name) for name in ("loss", "penalty") if name in names]
    yield "loss-per-step", loss_per_step(losses, steps_per_epoch)
    yield (
        "epochs",
        epoch_curves(_epochs(histories, "loss"), _epochs(histories, "accuracy"), best_epoch),
    )
    weights, biases = (_norms(histories, leaf) for leaf in "Wb")
    if weights:
        yield "gradient-magnitude", gradient_magnitude(weights, biases, steps_per_epoch)


def _metric(histories: Sequence["History"], name: str, label: str) -> Curve:
    return Curve.of_runs(label, stack_runs([history.metric(name) for history in histories]))


def _epochs(histories: Sequence["History"], figure: str) -> list[Curve]:
    curves = [
        Curve.of_runs(
            label, stack_runs([history.epoch_values(f"{part}_{figure}") for history in histories])
        )
        for part, label in _PARTS.items()
    ]
    return [curve for curve in curves if np.isfinite(curve.values).any()]


def _norms(histories: Sequence["History"], leaf: str) -> list[Curve]:
    prefix = f"norm_d{leaf}"
    return [
        _metric(histories, name, f"‖d{leaf}{name.removeprefix(prefix).translate(_SUBSCRIPTS)}‖")
        for name in histories[0].metric_names
        if name.startswith(prefix)
    ]


def _network(run: "Run") -> Named:
    model, data = run.model, run.trainer.data
    if model.image_shape:
        W = model.params[0].W
        names: tuple[str, ...] = ()
        if len(model.params) == 1:  # a single node speaks for the last class
            names = model.class_names[-W.shape[1] :]
        yield "first-layer-weights", first_layer_weights(W, model.image_shape, names)
    elif _classifies_a_plane(model):
        yield "decision-regions", decision_regions(model, data.train, data.test)


def _classifies_a_plane(model: "Model") -> bool:
    return bool(model.class_names) and model.sizes[0] == 2 and not model.image_shape


def _outcomes(run: "Run", logits: np.ndarray) -> Named:
    from xpmlp.nn.losses import LOSSES
    from xpmlp.training.model import decide

    model, test = run.model, run.trainer.data.test
    outputs = LOSSES[model.loss].predict(np, logits)
    if not model.class_names:
        yield "predicted-against-true", predicted_against_true(test.y, outputs)
        return
    classes = decide(logits)
    yield "confusion-matrix", confusion_matrix(test.y, classes, model.class_names)
    certainty = chosen_outputs(outputs, classes)
    worst = worst_mistakes(test.y, classes, certainty)
    if model.image_shape and len(worst):
        measure = "p" if model.loss.endswith("cross_entropy") else "output"
        names = model.class_names
        captions = [
            mistake_caption(names[test.y[i]], names[classes[i]], certainty[i], measure)
            for i in worst
        ]
        wrong = int(np.sum(test.y != classes))
        yield (
            "misclassified",
            misclassified(
                test.x[worst].reshape(-1, *model.image_shape),
                captions,
                f"{len(worst)} of {wrong:,} misclassified test rows, most certain first: "
                "true → predicted",
            ),
        )
