"""From a recipe to its outcome: train, judge, draw."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from xpmlp.errors import InputError, XpmlpError
from xpmlp.interrupt import StopRequest
from xpmlp.recipes.base import Picture, Recipe, Results, Runs, Setting, train
from xpmlp.recipes.progress import Progress
from xpmlp.recipes.verdicts import Row, judge
from xpmlp.reporting.seed_summary import count
from xpmlp.reporting.style import save
from xpmlp.training.history import EpochRecord


class Plan(NamedTuple):
    """The size of one training: nets, epochs of all nets together, seeds, dtype."""

    nets: int
    epochs: int
    seeds: tuple[int, ...]
    dtype: str

    @property
    def size(self) -> str:
        """Nets and epochs as a text."""
        return f"{count(self.nets, 'net')}, {count(self.epochs, 'epoch')} in all"


@dataclass(frozen=True)
class Outcome:
    """What became of a recipe.

    pictures: those that were drawn. tables: titles and texts. failure: why the recipe did not
    get to its end, else "". needs_input: whether that is for want of data that can be used.
    problems: what could not be drawn, and why.
    """

    recipe: Recipe
    plans: dict[str, Plan]
    seconds: float
    rows: Sequence[Row] = ()
    pictures: Sequence[Picture] = ()
    tables: Sequence[tuple[str, str]] = ()
    failure: str = ""
    needs_input: bool = False
    problems: Sequence[str] = ()

    @property
    def is_reproduced(self) -> bool:
        """Whether the recipe got to its end and all its verdicts are good."""
        return not self.failure and all(row.is_good for row in self.rows)


def plans_of(recipe: Recipe, setting: Setting) -> dict[str, Plan]:
    """Return the size of each training."""
    plans = {}
    for name, training in recipe.trainings.items():
        configs = [config for group in training.configs(setting).values() for config in group]
        plans[name] = Plan(
            nets=len(configs),
            epochs=sum(config.epochs for config in configs),
            seeds=tuple(sorted({config.seed for config in configs})),
            dtype=configs[0].dtype,
        )
    return plans


def run_recipe(
    recipe: Recipe, setting: Setting, folder: Path, progress: Progress, stop: StopRequest
) -> Outcome:
    """Train, judge and draw a recipe; its pictures go into `folder`, which is made.

    What goes wrong is the outcome's `failure`. Raises KeyboardInterrupt where a stop is
    requested before all trainings have ended.
    """
    started = time.perf_counter()
    plans = plans_of(recipe, setting)
    try:
        trained = _train_all(recipe, setting, plans, progress, stop)
        results = Results(setting, trained)
        progress.begin("checks")
        rows = judge(recipe.checks, results)
        tables = [(table.title, table.text(results)) for table in recipe.tables]
        progress.begin("pictures")
        pictures, problems = _draw_all(recipe, results, folder)
    except Exception as error:
        if os.environ.get("XPMLP_TRACEBACK") and not isinstance(error, XpmlpError):
            raise
        return Outcome(
            recipe,
            plans,
            time.perf_counter() - started,
            failure=_line(error),
            needs_input=isinstance(error, InputError),
        )
    seconds = time.perf_counter() - started
    return Outcome(recipe, plans, seconds, rows, pictures, tables, problems=problems)


def _train_all(
    recipe: Recipe,
    setting: Setting,
    plans: dict[str, Plan],
    progress: Progress,
    stop: StopRequest,
) -> dict[str, Runs]:
    def end_epoch(records: list[EpochRecord]) -> None:
        progress.advance(len(records))
        raise_if_requested(stop)

    trained = {}
    for name, training in recipe.trainings.items():
        progress.begin(f"training {name}", plans[name].size)
        trained[name] = train(training, setting, end_epoch)
        raise_if_requested(stop)
    return trained


def raise_if_requested(stop: StopRequest) -> None:
    """Raise KeyboardInterrupt where a stop was requested."""
    if stop.requested:
        raise KeyboardInterrupt


def _draw_all(recipe: Recipe, results: Results, folder: Path) -> tuple[list[Picture], list[str]]:
    """Draw every picture that can be drawn; return those, and a line for each that can't."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn, problems = [], []
    for picture in recipe.pictures:
        try:
            save(picture.draw(results), folder / f"{picture.name}.png")
        except Exception as error:
            problems.append(f"the picture {picture.name} could not be drawn: {_line(error)}")
        else:
            drawn.append(picture)
    return drawn, problems


def _line(error: Exception) -> str:
    """Return an error on one line, with its type where its text was not written for people."""
    text = " ".join(str(error).split())
    return text if isinstance(error, XpmlpError) else f"{type(error).__name__}: {text}"
