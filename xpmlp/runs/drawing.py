"""Which pictures a run gets."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from xpmlp.errors import unknown_name
from xpmlp.evaluation.drawing import Drawings, outcome_drawings
from xpmlp.pictures.curve import Curve, stack_runs
from xpmlp.pictures.curves import epoch_curves, gradient_magnitude, loss_per_step
from xpmlp.pictures.regions import Panel, decision_panels, decision_regions
from xpmlp.pictures.weights import first_layer_weights
from xpmlp.pictures.writing import write_figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from xpmlp.training.finished import FinishedRun
    from xpmlp.training.history import History
    from xpmlp.training.model import Model

Named = Iterator[tuple[str, "Figure"]]

DRAWN_SEEDS = 6
_PARTS = {"train": "training", "validation": "validation"}
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def write_pictures(run: "FinishedRun", directory: Path) -> list[Path]:
    """Write every picture that applies to a run as PNG into a folder, and return the paths."""
    return write_figures(pictures(run), directory)


def write_seed_pictures(runs: "Sequence[FinishedRun]", directory: Path) -> list[Path]:
    """Write the pictures of several seeds together as PNG into a folder; return the paths."""
    return write_figures(seed_pictures(runs), directory)


def pictures(run: "FinishedRun") -> Named:
    """Yield name and figure of every picture that applies to a run, drawn one at a time."""
    return ((name, draw()) for name, draw in _drawings(run))


def picture(run: "FinishedRun", name: str, ax: "Axes | Sequence[Axes] | None" = None) -> "Figure":
    """Draw one picture of a run, on axes where they are given.

    Raises InputError, with the names there are, for another, and for another number of axes.
    """
    others = []
    for other, draw in _drawings(run):
        if other == name:
            return draw(ax=ax)
        others.append(other)
    raise unknown_name("picture", name, others)


def seed_pictures(runs: "Sequence[FinishedRun]") -> Named:
    """Yield name and figure of how the runs of several seeds went, each curve with a band.

    Of two features also the decision regions of up to six nets, side by side.
    """
    for name, draw in _training([run.history for run in runs]):
        yield name, draw()
    if _classifies_a_plane(runs[0].model):
        panels = [
            Panel(f"seed {run.config.seed}", run.model, run.data.train)
            for run in runs[:DRAWN_SEEDS]
        ]
        yield "decision-regions", decision_panels(panels)


def _drawings(run: "FinishedRun") -> Drawings:
    """Yield the name of every picture of a run, and what draws it; data is loaded by need."""
    yield from _training([run.history], run.best_epoch)
    yield from _network(run)
    if run.test is not None:
        yield from outcome_drawings(run.model, run.data.test, run.test.logits)


def _training(histories: Sequence["History"], best_epoch: int | None = None) -> Drawings:
    histories = [history for history in histories if _has_curves(history)]
    if not histories:
        return
    names, first = histories[0].metric_names, histories[0]
    steps = len((*first.step_parts, *first.failed_steps)[0])
    if "loss" in names:
        curves = [_metric(histories, name, name) for name in ("loss", "penalty") if name in names]
        yield "loss-per-step", partial(loss_per_step, curves, steps)
    losses, accuracies = (_epochs(histories, figure) for figure in ("loss", "accuracy"))
    if losses:
        yield "epochs", partial(epoch_curves, losses, accuracies, best_epoch)
    weights, biases = (_norms(histories, leaf) for leaf in "Wb")
    if weights:
        yield "gradient-magnitude", partial(gradient_magnitude, weights, biases, steps)


def _has_curves(history: "History") -> bool:
    """Tell whether there is an epoch, or of one that failed more than a single step."""
    return bool(history.epochs) or len(history.steps) > 2


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


def _network(run: "FinishedRun") -> Drawings:
    model = run.model
    if model.image_shape:
        W = model.params[0].W
        names: tuple[str, ...] = ()
        if len(model.params) == 1:  # a single node speaks for the last class
            names = model.class_names[-W.shape[1] :]
        yield "first-layer-weights", partial(first_layer_weights, W, model.image_shape, names)
    elif _classifies_a_plane(model):
        yield "decision-regions", partial(_decision_regions, run)


def _decision_regions(run: "FinishedRun", ax: "Axes | Sequence[Axes] | None" = None) -> "Figure":
    return decision_regions(run.model, run.data.train, run.data.test, ax=ax)


def _classifies_a_plane(model: "Model") -> bool:
    return bool(model.class_names) and model.sizes[0] == 2 and not model.image_shape
