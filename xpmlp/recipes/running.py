"""From a recipe to its outcome: train, judge, draw."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from xpmlp.errors import InputError, XpmlpError
from xpmlp.interrupt import StopRequest
from xpmlp.pictures.style import save
from xpmlp.recipes.base import (
    NoData,
    Picture,
    Recipe,
    Results,
    Runs,
    Setting,
    Table,
    Training,
    train,
)
from xpmlp.recipes.progress import Progress
from xpmlp.recipes.verdicts import NO_DATA, Row, judge
from xpmlp.training.history import EpochRecord
from xpmlp.training.texts import count
from xpmlp.training.trainer import Trainer


class Plan(NamedTuple):
    """The size of one training: nets, epochs of all nets together, seeds, dtype, and its rows.

    epochs: those that were trained; before that those that are planned, of which early stopping
        may leave some out: `at_most`.
    rows: data set, how many rows and where they come from, once they have been trained on.
    missing: why its data can't be had, else "".
    """

    nets: int
    epochs: int
    seeds: tuple[int, ...]
    dtype: str
    at_most: bool = False
    rows: str = ""
    missing: str = ""

    @property
    def size(self) -> str:
        """Nets and epochs as a text."""
        up_to = "up to " if self.at_most else ""
        return f"{count(self.nets, 'net')}, {up_to}{count(self.epochs, 'epoch')} in all"


Plans = Mapping[str, Plan]


@dataclass
class Drawing:
    """What came of a recipe's pictures.

    pictures: those that were drawn. problems: what could not be drawn, and why. unsaved: why a
    file could not be written. interrupted: whether a wish to stop at once left some out.
    """

    pictures: list[Picture] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unsaved: dict[Path, str] = field(default_factory=dict)
    interrupted: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of a recipe.

    tables: titles and texts. failure: why the recipe did not get to its end, else "".
    needs_input: whether that is for want of data that can be used.
    """

    recipe: Recipe
    plans: Plans
    seconds: float
    rows: Sequence[Row] = ()
    tables: Sequence[tuple[str, str]] = ()
    drawing: Drawing = field(default_factory=Drawing)
    failure: str = ""
    needs_input: bool = False

    @property
    def lacks_data(self) -> bool:
        """Whether a training was not run for want of its data."""
        return any(plan.missing for plan in self.plans.values())

    @property
    def is_wrong(self) -> bool:
        """Whether something failed or disagrees, other than for want of data."""
        failed = bool(self.failure) and not self.needs_input
        return failed or not all(row.is_good for row in self.rows)

    @property
    def is_reproduced(self) -> bool:
        """Whether the recipe got to its end with all its data, and all its verdicts are good."""
        return not (self.failure or self.lacks_data or self.is_wrong)


def plans_of(recipe: Recipe, setting: Setting) -> dict[str, Plan]:
    """Return the size of each training, and whether its data can be had.

    Data that several trainings share is loaded once, to see whether it is there.
    """
    reasons: dict[object, str] = {}
    plans = {}
    for name, training in recipe.trainings.items():
        configs = [config for group in training.configs(setting).values() for config in group]
        data = training.config.dataset, training.data
        if data not in reasons:
            reasons[data] = _why_missing(training, setting)
        plans[name] = Plan(
            nets=len(configs),
            epochs=sum(config.epochs for config in configs),
            seeds=tuple(sorted({config.seed for config in configs})),
            dtype=configs[0].dtype,
            at_most=any(config.early_stopping for config in configs),
            missing=reasons[data],
        )
    return plans


def _why_missing(training: Training, setting: Setting) -> str:
    """Return why the rows of a training can't be had; other errors are the training's to tell."""
    try:
        training.data(next(iter(training.configs(setting).values()))[0])
    except InputError as error:
        return _line(error)
    except Exception:
        return ""
    return ""


def missing_lines(plans: Plans) -> list[str]:
    """Return a line for each reason why trainings can't be run, with their names."""
    names: dict[str, list[str]] = {}
    for name, plan in plans.items():
        if plan.missing:
            names.setdefault(plan.missing, []).append(f'"{name}"')
    return [f"no data for {', '.join(group)}: {reason}" for reason, group in names.items()]


