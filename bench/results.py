"""The figures of a run as JSON keeps them: made from rows, saved, and read again."""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from bench.cases import Case
from bench.harness import Row
from bench.processes import Setup, precision_of
from bench.start import start_figures
from bench.statistics import Quartiles, fastest, ratios
from bench.statistics import quartiles as quartiles_of
from xpmlp.errors import InputError

Figures = dict[str, Any]
FORMAT = 1
RESULTS = "results.json"
FLOOR, OWN, EAGER = "floor", "xpmlp", "PyTorch eager"


def role_of(name: str) -> str:
    """Return what a row is: `floor`, `xpmlp`, or a `peer`."""
    return next((role for role in (FLOOR, OWN) if name.startswith(role)), "peer")


def busy(figures: Figures) -> int:
    """Return how many processes spun beside a run or a case; results of old know of none."""
    return int(figures.get("busy", 0))


def case_figures(case: Case, source: str, setup: Setup, rows: Sequence[Row]) -> Figures:
    """Return what was measured of one case.

    Ratios are of times on the same device and of the same precision, divided round by round.
    """
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.device, precision_of(row.name)), []).append(row)
    entries = [figures for group in groups.values() for figures in _group_figures(case, group)]
    return {
        "case": case.name,
        "hidden": list(case.hidden),
        "batch_size": case.batch_size,
        "activation": case.activation,
        "optimizer": case.optimizer,
        "learning_rate": case.learning_rate,
        "rows": case.rows,
        "dtype": case.dtype,
        "operations": case.operations,
        "data": source,
        "kernels": setup.label,
        "busy": setup.busy,
        "entries": entries,
    }


def _group_figures(case: Case, rows: Sequence[Row]) -> list[Figures]:
    """Return the figures of rows that are compared with each other."""
    good = {row.name: row.seconds for row in rows if row.status == "ok" and row.seconds}
    peers = {name: seconds for name, seconds in good.items() if role_of(name) == "peer"}
    floor = next((seconds for name, seconds in good.items() if role_of(name) == FLOOR), None)
    first = fastest(peers)
    eager = next((row for row in rows if row.name == EAGER and row.name in good), None)
    return [
        _row_figures(case, row, floor, peers, first)
        | {"start": start_figures(row, eager) if row.name in good else None}
        for row in rows
    ]


def _row_figures(
    case: Case,
    row: Row,
    floor: Sequence[float] | None,
    peers: Mapping[str, Sequence[float]],
    first: str | None,
) -> Figures:
    timed = row.status == "ok" and bool(row.seconds)
    middle = median(row.seconds) if timed else None
    own = timed and role_of(row.name) == OWN
    return {
        "name": row.name,
        "device": row.device,
        "role": role_of(row.name),
        "status": row.status,
        "reason": row.reason,
        "prepare_seconds": row.prepare,
        "first_epochs": row.first_epochs,
        "warm_up_seconds": sum(row.first_epochs) if row.first_epochs else None,
        "epoch_seconds": row.seconds,
        "seconds": _spread(quartiles_of(row.seconds)) if timed else None,
        "to_floor": _spread(ratios(row.seconds, floor)) if timed and floor else None,
        "to_fastest_peer": _spread(ratios(row.seconds, peers[first])) if timed and first else None,
        "is_fastest_peer": row.name == first,
        "speed_up": {
            name: _spread(ratios(seconds, row.seconds)) for name, seconds in peers.items() if own
        },
        "images_per_second": case.rows / middle if middle else None,
        "gflops": case.operations / middle / 1e9 if middle else None,
        "peak_memory_bytes": row.peak_memory,
        "loss": row.loss if row.loss is not None and math.isfinite(row.loss) else None,
        "about": row.about,
    }


def _spread(quartiles: Quartiles) -> dict[str, float]:
    return quartiles._asdict()


def make_folder(out: Path | None, kind: str = "", file: str = RESULTS) -> Path:
    """Make and return the folder of a run, by default bench/results/TIME, or TIME-KIND.

    Raises InputError where it can't be made, or holds the file of its results already.
    """
    stamp = f"{datetime.now():%Y%m%d-%H%M%S}"
    folder = out or Path("bench/results") / (f"{stamp}-{kind}" if kind else stamp)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / file).open("x").close()
    except FileExistsError as error:
        raise InputError(f"{error.filename} exists already; choose another --out") from error
    except OSError as error:
        raise InputError(
            f"can't write results to {error.filename}: {error.strerror}; choose another --out"
        ) from error
    return folder


def save(figures: Figures, folder: Path) -> None:
    """Write the figures as JSON."""
    text = json.dumps(figures, indent=2, allow_nan=False)
    (folder / RESULTS).write_text(text + "\n", encoding="utf-8")


def load(path: Path) -> Figures:
    """Read a results.json, or that of a folder. Raises InputError for any other file."""
    file = path / RESULTS if path.is_dir() else path
    try:
        figures = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"can't read {file}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{file} is not JSON: {error}") from error
    if not isinstance(figures, dict) or figures.get("benchmark") != FORMAT:
        raise InputError(f"{file} holds no results of python -m bench")
    return figures
