"""The folder of a reproduction: what is in it, and how it is kept from being overwritten."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import count
from pathlib import Path

from xpmlp.errors import InputError
from xpmlp.files import write_whole
from xpmlp.pictures.published import Strip
from xpmlp.pictures.style import save
from xpmlp.recipes.report import PICTURE, full_report, recipe_report, verdict_page
from xpmlp.recipes.reproduction import Reproduction, figures
from xpmlp.recipes.running import Outcome

REPORT, VERDICTS, VERDICTS_JSON = "report.md", "verdicts.md", "verdicts.json"


def make_folder(out: Path | None, names: Sequence[str]) -> Path:
    """Make and return the folder, by default reproductions/TIME.

    Raises InputError where it can't be made or written, or holds what a report would replace.
    """
    try:
        folder = out or _unused(Path("reproductions"))
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"can't write reports to {error.filename}: {error.strerror}; choose another --out"
        ) from error
    for path in _in_the_way(folder, names):
        held = path.relative_to(folder)
        raise InputError(f"{folder} already holds {held}; choose another --out")
    for path in (folder, *(folder / name for name in names)):
        if path.exists() and not os.access(path, os.W_OK | os.X_OK):
            raise InputError(f"can't write reports to {path}: read-only; choose another --out")
    return folder


def _in_the_way(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """Yield what a report would replace, and what stands where a recipe's folder should be."""
    for path in (folder / name for name in (REPORT, VERDICTS, VERDICTS_JSON, PICTURE)):
        if path.exists():
            yield path
    for path in (folder / name for name in names):
        if path.is_dir():
            yield from sorted(path.iterdir())
        elif path.exists():
            yield path


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


def claim(reproduction: Reproduction) -> None:
    """Write the first overview. Raises InputError where a file can't be written."""
    save_overview(reproduction)
    for path, reason in reproduction.unsaved.items():
        raise InputError(f"can't write {path}: {reason}; choose another --out")


def save_recipe(reproduction: Reproduction, outcome: Outcome) -> None:
    """Write the report of one recipe, where it got to its end, beside its pictures."""
    reproduction.unsaved |= outcome.drawing.unsaved
    if not outcome.failure:
        path = reproduction.folder / outcome.recipe.name / REPORT
        _write(reproduction, path, recipe_report(outcome, reproduction))


def save_overview(reproduction: Reproduction) -> None:
    """Write the report of all recipes so far, the page of verdicts, and verdicts.json."""
    folder = reproduction.folder
    verdicts = json.dumps(figures(reproduction), indent=2, allow_nan=False)
    _write(reproduction, folder / REPORT, full_report(reproduction))
    _write(reproduction, folder / VERDICTS, verdict_page(reproduction))
    _write(reproduction, folder / VERDICTS_JSON, verdicts + "\n")


def _write(reproduction: Reproduction, path: Path, text: str) -> None:
    _attempt(reproduction, path, lambda: write_whole(path, text))


def _attempt(reproduction: Reproduction, path: Path, save: Callable[[], object]) -> bool:
    """Write a file; where that fails, note why. Return whether it was written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save()
    except OSError as error:
        reproduction.unsaved[path] = error.strerror or str(error)
        return False
    reproduction.unsaved.pop(path, None)
    return True


def save_picture(reproduction: Reproduction) -> None:
    """Draw every published figure beside ours, where there is one that was judged."""
    rows: list[Strip] = []
    for outcome in reproduction.outcomes:
        published = [row for row in outcome.rows if row.kind == "published" and row.values]
        rows += [(outcome.recipe.name, None, ())] * bool(published)
        rows += [(row.quantity, row.published, row.values) for row in published]
    if not rows or reproduction.setting.quick:
        return
    from xpmlp.pictures.published import published_and_ours

    path, figure = reproduction.folder / PICTURE, published_and_ours(rows)
    reproduction.has_picture = _attempt(reproduction, path, lambda: save(figure, path))
