"""One call of the command: what was asked for, what came of it, and the figures for machines."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from xpmlp import __version__
from xpmlp.backends.registry import Selection
from xpmlp.errors import EXIT_BAD_INPUT, EXIT_INTERRUPTED, EXIT_RUN_FAILED
from xpmlp.recipes.base import Setting
from xpmlp.recipes.numbers import plain
from xpmlp.recipes.running import Outcome, Plan
from xpmlp.recipes.verdicts import Row, count, count_text

LIBRARIES = ("numpy", "scikit-learn", "matplotlib")


@dataclass
class Reproduction:
    """Which recipes, where, and what has come of them so far.

    unsaved: why a file could not be written.
    """

    names: Sequence[str]
    setting: Setting
    selection: Selection
    folder: Path
    outcomes: list[Outcome] = field(default_factory=list)
    interrupted: bool = False
    has_picture: bool = False
    unsaved: dict[Path, str] = field(default_factory=dict)

    @property
    def rows(self) -> list[Row]:
        """The rows of all recipes."""
        return [row for outcome in self.outcomes for row in outcome.rows]

    @property
    def waiting(self) -> Sequence[str]:
        """The names of the recipes that have not run."""
        return self.names[len(self.outcomes) :]

    @property
    def summary(self) -> str:
        """The counts of all verdicts, and which recipes gave none."""
        failed = [o.recipe.name for o in self.outcomes if o.failure and not o.needs_input]
        not_run = [*(o.recipe.name for o in self.outcomes if o.needs_input), *self.waiting]
        lacking = [o.recipe.name for o in self.outcomes if o.lacks_data]
        parts = [count_text(self.rows)]
        for what, names in (("failed", failed), ("lacking data", lacking), ("not run", not_run)):
            parts += [f"{what}: {', '.join(names)}"] if names else []
        return "; ".join(parts)

    @property
    def exit_code(self) -> int:
        """0 where all is reproduced, 1 where something is not, 2 where only input is wanting."""
        if self.unsaved:
            return EXIT_RUN_FAILED
        if self.interrupted:
            return EXIT_INTERRUPTED
        if any(outcome.is_wrong for outcome in self.outcomes):
            return EXIT_RUN_FAILED
        return 0 if all(outcome.is_reproduced for outcome in self.outcomes) else EXIT_BAD_INPUT

    @property
    def machine(self) -> dict[str, str]:
        """Backend, library, device and device_name; the dtype is a matter of each training."""
        about = self.selection.backend.describe()
        return {name: about[name] for name in ("backend", "library", "device", "device_name")}

    def command(self, names: Sequence[str]) -> str:
        """Return the command that runs recipes of these names again."""
        quick = ["--quick"] * self.setting.quick
        machine = ["--backend", self.machine["backend"], "--device", self.machine["device"]]
        return " ".join(["python -m xpmlp.reproduce", *names, *quick, *machine])


def versions() -> dict[str, str]:
    """Return the versions that the figures may depend on."""
    own = {"xpmlp": __version__, "python": platform.python_version()}
    return own | {name: version(name) for name in LIBRARIES}


def now() -> str:
    """Return date and time in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def figures(reproduction: Reproduction) -> dict[str, Any]:
    """Return all figures for verdicts.json and `--json`; what is unknown is None."""
    selection = reproduction.selection
    return {
        "quick": reproduction.setting.quick,
        "interrupted": reproduction.interrupted,
        "counts": count(reproduction.rows),
        "recipes": [_recipe_figures(outcome) for outcome in reproduction.outcomes],
        "not_run": reproduction.waiting,
        "machine": reproduction.machine,
        "device_requested": selection.device_requested,
        "fallback_reason": selection.fallback_reason,
        "versions": versions(),
        "command": reproduction.command(reproduction.names),
        "finished": now(),
        "unsaved": {str(path): reason for path, reason in reproduction.unsaved.items()},
        "folder": str(reproduction.folder),
    }


def _recipe_figures(outcome: Outcome) -> dict[str, Any]:
    recipe = outcome.recipe
    return {
        "name": recipe.name,
        "title": recipe.title,
        "source": recipe.source,
        "reproduced": outcome.is_reproduced,
        "failure": outcome.failure or None,
        "needs_input": outcome.needs_input or outcome.lacks_data,
        "seconds": outcome.seconds,
        "trainings": {name: _plan_figures(plan) for name, plan in outcome.plans.items()},
        "rows": [_row_figures(row) for row in outcome.rows],
        "problems": list(outcome.drawing.problems),
    }


def _plan_figures(plan: Plan) -> dict[str, Any]:
    return {
        "nets": plan.nets,
        "epochs": 0 if plan.missing else plan.epochs,
        "seeds": plan.seeds,
        "dtype": plan.dtype,
        "rows": plan.rows or None,
        "missing": plan.missing or None,
    }


def _row_figures(row: Row) -> dict[str, Any]:
    spread = row.spread
    return {
        "quantity": row.quantity,
        "kind": row.kind,
        "published": plain(row.published),
        "values": plain(row.values),
        "mean": plain(spread.mean) if spread else None,
        "sd": plain(spread.sd) if spread else None,
        "lowest": plain(spread.lowest) if spread else None,
        "highest": plain(spread.highest) if spread else None,
        "ours": row.ours,
        "verdict": row.verdict,
        "detail": row.detail or None,
        "explained_by": row.explained_by or None,
    }
