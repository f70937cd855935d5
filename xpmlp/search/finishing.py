"""What is left once all has been trained: the best run complete, the pictures, the page."""

import logging
from collections.abc import Iterator, Sequence
from typing import Any

from xpmlp.errors import RunError
from xpmlp.files import write_whole
from xpmlp.pictures.style import save
from xpmlp.runs.run import Run, finish
from xpmlp.runs.saving import draw, save_results
from xpmlp.search.folder import PICTURE, REPORT
from xpmlp.search.page import sweep_page
from xpmlp.search.picture import sweep_picture
from xpmlp.search.results import BEST, best_of
from xpmlp.search.sweeping import Sweep
from xpmlp.search.tried import Tried

Best = tuple[dict[str, Any], list[Run], dict[str, Any]]


def complete_best(sweep: Sweep) -> Best:
    """Evaluate the best trial over its test rows, write its run whole, and its config beside.

    Return what results.json says of it, its runs, and their figures. Raises RunError where no
    trial has gone all the way, and where something can't be written.
    """
    best = best_of(sweep.trials, sweep.plan.by)
    if best is None:
        first = sweep.trials[0]
        raise RunError(
            f"all {len(sweep.trials):,} trials failed; trial {first.number}: {first.failure}"
        )
    sweep.load([best])
    directory, ground = best.directory, sweep.grounds.of(best.config)
    assert directory
    runs = [finish(member.trainer) for member in best.members if member.trainer]
    figures, _, problems = save_results(runs, ground.selection, directory)
    if problems:
        raise RunError(f"can't write {'; '.join(problems)}")
    write_whole(sweep.path / BEST, _about(sweep, best) + directory.config.to_toml())
    tested = {name: figures[name] for name in ("test_loss", "test_accuracy")}
    about = {"trial": best.number, "folder": best.path.name, "config": BEST, **tested}
    return about, runs, figures


def _about(sweep: Sweep, best: Tried) -> str:
    return (
        f"# The best of {sweep.plan.drawn}: {best.path.name}. python -m xpmlp.train --config {BEST}"
        " trains it again.\n"
    )


def draw_sweep(
    sweep: Sweep, figures: dict[str, Any], runs: Sequence[Run], of_run: dict[str, Any]
) -> Iterator[str]:
    """Draw the sweep and its best run, write their pages; yield a line for what fails.

    figures: as in results.json. runs, of_run: of the best trial, as `complete_best` gave them.
    """
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    plan, trials, path = sweep.plan, sweep.trials, sweep.path
    try:
        png = save(sweep_picture(plan, trials), path / PICTURE).read_bytes()
        write_whole(path / REPORT, sweep_page(plan, trials, figures, png))
    except Exception as error:
        yield f"{PICTURE} and {REPORT} could not be made: {type(error).__name__}: {error}"
    best = next(trial for trial in trials if trial.number == figures["best"]["trial"])
    assert best.directory
    yield from draw(runs, of_run, best.directory)