def run_recipe(
    recipe: Recipe,
    setting: Setting,
    plans: Plans,
    folder: Path,
    progress: Progress,
    stop: StopRequest,
) -> Outcome:
    """Train what has data, judge and draw a recipe; its pictures go into `folder`.

    What goes wrong is the outcome's `failure`. Raises KeyboardInterrupt where a stop is
    requested before all trainings have ended.
    """
    started = time.perf_counter()
    try:
        trained = _train_all(recipe, setting, plans, progress, stop)
        plans = {name: _after(plan, trained, recipe, name) for name, plan in plans.items()}
        results = Results(setting, trained, [name for name in plans if name not in trained])
        progress.begin("checks")
        rows = judge(recipe.checks, results)
        tables = [(table.title, _text(table, results)) for table in recipe.tables]
        progress.begin("pictures")
        drawing = _draw_all(recipe, results, folder)
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
    return Outcome(recipe, plans, time.perf_counter() - started, rows, tables, drawing)


def _train_all(
    recipe: Recipe,
    setting: Setting,
    plans: Plans,
    progress: Progress,
    stop: StopRequest,
) -> dict[str, Runs]:
    def end_epoch(trainer: Trainer, record: EpochRecord) -> None:  # noqa: ARG001
        progress.advance(1)
        raise_if_requested(stop)

    trained = {}
    for name, training in recipe.trainings.items():
        if not plans[name].missing:
            progress.begin(f"training {name}", plans[name].size)
            trained[name] = train(training, setting, end_epoch)
        raise_if_requested(stop)
    return trained


def raise_if_requested(stop: StopRequest) -> None:
    """Raise KeyboardInterrupt where a stop was requested."""
    if stop.requested:
        raise KeyboardInterrupt


def _after(plan: Plan, trained: Mapping[str, Runs], recipe: Recipe, name: str) -> Plan:
    """Return a plan with the epochs that were trained, and the rows that were trained on."""
    if plan.missing:
        return plan
    runs = [run for group in trained[name].values() for run in group]
    config, data = runs[0].trainer.config, runs[0].trainer.data
    parts = {"training": data.train, "validation": data.validation, "test": data.test}
    if data.test is data.validation:
        del parts["test"]
    counts = ", ".join(f"{len(rows):,} {part}" for part, rows in parts.items() if len(rows))
    return plan._replace(
        epochs=sum(len(run.history.epochs) for run in runs),
        at_most=False,
        rows=f"{data.name}: {counts} rows {recipe.trainings[name].origin(config)}".rstrip(),
    )


def _text(table: Table, results: Results) -> str:
    try:
        return table.text(results)
    except NoData:
        return NO_DATA


def _draw_all(recipe: Recipe, results: Results, folder: Path) -> Drawing:
    """Draw every picture that can be drawn, until a wish to stop at once."""
    drawing, without_data = Drawing(), []
    for picture in recipe.pictures:
        path = folder / f"{picture.name}.png"
        try:
            figure = picture.draw(results)
            folder.mkdir(parents=True, exist_ok=True)
            save(figure, path)
        except KeyboardInterrupt:
            path.unlink(missing_ok=True)
            drawing.interrupted = True
            drawing.problems.append("stopped before all pictures were drawn")
            break
        except NoData:
            without_data.append(picture.name)
        except OSError as error:
            drawing.unsaved[path] = error.strerror or _line(error)
        except Exception as error:
            line = f"the picture {picture.name} could not be drawn: {_line(error)}"
            drawing.problems.append(line)
        else:
            drawing.pictures.append(picture)
    if without_data:
        drawing.problems.append(f"not drawn, for want of data: {', '.join(without_data)}")
    return drawing


def _line(error: Exception) -> str:
    """Return an error on one line, with its type where its text was not written for people."""
    text = " ".join(str(error).split())
    return text if isinstance(error, XpmlpError) else f"{type(error).__name__}: {text}"
