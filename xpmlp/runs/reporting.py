"""The report of a run that is over, made anew from its folder."""

from pathlib import Path

from xpmlp.data.kinds import read_json
from xpmlp.errors import InputError
from xpmlp.pages.html_report import REPORT, RunPage, read_pictures, save_report
from xpmlp.runs.directory import CONFIG, SUMMARY, unfinished
from xpmlp.runs.opened import OpenedRun, open_runs
from xpmlp.training.config import Config


def write_report(run: str | Path | OpenedRun, path: str | Path | None = None) -> Path:
    """Write the page of a run that is over, with the pictures of its folder; return its path.

    run: opened, or its folder. path: by default report.html there. Raises InputError for a
    folder that is no run, or one without a summary.
    """
    folder = run.path if isinstance(run, OpenedRun) else Path(run).expanduser()
    runs = [run] if isinstance(run, OpenedRun) else open_runs(folder)
    config = Config.load(folder / CONFIG)
    if not (folder / SUMMARY).is_file():
        raise unfinished(folder, SUMMARY)
    try:
        summary = read_json((folder / SUMMARY).read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{folder / SUMMARY} is damaged: {error}") from error
    pictures = read_pictures(sorted(folder.glob("*.png")))
    page = RunPage(runs, config, summary, pictures)
    return save_report(page, Path(path).expanduser() if path else folder / REPORT)
