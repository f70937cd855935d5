"""The folder of a reproduction: what is in it, and how it is kept from being overwritten."""

import json
from collections.abc import Sequence
from datetime import datetime
from itertools import count
from pathlib import Path

from xpmlp.errors import InputError
from xpmlp.recipes.report import PICTURE, full_report, recipe_report, verdict_page
from xpmlp.recipes.reproduction import Reproduction, figures
from xpmlp.recipes.running import Outcome
from xpmlp.reporting.seeds import Strip
from xpmlp.reporting.style import save

REPORT, VERDICTS, VERDICTS_JSON = "report.md", "verdicts.md", "verdicts.json"


def make_folder(out: Path | None, names: Sequence[str]) -> Path:
    """Make and return the folder, by default reproductions/TIME.

    Raises InputError where it can't be made, or holds a report already.
    """
    try:
        folder = out or _unused(Path("reproductions"))
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"can't write reports to {error.filename}: {error.strerror}; choose another --out"
        ) from error
    for name in (REPORT, VERDICTS, VERDICTS_JSON, *(f"{name}/{REPORT}" for name in names)):
        if (folder / name).exists():
            raise InputError(f"{folder} already holds {name}; choose another --out")
    return folder


def _unused(parent: Path) -> Path:
    """Make and return a folder of the current time that no other reproduction has."""
    stamp = f"{datetime.now():%Y%m%d-%H%M%S}"
    for i in count(1):
        path = parent / (stamp if i == 1 else f"{stamp}-{i}")
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            if not parent.is_dir():
                raise
            continue
        return path
    raise AssertionError("count never ends")


def save_recipe(reproduction: Reproduction, outcome: Outcome) -> None:
    """Write the report of one recipe, where it got to its end, beside its pictures."""
    if not outcome.failure:
        path = reproduction.folder / outcome.recipe.name / REPORT
        path.write_text(recipe_report(outcome, reproduction), encoding="utf-8")


def save_overview(reproduction: Reproduction) -> None:
    """Write the report of all recipes so far, the page of verdicts, and verdicts.json."""
    folder = reproduction.folder
    verdicts = json.dumps(figures(reproduction), indent=2, allow_nan=False)
    (folder / REPORT).write_text(full_report(reproduction), encoding="utf-8")
    (folder / VERDICTS).write_text(verdict_page(reproduction), encoding="utf-8")
    (folder / VERDICTS_JSON).write_text(verdicts + "\n", encoding="utf-8")


def save_picture(reproduction: Reproduction) -> None:
    """Draw every published figure beside ours, where there is one that was judged."""
    rows: list[Strip] = []
    for outcome in reproduction.outcomes:
        published = [row for row in outcome.rows if row.kind == "published"]
        rows += [(outcome.recipe.name, None, ())] * bool(published)
        rows += [(row.quantity, row.published, row.values) for row in published]
    if not rows or reproduction.setting.quick:
        return
    from xpmlp.reporting.seeds import published_and_ours

    save(published_and_ours(rows), reproduction.folder / PICTURE)
    reproduction.has_picture = True
