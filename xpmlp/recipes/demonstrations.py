"""What the checks and pictures of several recipes share."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from xpmlp.recipes.base import Property, Results, Runs, values
from xpmlp.recipes.numbers import error_text
from xpmlp.runs.run import Run
from xpmlp.training.gradient_check import ArrayCheck, check_gradients
from xpmlp.training.model import Model
from xpmlp.training.spread import spread_text
from xpmlp.training.trainer import Trainer
from xpmlp.types import Batch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from xpmlp.pictures.curve import Curve

Checks = Mapping[str, Sequence[ArrayCheck]]


class Place(NamedTuple):
    """Where the results keep a group of runs: `results.runs(*place)`."""

    training: str
    label: str = ""


def untrained(run: Run, **changes: Any) -> Model:
    """Return the net that a run began with, or would have with changes of its config."""
    trainer = run.trainer
    config = trainer.config.replace(**changes)
    return Trainer(config, trainer.data, trainer.backend, problem=trainer.problem).model()


def distance(found: Any, expected: Any) -> float:
    """Return ‖found - expected‖ / ‖expected‖ of two host arrays."""
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def accuracy_within(
    quantity: str, place: Place, low: float, high: float = 1.0, part: str = "train"
) -> Property:
    """Return the property that every seed's accuracy lies in [low, high].

    part: `train` or `validation`.
    """

    def look(results: Results) -> tuple[bool, str]:
        seen = values(results.runs(*place), f"{part}_accuracy")
        return low <= min(seen) and max(seen) <= high, spread_text(seen)

    return Property(quantity, look)


def ends_lower(quantity: str, lower: Place, higher: Place, figure: str) -> Property:
    """Return the property that, seed by seed, a figure of one training is below another's."""

    def look(results: Results) -> tuple[bool, str]:
        low, high = (values(results.runs(*place), figure) for place in (lower, higher))
        holds = all(a < b for a, b in zip(low, high, strict=True))
        return holds, f"{spread_text(low)} against {spread_text(high)}"

    return Property(quantity, look)


def epoch_curve(label: str, runs: Sequence[Run], figure: str) -> "Curve":
    """Return a field of `EpochRecord` over the epochs, as the mean of runs in a band.

    A run that early stopping ended goes on with the figure of the weights that it kept.
    """
    from xpmlp.pictures.curve import Curve

    return Curve.of_runs(label, np.stack([_to_the_end(run, figure) for run in runs]))


def _to_the_end(run: Run, figure: str) -> np.ndarray:
    trained = run.history.epoch_values(figure)
    rest = run.trainer.config.epochs - len(trained)
    return np.append(trained, [getattr(run.record, figure)] * rest)


def first_regions(groups: Runs) -> "Figure":
    """Draw the decision regions of each label's first run with its training rows."""
    from xpmlp.pictures.regions import Panel, decision_panels

    firsts = {label: runs[0] for label, runs in groups.items()}
    return decision_panels(
        [Panel(label, run.model, run.trainer.data.train) for label, run in firsts.items()]
    )


def check_untrained(results: Results, *, l2: float, epsilon: float) -> Checks:
    """Check the gradients of every training's first net, before training, over all its rows."""
    found = {}
    for name in (*results.trained, *results.missing):
        run = next(iter(results.groups(name).values()))[0]
        model, rows = untrained(run), run.trainer.data.train
        found[name] = check_gradients(
            results.backend(),
            model.params,
            Batch(rows.x, rows.y),
            activations=model.activations,
            loss=model.loss,
            l2=l2,
            epsilon=epsilon,
        )
    return found


def all_correct(found: Checks) -> tuple[bool, str]:
    """Tell whether every array is CORRECT, and how many entries could not be compared."""
    checks = [check for net in found.values() for check in net]
    skipped, entries = sum(c.skipped for c in checks), sum(c.entries for c in checks)
    return all(c.verdict == "CORRECT" for c in checks), (
        f"{len(checks)} arrays, largest error {error_text(max(c.error for c in checks))}, "
        f"{skipped} of {entries:,} entries skipped at a kink"
    )


def gradient_table(found: Checks) -> str:
    """Return a line for every array of every net."""
    width = max(map(len, found))
    lines = [f"{'net':<{width}}  array     error  entries  skipped"]
    for name, checks in found.items():
        for c in checks:
            numbers = f"{error_text(c.error):>10}{c.entries:>9}{c.skipped:>9}"
            lines.append(f"{name:<{width}}  {c.name:<5}{numbers}  {c.verdict}")
    return "\n".join(lines)
