"""What a recipe is made of: trainings, checks of their figures, pictures and tables."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xpmlp.backends.base import Backend
from xpmlp.backends.registry import select_backend
from xpmlp.data.dataset import Dataset
from xpmlp.runs.fitting import Callbacks, fit_many
from xpmlp.runs.run import Run
from xpmlp.training.config import Config
from xpmlp.training.setup import load_for

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Setting:
    """Where and how large: backend and device by name, the data folder, and `quick`."""

    backend: str = "auto"
    device: str = "auto"
    data_dir: Path | None = None
    quick: bool = False


@dataclass(frozen=True)
class Training:
    """One or more nets trained on the same rows.

    config: all choices; `config.seeds` are the repetitions.
    vary: changes of the config by label, such as learning rates to compare; every label is
        trained over all seeds, and all of them together.
    data: makes the rows from the setting's config; else they are loaded as the config says.
    origin: says where those rows come from, where that isn't clear from the data's name.
    resplit: every seed draws its own rows too (its `data_seed` is its `seed`).
    quick: changes of the config in a quick reproduction.
    """

    config: Config
    vary: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"": {}})
    data: Callable[[Config], Dataset] = load_for
    origin: Callable[[Config], str] = lambda _: ""
    resplit: bool = False
    quick: Mapping[str, Any] = field(default_factory=dict)

    def configs(self, setting: Setting) -> dict[str, list[Config]]:
        """Return each label's configs, one per seed; the published figures are of plain steps."""
        places = {"data_dir": setting.data_dir and str(setting.data_dir)}
        machine = {"backend": setting.backend, "device": setting.device, "compile": "never"}
        base = self.config.replace(**places, **machine)
        quick = self.quick if setting.quick else {}
        configs = {
            label: base.replace(**{**changes, **quick}).members()
            for label, changes in self.vary.items()
        }
        if not self.resplit:
            return configs
        return {
            label: [config.replace(data_seed=config.seed) for config in group]
            for label, group in configs.items()
        }


Runs = Mapping[str, list[Run]]


class NoData(Exception):
    """A check, picture or table asks for a training whose data is missing."""


@dataclass(frozen=True)
class Results:
    """What the trainings of a recipe gave: for each training, by label, a run per seed.

    missing: the names of the trainings whose data is missing.
    """

    setting: Setting
    trained: Mapping[str, Runs]
    missing: Collection[str] = ()

    def groups(self, training: str) -> Runs:
        """Return a training's runs by label. Raises NoData where its data is missing."""
        if training in self.missing:
            raise NoData(training)
        return self.trained[training]

    def runs(self, training: str, label: str = "") -> list[Run]:
        """Return the runs of a training, one per seed. Raises NoData as `groups` does."""
        return self.groups(training)[label]

    def backend(self, dtype: str = "float64") -> Backend:
        """Return the backend of the setting, for figures that need no training."""
        return _backend(self.setting.backend, self.setting.device, dtype)


@dataclass(frozen=True)
class Golden:
    """A figure that follows from given numbers: equal to 1e-12 relative, entry by entry."""

    quantity: str
    published: Any
    ours: Callable[[Results], Any]


@dataclass(frozen=True)
class Published:
    """A figure whose seed is unknown: |published - mean| ≤ 3 standard deviations of ours.

    ours: one value per seed. explained_by: the quantity of the `Property` that names and tests
    the difference where the figure lies outside.
    """

    quantity: str
    published: float
    ours: Callable[[Results], Sequence[float]]
    explained_by: str = ""


@dataclass(frozen=True)
class Property:
    """What must hold, published without a figure: whether it does, and what was seen.

    quick: whether it must hold in a quick reproduction too.
    """

    quantity: str
    ours: Callable[[Results], tuple[bool, str]]
    quick: bool = True


Check = Golden | Published | Property


@dataclass(frozen=True)
class Picture:
    """A picture of the report: its file's name, what it shows, and how it is drawn."""

    name: str
    caption: str
    draw: Callable[[Results], "Figure"]


@dataclass(frozen=True)
class Table:
    """A text of the report that is set in a fixed width, such as a classification report."""

    title: str
    text: Callable[[Results], str]


@dataclass(frozen=True)
class Recipe:
    """One published experiment.

    about: Markdown: what is done, and where the source contradicts itself which way the recipe
    went and why.
    """

    name: str
    title: str
    source: str
    about: str
    trainings: Mapping[str, Training]
    checks: Sequence[Check]
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()


@cache
def _backend(name: str, device: str, dtype: str) -> Backend:
    return select_backend(name, device, dtype, fallback=False).backend


def train(training: Training, setting: Setting, callbacks: Callbacks = ()) -> Runs:
    """Train every label over every seed, all that share their rows together.

    callbacks: as for `fit_many`. Raises RunError where a net fails.
    """
    configs = training.configs(setting)
    flat = [config for group in configs.values() for config in group]
    backend = _backend(setting.backend, setting.device, flat[0].dtype)
    data_seeds = dict.fromkeys(config.data_seed for config in flat)
    runs: dict[Config, Run] = {}
    for data_seed in data_seeds:
        sharing = [config for config in flat if config.data_seed == data_seed]
        data = training.data(sharing[0])
        found = fit_many(sharing, data, backend=backend, callbacks=callbacks, verbose=False)
        if failed := [run.failure for run in found if run.failure]:
            raise failed[0]
        runs |= dict(zip(sharing, found, strict=True))
    return {label: [runs[config] for config in group] for label, group in configs.items()}


def values(runs: Sequence[Run], figure: str) -> list[float]:
    """Return one figure per run: `test_accuracy`, `test_loss`, or a field of `EpochRecord`."""
    if figure.startswith("test_"):
        return [getattr(run.test, figure.removeprefix("test_")) for run in runs]
    return [getattr(run.record, figure) for run in runs]


def largest_relative_error(ours: Any, published: Any) -> float:
    """Return max |ours - published| / |published|; where that is 0, ours must be 0 too."""
    a, b = np.asarray(ours, dtype=float), np.asarray(published, dtype=float)
    if a.shape != b.shape:
        return math.inf
    distance = np.abs(a - b)
    at_zero = np.where(distance == 0, 0.0, math.inf)
    return float(np.divide(distance, np.abs(b), out=at_zero, where=b != 0).max())
