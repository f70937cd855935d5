"""`range_test`: which learning rate to begin with, from a test of rising rates."""

import math
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xpmlp.backends.base import Backend
from xpmlp.errors import InputError
from xpmlp.training.config import Config
from xpmlp.training.given import dataset_of
from xpmlp.training.range_test import Reading, Rise, read, rise
from xpmlp.training.setup import backend_for
from xpmlp.training.targets import require_config
from xpmlp.training.texts import count, net_text
from xpmlp.training.trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

LOWEST, HIGHEST = 1e-5, 10.0


@dataclass(frozen=True, repr=False, eq=False)
class RangeTest:
    """What a range test came to; Python and notebooks show it as `text`.

    title, about: what was tested, and how. measured: the rates and losses of all steps.
    reading: what they say.
    """

    title: str
    about: str
    measured: Rise
    reading: Reading

    @property
    def rates(self) -> np.ndarray:
        """The rate of every step, (S,)."""
        return self.measured.rates

    @property
    def losses(self) -> np.ndarray:
        """The loss of every step's batch before it, (S,)."""
        return self.measured.losses

    @property
    def smoothed(self) -> np.ndarray:
        """Means of the losses around each step, (S,)."""
        return self.reading.smoothed

    @property
    def steepest(self) -> tuple[float, float] | None:
        """The rates between which the loss falls fastest; None where it does not fall."""
        return self.reading.steepest

    @property
    def suggestion(self) -> float:
        """The rate to begin with; NaN where the loss does not fall."""
        return self.reading.suggestion

    @property
    def text(self) -> str:
        """What was tested, what came of it, and what to do, in a few lines."""
        return "\n".join([self.title, self.about, *self.findings])

    @property
    def findings(self) -> list[str]:
        """What the losses say, and what to do, a line each."""
        found, first = self.reading, _rate(self.rates[0])
        ended = len(self.losses) < self.measured.steps
        lines = []
        if found.steepest is None:
            grows = f" and grows from {_rate(found.grows_from)}" if found.grows_from else ""
            lines.append(f"the loss falls nowhere from {first} to {_rate(self.rates[-1])}{grows}")
        else:
            low, high = map(_rate, found.steepest)
            grows = (
                f", and grows again from {_rate(found.grows_from)}"
                if found.grows_from
                else f", and does not grow again up to {_rate(self.rates[-1])}"
            )
            lines.append(
                f"the loss falls fastest between {low} and {high}, is lowest at "
                f"{_rate(found.lowest)}{grows}"
            )
        if ended:
            lines.append(
                f"it is no longer finite after {_rate(self.rates[-1])}; the test ends there"
            )
        return [*lines, *self._advice(first)]

    def _advice(self, first: str) -> list[str]:
        found = self.reading
        if found.steepest is None:
            return [
                f"no suggestion: where it stays level, test rates above {_rate(self.rates[-1])}; "
                f"where it grows, below {first}; where both were done, look at the scaling of the "
                "inputs, and note that weights that are trained have little left to lose"
            ]
        lines = [
            f"suggestion: begin with {found.suggestion:g}, which lies between the fastest fall and "
            "the lowest loss; not a proof, so compare a third and three times as much"
        ]
        if found.grows_from and self.measured.per_epoch == 1:
            lines.append(
                "each step has all rows, where growth shows late: rates from a fifth of where it "
                "shows may diverge when they are kept"
            )
        if found.at_start:
            lines.append(f"it falls fastest at the lowest rates; test from below {first} too")
        if not found.grows_from:
            lines.append(f"higher rates may do: test beyond {_rate(self.rates[-1])}")
        return lines

    def plot(self, *, ax: "Axes | Sequence[Axes] | None" = None) -> Any:
        """Draw the losses against the rate, the steepest stretch and the suggestion marked.

        ax: axes to draw on in place of a figure of its own. Returns matplotlib's figure, or these.
        """
        from xpmlp.pictures.rates import loss_against_rate

        figure = loss_against_rate(self.rates, self.losses, self.reading, ax=ax)
        return figure if ax is None else ax

    def as_dict(self) -> dict[str, Any]:
        """Return all of it for machines; what is unknown is None."""
        found = self.reading
        return {
            "suggestion": None if math.isnan(found.suggestion) else found.suggestion,
            "steepest": found.steepest,
            "lowest_loss_at": found.lowest,
            "grows_from": found.grows_from,
            "steps": len(self.losses),
            "steps_planned": self.measured.steps,
            "passes": self.measured.passes,
            "findings": self.findings,
            "rates": self.rates.tolist(),
            "losses": self.losses.tolist(),
            "smoothed": self.smoothed.tolist(),
        }

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        title, *lines = self.text.splitlines()
        rows = "".join(f"<li>{escape(line)}</li>" for line in lines)
        return f"<p>{escape(title)}</p><ul>{rows}</ul>"


def range_test(
    config: Config | Trainer,
    data: Any = None,
    y: Any = None,
    *,
    backend: Backend | None = None,
    lowest: float = LOWEST,
    highest: float = HIGHEST,
) -> RangeTest:
    """Take steps at rates that rise geometrically, and suggest a rate to begin with.

    config: of one net, whose own rate and schedule count for nothing here; or a trainer, which is
        tested as it stands, and left so. data, y, backend: as for `fit`, with a config alone.
    lowest, highest: the rates of the first and the last step, over one pass of the rows, or over
        as many as make 200 steps.

    A loss that is not finite ends the test. Raises InputError for what can't be trained and for
    rates that don't rise, RunError where the loss is not finite before any step.
    """
    if isinstance(config, Trainer):
        if not (data is None and y is None and backend is None):
            raise InputError("a trainer has its data and its backend; give it alone")
        trainer = config
    else:
        if require_config(config).seeds:
            raise InputError("a range test is of one net; give it seed=…, not seeds")
        backend = backend or backend_for(config)
        trainer = Trainer(config, dataset_of(config, data, y), backend)
    measured = rise(trainer, lowest, highest)
    reading = read(measured.rates, measured.losses, steps=measured.steps)
    return RangeTest(_title(trainer), _about(trainer, measured), measured, reading)


def _title(trainer: Trainer) -> str:
    done = len(trainer.history.epochs)
    after = f", after {count(done, 'epoch')}" if done else ""
    net = net_text(trainer.model())
    return f"learning-rate range test on {Path(trainer.data.name).name}: {net}{after}"


def _about(trainer: Trainer, measured: Rise) -> str:
    per_epoch = trainer.steps_per_epoch
    over = "one epoch"
    if measured.steps > per_epoch:
        over = f"{measured.passes} passes over the rows, as an epoch has but {per_epoch}"
    rows = f"{trainer.batch_size:,}"
    return (
        f"{trainer.config.optimizer}, batch {rows}, {count(len(measured.losses), 'step')} in {over}"
    )


def _rate(rate: float) -> str:
    """Return a rate with two digits: 0.02, 100, 1e-05."""
    return f"{float(f'{rate:.2g}'):g}"
