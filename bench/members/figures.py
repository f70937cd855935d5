"""What was measured of a case, ready for JSON."""

import math
from collections.abc import Sequence
from statistics import median
from typing import Any

from bench.harness import Row
from bench.members.packs import Pack
from bench.statistics import ratios

Figures = dict[str, Any]
OURS = "xpmlp numpy"


def case_figures(pack: Pack, source: str, rows: Sequence[Row], loads: Sequence[float]) -> Figures:
    """Return what was measured of a case; loads: of the machine, before and after."""
    goals = dict(pack.peers)
    ours = next(row.seconds for row in rows if row.name == OURS)
    return {
        "case": pack.name,
        "source": source,
        "members": pack.members,
        "sizes": pack.sizes,
        "batch_size": pack.batch_size,
        "rows": pack.rows,
        "optimizer": pack.optimizer,
        "learning_rate": pack.learning_rate,
        "epochs_a_round": pack.epochs,
        "steps_a_round": pack.round_steps,
        "load": list(loads),
        "ways": [_way(pack, row, ours, goals.get(row.name)) for row in rows],
    }


def _way(pack: Pack, row: Row, ours: Sequence[float], goal: float | None) -> Figures:
    """Return the figures of a row; of_theirs: our time over its time, round by round."""
    timed = row.status == "ok" and row.seconds
    middle = median(row.seconds) if timed else None
    share = ratios(ours, row.seconds) if timed and ours else None
    met = share.median <= goal if share and goal else None
    return {
        "name": row.name,
        "status": row.status,
        "reason": row.reason,
        "prepare_seconds": row.prepare,
        "first_rounds": row.first_epochs,
        "round_seconds": row.seconds,
        "median_seconds": middle,
        "step_milliseconds": 1000 * middle / pack.round_steps if middle else None,
        "of_theirs": share._asdict() if share else None,
        "goal": goal,
        "goal_met": met,
        "loss": row.loss if row.loss is not None and math.isfinite(row.loss) else None,
        "about": row.about,
    }
