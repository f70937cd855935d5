"""The folder of a sweep: made and claimed by its plan, never over another's files."""

from pathlib import Path

from xpmlp.errors import InputError
from xpmlp.files import flush_folder
from xpmlp.runs.directory import SWEEP, is_run, no_place, unused_folder
from xpmlp.runs.lock import FolderLock
from xpmlp.search.plan import Plan
from xpmlp.search.results import BEST, CSV, JSON

PICTURE, REPORT = "sweep.png", "sweep.html"
WRITTEN = (SWEEP, CSV, JSON, BEST, PICTURE, REPORT)


def create_folder(out: Path | None, plan: Plan, lock: FolderLock) -> Path:
    """Make a folder, by default runs/sweep-DATASET-TIME, and claim it with the plan.

    From then on it can be resumed. Raises InputError where the folder can't be written, is in use,
    or holds a file that a sweep would write; RunError where the disk is full or fails.
    """
    name = f"sweep-{Path(plan.trials[0].config.dataset).stem}"
    path = out or unused_folder(Path("runs"), name)
    try:
        path.mkdir(parents=True, exist_ok=True)
        flush_folder(path.parent)
        lock.take(path)
        _refuse_results(path)
        plan.save(path)
    except OSError as error:
        raise no_place(path, error) from error
    return path


def _refuse_results(path: Path) -> None:
    held = [name for name in WRITTEN if (path / name).exists()]
    held += sorted(found.name for found in path.glob("trial-*"))
    if held:
        going_on = f", or go on with that sweep: --resume {path}" * (path / SWEEP).is_file()
        raise InputError(f"{path} already holds {held[0]}; choose another --out{going_on}")
    if is_run(path):
        raise InputError(f"{path} already holds a run; choose another --out")
