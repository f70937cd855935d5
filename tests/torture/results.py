"""What is in the folder of a run, and whether it is, to the bit, what the whole run has there."""

import csv
import json
import warnings
from pathlib import Path

import xpmlp
from xpmlp.errors import InputError

OF_TIME = ("seconds", "images_per_second", "seconds_per_epoch", "finished", "peak_memory_bytes")
OF_PLACE = ("run_dir", "python", "blas")
ASKED = (
    "threads",
    "steps",
    "compile_requested",
    "compile_reason",
    "device_requested",
    "fallback_reason",
)
WITHOUT = {*OF_TIME, *OF_PLACE, *ASKED}
MODEL, HISTORY, STEPS, SUMMARY = "model.safetensors", "history.csv", "steps.csv", "summary.json"
RESULTS = (MODEL, HISTORY, STEPS, SUMMARY)


def history_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return [
            {name: cell for name, cell in row.items() if name not in OF_TIME}
            for row in csv.DictReader(file)
        ]


def history_seconds(path: Path) -> list[float]:
    with path.open(newline="") as file:
        return [float(row["seconds"]) for row in csv.DictReader(file)]


def without_times(figures):
    """Return figures of a summary without those of time and place, members' included."""
    if isinstance(figures, dict):
        return {key: without_times(of) for key, of in figures.items() if key not in WITHOUT}
    return [without_times(one) for one in figures] if isinstance(figures, list) else figures


def content(path: Path):
    """Return what of a result file must be the same in each run."""
    if path.name == HISTORY:
        return history_rows(path)
    if path.name == SUMMARY:
        return without_times(json.loads(path.read_text()))
    return path.read_bytes()


def results_in(folder: Path) -> list[str]:
    """Return the names of all results in the folder of a run, those of its seeds included."""
    found = [*folder.glob("*"), *folder.glob("seed-*/*")]
    return sorted(str(path.relative_to(folder)) for path in found if path.name in RESULTS)


def differences(folder: Path, whole: Path) -> list[str]:
    """Return a line for each result that is not that of the whole run."""
    expected, lines = results_in(whole), []
    for name in results_in(folder):
        if name not in expected:
            lines.append(f"{name} should not be there")
    for name in expected:
        if not (folder / name).exists():
            lines.append(f"{name} is missing")
            continue
        try:
            mine, theirs = content(folder / name), content(whole / name)
        except ValueError as error:
            lines.append(f"{name} is damaged: {error}")
            continue
        if mine != theirs:
            lines.append(f"{name} differs{_where(mine, theirs)}")
    return lines


def _where(mine, theirs) -> str:
    if isinstance(mine, dict):
        keys = [key for key in mine.keys() | theirs.keys() if mine.get(key) != theirs.get(key)]
        return " in " + ", ".join(f"{k}: {mine.get(k)} ≠ {theirs.get(k)}"[:80] for k in keys[:4])
    if isinstance(mine, list) and len(mine) != len(theirs):
        return f": {len(mine)} rows instead of {len(theirs)}"
    return ""


def left_behind(folder: Path) -> list[str]:
    """Return files that a finished run leaves nobody any more: locks, unfinished ones."""
    every = [*folder.glob(".*"), *folder.glob("seed-*/.*")]
    return [f"{path.relative_to(folder)} is left behind" for path in every]


def pictures_in(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*") if path.suffix in (".png", ".html")}


def is_partial(folder: Path) -> bool:
    """Tell whether a summary says that its run was interrupted or failed."""
    try:
        figures = json.loads((folder / SUMMARY).read_text())
    except (OSError, ValueError):
        return False
    return bool(figures.get("interrupted") or figures.get("failure"))


def parts_that_differ(folder: Path, whole: Path) -> list[str]:
    """Return a line for each table of an interrupted run that is not how the whole one begins."""
    lines = []
    for name in results_in(whole):
        if not (folder / name).exists():
            lines.append(f"{name} is missing")
        elif name.endswith(".csv"):
            mine, theirs = content(folder / name), content(whole / name)
            if mine != theirs[: len(mine)]:
                lines.append(f"{name} is not how that of the whole run begins")
    return lines


def wrong_results(folder: Path, whole: Path) -> list[str]:
    """Return what is wrong with results that were announced, also those of an interrupted run."""
    lines = (parts_that_differ if is_partial(folder) else differences)(folder, whole)
    more = f", and {len(lines) - 1} more" if len(lines) > 1 else ""
    return [lines[0] + more] if lines else []


def misleads(folder: Path, *wholes: Path) -> list[str]:
    """Return what is wrong with results that are announced by a summary.json, in a killed run.

    They must be those of one of the whole runs; and `xpmlp.load` must open them, or say in one
    line what to do.
    """
    lines = []
    if (folder / SUMMARY).exists():
        each = [wrong_results(folder, whole) for whole in wholes]
        if all(each):
            lines.append(f"{SUMMARY} is there, but {each[0][0]}")
    if not folder.is_dir():
        return lines
    warnings.filterwarnings("ignore", message=".* ends within a line, as where its run was killed")
    try:
        xpmlp.load(folder)
    except InputError as error:
        if "\n" in str(error):
            lines.append(f"xpmlp.load says more than a line: {error}")
    except Exception as error:
        lines.append(f"xpmlp.load ends with {type(error).__name__}: {error}")
    return lines
